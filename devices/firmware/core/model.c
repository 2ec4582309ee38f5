/* One model at a time has the arena. */
#include "core/model.h"

#include <stddef.h>
#include <string.h>

#include "port/port.h"

static engine *loaded;
static struct model_source origin;
static uint32_t written_bytes[MODEL_INPUTS_MAX];

static void inputs_are_stale(void)
{
    memset(written_bytes, 0, sizeof written_bytes);
}

enum model_result model_load(const struct model_source *source, engine_error *error)
{
    const engine_clock clock = {.now = port_window_ticks, .port = NULL};
    const struct port_memory *memory = &PORT_MEMORY;
    model_unload();
    engine *fresh = engine_load(source->content, source->bytes, memory->arena, memory->arena_bytes, clock, error);
    if (fresh == NULL) {
        return MODEL_REFUSED;
    }
    if (engine_input_count(fresh) > MODEL_INPUTS_MAX) {
        *error = (engine_error){.status = ENGINE_UNSUPPORTED, .operator_index = -1, .reason = "it has more than 16 inputs"};
        return MODEL_REFUSED;
    }
    loaded = fresh;
    origin = *source;
    inputs_are_stale();
    return MODEL_OK;
}

void model_unload(void)
{
    loaded = NULL;
}

const struct model_source *model_origin(void)
{
    return loaded != NULL ? &origin : NULL;
}

const engine *model_loaded(void)
{
    return loaded;
}

enum model_result model_write(uint32_t input, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    if (loaded == NULL) {
        return MODEL_NONE;
    }
    if (input >= engine_input_count(loaded)) {
        return MODEL_NO_SUCH_PART;
    }
    engine_tensor tensor = engine_input(loaded, input);
    if (offset > written_bytes[input] || count > tensor.bytes - offset) {
        return MODEL_NO_SUCH_PART;
    }
    if (count != 0u) {
        memcpy((uint8_t *)tensor.data + offset, bytes, count);
    }
    if (offset + count > written_bytes[input]) {
        written_bytes[input] = offset + count;
    }
    return MODEL_OK;
}

static uint32_t inputs_bytes(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < engine_input_count(loaded); i++) {
        sum += engine_input(loaded, i).bytes;
    }
    return sum;
}

static void copy_inputs(uint8_t *copy, bool back)
{
    for (uint32_t i = 0; i < engine_input_count(loaded); i++) {
        const engine_tensor tensor = engine_input(loaded, i);
        memcpy(back ? tensor.data : copy, back ? copy : tensor.data, tensor.bytes);
        copy += tensor.bytes;
    }
}

enum model_result model_run(uint32_t count, uint64_t *ticks)
{
    if (loaded == NULL) {
        return MODEL_NONE;
    }
    for (uint32_t i = 0; i < engine_input_count(loaded); i++) {
        if (written_bytes[i] != engine_input(loaded, i).bytes) {
            return MODEL_INPUT_MISSING;
        }
    }
    const uint32_t used = engine_arena_used(loaded);
    uint8_t *spare = PORT_MEMORY.arena + used;
    if (count > 1u) {
        if (inputs_bytes() > PORT_MEMORY.arena_bytes - used) {
            return MODEL_NO_ROOM;
        }
        copy_inputs(spare, false);
    }
    port_window_open();
    engine_invoke(loaded);
    for (uint32_t i = 1; i < count; i++) {
        copy_inputs(spare, true);
        engine_invoke(loaded);
    }
    *ticks = port_window_close();
    inputs_are_stale();
    return MODEL_OK;
}

void model_run_unmarked(void)
{
    engine_invoke(loaded);
    inputs_are_stale();
}
