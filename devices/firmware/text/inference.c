/* Runs of the model for the text protocol, on samples in the model's own type or as float32. */
#include "text/inference.h"

#include <stddef.h>
#include <string.h>

#include "core/model.h"
#include "core/say.h"
#include "core/slots.h"
#include "core/upload.h"
#include "port/port.h"
#include "text/mode.h"
#include "text/samples.h"
#include "text/stamp.h"

#define TYPE_FLOAT32 0u /* TensorType in the .tflite schema */
#define TYPE_INT8 9u
#define FLOAT_BYTES 4u
#define HOLDS_A_SECOND 1000u /* the marker is down for a millisecond: the rules ask for one microsecond, and meters are slower */

static void say(const char *words)
{
    say_words(port_write, words);
}

static void say_error(const char *words)
{
    say("e-[");
    say(words);
    say("]\r\n");
}

/* Return the model that runs; one that is pushed but not loaded is loaded, else the one that the flash keeps. */
static const engine *ready_model(void)
{
    engine_error error;
    if (model_loaded() != NULL) {
        return model_loaded();
    }
    if (upload_check() == UPLOAD_OK) {
        const struct model_source source = upload_source();
        if (model_load(&source, &error) != MODEL_OK) {
            say_error(error.reason);
        }
    } else if (!slots_load(&error)) {
        say_error("There is no model");
    }
    return model_loaded();
}

static float float_at(const uint8_t *bytes)
{
    float value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* The int8 nearest to `value`, halves away from zero, as TensorFlow Lite quantises inputs. */
static int8_t quantised(float value, const engine_tensor *tensor)
{
    const float steps = value / tensor->scale;
    const float limited = steps > 512.0f ? 512.0f : steps > -512.0f ? steps : -512.0f;
    const int32_t nearest = (int32_t)(limited < 0.0f ? limited - 0.5f : limited + 0.5f) + tensor->zero_point;
    return (int8_t)(nearest > 127 ? 127 : nearest < -128 ? -128 : nearest);
}

/* Put what "db" loaded into the only input. */
static void load_input(const engine *loaded)
{
    const engine_tensor tensor = engine_input(loaded, 0);
    if (samples_count() == tensor.bytes) {
        (void)model_write(0, 0, PORT_MEMORY.samples, tensor.bytes);
        return;
    }
    for (uint32_t i = 0; i < tensor.bytes; i++) {
        const uint8_t byte = (uint8_t)quantised(float_at(PORT_MEMORY.samples + FLOAT_BYTES * i), &tensor);
        (void)model_write(0, i, &byte, 1);
    }
}

/* Whether what "db" loaded is this model's input. */
static bool is_loadable(const engine *loaded)
{
    if (engine_input_count(loaded) != 1u) {
        say_error("The model has more than one input");
        return false;
    }
    const engine_tensor tensor = engine_input(loaded, 0);
    const bool as_floats = tensor.type == TYPE_INT8 && tensor.scale > 0.0f && samples_count() == FLOAT_BYTES * tensor.bytes;
    if (samples_count() == tensor.bytes || as_floats) {
        return true;
    }
    say("e-[The input takes ");
    say_number(port_write, tensor.bytes);
    say(" bytes]\r\n");
    return false;
}

static void run_once(const engine *loaded)
{
    uint64_t ticks;
    load_input(loaded);
    if (MODE_IS_ENERGY) {
        model_run_unmarked();
    } else {
        (void)model_run(1, &ticks);
    }
}

/* One falling edge, wherever the marker was; it is up between two of them. */
static void drop_marker(void)
{
    port_mark(true);
    port_mark(false);
    for (const uint64_t since = port_ticks(); port_ticks() - since < PORT_FACTS.clock_hz / HOLDS_A_SECOND;) {
    }
    port_mark(true);
}

void inference_timestamp(void)
{
    if (MODE_IS_ENERGY) {
        drop_marker();
        return;
    }
    say("m-lap-us-");
    say_number(port_write, stamp_us(port_ticks(), PORT_FACTS.clock_hz));
    say("\r\n");
}

static void say_counted(const char *words, uint32_t number)
{
    say(words);
    say_number(port_write, number);
    say("\r\n");
}

void inference_run(uint32_t runs, uint32_t warmup)
{
    const engine *loaded = ready_model();
    if (loaded == NULL || !is_loadable(loaded)) {
        return;
    }
    say_counted("m-warmup-start-", warmup);
    for (uint32_t i = 0; i < warmup; i++) {
        run_once(loaded);
    }
    say("m-warmup-done\r\n");
    say_counted("m-infer-start-", runs);
    inference_timestamp();
    for (uint32_t i = 0; i < runs; i++) {
        run_once(loaded);
    }
    inference_timestamp();
    say("m-infer-done\r\n");
    inference_results();
}

static float value_at(const engine_tensor *tensor, uint32_t index)
{
    const uint8_t *bytes = tensor->data;
    if (tensor->type == TYPE_FLOAT32) {
        return float_at(bytes + FLOAT_BYTES * index);
    }
    return (float)((int8_t)bytes[index] - tensor->zero_point) * tensor->scale;
}

/* The mean squared difference of the output and the input that made it. */
static float squared_error(const engine *loaded, const engine_tensor *output, uint32_t count)
{
    const engine_tensor input = engine_input(loaded, 0);
    const bool as_floats = samples_count() == FLOAT_BYTES * count;
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *sample = PORT_MEMORY.samples + (as_floats ? FLOAT_BYTES * i : i);
        const float given = as_floats ? float_at(sample) : (float)((int8_t)sample[0] - input.zero_point) * input.scale;
        const float apart = value_at(output, i) - given;
        sum += (double)apart * (double)apart;
    }
    return (float)(sum / count);
}

void inference_results(void)
{
    const engine *loaded = model_loaded();
    if (loaded == NULL) {
        say_error("There is no model");
        return;
    }
    const engine_tensor output = engine_output(loaded, 0);
    const uint32_t count = output.type == TYPE_FLOAT32 ? output.bytes / FLOAT_BYTES : output.bytes;
    const bool comparable = samples_count() == count || samples_count() == FLOAT_BYTES * count;
    say("m-results-[");
    if (model_origin()->scores == UPLOAD_SCORES_ERROR && comparable) {
        say_decimals(port_write, squared_error(loaded, &output, count));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            say_decimals(port_write, value_at(&output, i));
            say(i + 1u < count ? "," : "");
        }
    }
    say("]\r\n");
}
