/* FULLY_CONNECTED: every output sees all inputs of its row. Weights are (outputs, inputs). */
#include <stddef.h>

#include "kernels.h"
#include "channels.h"
#include "dot.h"

enum { ACTIVATION = 0, WEIGHTS_FORMAT = 1 };

typedef struct {
    channel_scaling scaling;
    int32_t rows;
    int32_t inputs;
    int32_t outputs;
} fully_connected;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, weights, output;
    if (!int8_pair(at, &input, &output) || !input_tensor(at, 1, &weights)) return false;
    if (weights.rank != 2 || output.rank < 1) return unsupported(at, "weights must have two dimensions");
    if (flat_u8_or(at->file, at->options, WEIGHTS_FORMAT, 0) != 0) return unsupported(at, "weights in a shuffled format");
    uint32_t outputs = (uint32_t)weights.dims[0];
    uint32_t rows = output.elements / outputs;
    bool fits = output.dims[output.rank - 1] == weights.dims[0] && input.elements == (uint64_t)rows * (uint32_t)weights.dims[1];
    if (!fits) return unsupported(at, "the sizes of input, weights and output do not agree");
    if (!good_bias(at, 2, weights.dims[0])) return false;
    uint8_t activation = flat_u8_or(at->file, at->options, ACTIVATION, 0);
    fully_connected *it = claim_scaled(at, sizeof(fully_connected), &input, &weights, &output, 0, activation);
    if (it == NULL) return false;
    it->rows = (int32_t)rows;
    it->inputs = weights.dims[1];
    it->outputs = weights.dims[0];
    return true;
}
#endif

static void one_row(const fully_connected *it, const int8_t *inputs, const int8_t *weights, const uint8_t *biases, int8_t *output) {
    int32_t offset = it->scaling.input_offset;
    int32_t channel = 0;
    for (; channel + 4 <= it->outputs; channel += 4, weights += 4 * it->inputs) {
        int32_t sums[4];
        biases_of(biases, channel, 4, sums);
        dot4(inputs, weights, it->inputs, it->inputs, offset, sums);
        scaled_outputs(&it->scaling, channel, 4, sums, output + channel);
    }
    for (; channel < it->outputs; channel++, weights += it->inputs) {
        int32_t sum = wrap_add(dot(inputs, weights, it->inputs, offset), bias_at(biases, channel));
        scaled_outputs(&it->scaling, channel, 1, &sum, output + channel);
    }
}

static void run(const running *now) {
    const fully_connected *it = now->settings;
    const int8_t *inputs = input_bytes(now, 0);
    const int8_t *weights = input_bytes(now, 1);
    const uint8_t *biases = input_bytes(now, 2);
    int8_t *output = output_bytes(now, 0);
    for (int32_t row = 0; row < it->rows; row++, inputs += it->inputs, output += it->outputs) {
        one_row(it, inputs, weights, biases, output);
    }
}

const kernel FULLY_CONNECTED = {{"FULLY_CONNECTED", 9, 1, 13}, prepare, run};
