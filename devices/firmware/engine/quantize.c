/* QUANTIZE and DEQUANTIZE: between float32 and int8, where a model's ends are float32. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"
#include "unary.h"

typedef struct {
    uint32_t no_lookup; /* 0; the settings of a lookup begin with its count, which is not */
    uint32_t count;
    float scale;
    int32_t zero_point;
} affine;

#ifndef ENGINE_STANDALONE
static bool prepare_affine(preparation *at, const tensor *input, const tensor *output, const tensor *integers) {
    if (input->elements != output->elements || integers->scale <= 0) return unsupported(at, "sizes that differ, or no scale");
    affine *it = claim(at, sizeof(affine));
    if (it == NULL) return false;
    it->count = input->elements;
    it->scale = integers->scale;
    it->zero_point = integers->zero_point;
    return true;
}

static bool prepare_quantize(preparation *at) {
    tensor input, output;
    if (!input_tensor(at, 0, &input) || !output_tensor(at, 0, &output)) return false;
    if (output.type != TYPE_INT8) return unsupported(at, "the output must be int8");
    if (input.type == TYPE_INT8) return prepare_requantize(at);
    if (input.type != TYPE_FLOAT32) return unsupported(at, "the input must be float32 or int8");
    return prepare_affine(at, &input, &output, &output);
}
#endif

/* Rounded half away from zero; what does not fit goes to the nearer end, what is not a number to the lower one. */
static int8_t quantized(const affine *it, float value) {
    const bounds room = {-100000, 100000};
    int32_t rounded;
    if (!round_into((double)(value / it->scale), room, &rounded)) rounded = value > 0 ? room.high : room.low;
    return (int8_t)saturated(rounded + it->zero_point);
}

static void run_quantize(const running *now) {
    const affine *it = now->settings;
    if (it->no_lookup != 0) {
        run_requantize(now);
        return;
    }
    const uint8_t *input = input_bytes(now, 0);
    int8_t *output = output_bytes(now, 0);
    for (uint32_t index = 0; index < it->count; index++) {
        float value; /* a constant need not be aligned */
        memcpy(&value, input + 4 * index, sizeof value);
        output[index] = quantized(it, value);
    }
}

#ifndef ENGINE_STANDALONE
static bool prepare_dequantize(preparation *at) {
    tensor input, output;
    if (!input_tensor(at, 0, &input) || !output_tensor(at, 0, &output)) return false;
    if (input.type != TYPE_INT8 || output.type != TYPE_FLOAT32) return unsupported(at, "from int8 to float32 only");
    return prepare_affine(at, &input, &output, &input);
}
#endif

static void run_dequantize(const running *now) {
    const affine *it = now->settings;
    const int8_t *input = input_bytes(now, 0);
    float *output = output_bytes(now, 0);
    for (uint32_t index = 0; index < it->count; index++) output[index] = it->scale * (float)(input[index] - it->zero_point);
}

const kernel DEQUANTIZE = {{"DEQUANTIZE", 6, 1, 6}, prepare_dequantize, run_dequantize};
const kernel QUANTIZE = {{"QUANTIZE", 114, 1, 3}, prepare_quantize, run_quantize};
