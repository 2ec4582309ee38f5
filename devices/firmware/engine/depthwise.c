/* DEPTHWISE_CONV_2D: every output channel sees one channel of the picture. Weights are (1, height, width, outputs). */
#include <stddef.h>

#include "kernels.h"
#include "channels.h"
#include "pairs.h"
#include "window.h"

enum { ACTIVATION = 4, DILATION_X = 5 };

typedef struct {
    channel_scaling scaling;
    window over;
    int32_t batches;
    int32_t inputs;
    int32_t outputs;
} depthwise;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, weights, output;
    window over;
    if (!int8_pair(at, &input, &output) || !input_tensor(at, 1, &weights)) return false;
    if (weights.rank != 4 || weights.dims[0] != 1) return unsupported(at, "weights must have four dimensions, the first of them 1");
    window_options options = filter_window(at, &weights, DILATION_X);
    if (!window_of(at, &options, &input, &output, &over)) return false;
    if (weights.dims[3] != output.dims[3] || output.dims[3] % input.dims[3] != 0)
        return unsupported(at, "the channels of input, weights and output do not agree");
    if (!good_bias(at, 2, output.dims[3])) return false;
    uint8_t activation = flat_u8_or(at->file, at->options, ACTIVATION, 0);
    depthwise *it = claim_scaled(at, sizeof(depthwise), &input, &weights, &output, 3, activation);
    if (it == NULL) return false;
    it->over = over;
    it->batches = input.dims[0];
    it->inputs = input.dims[3];
    it->outputs = output.dims[3];
    return true;
}
#endif

static int32_t window_sum(const depthwise *it, const int8_t *channel, const int8_t *weights, taps down, taps across) {
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    uint32_t sum = 0;
    for (int32_t row = down.first; row < down.end; row++) {
        const int8_t *from = channel + (down.start + row * y->dilation) * x->input * it->inputs;
        const int8_t *with = weights + row * x->size * it->outputs;
        for (int32_t tap = across.first; tap < across.end; tap++) {
            int32_t value = from[(across.start + tap * x->dilation) * it->inputs] + it->scaling.input_offset;
            sum += (uint32_t)(with[tap * it->outputs] * value);
        }
    }
    return (int32_t)sum;
}

/* Four neighbouring channels, each with weights of its own; every tap's four inputs and weights are one word each. */
static void four_sums(const depthwise *it, const int8_t *channel, const int8_t *weights, taps down, taps across, int32_t sums[4]) {
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    const uint32_t offsets = pair_of(it->scaling.input_offset, it->scaling.input_offset);
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    int32_t step = x->dilation * it->inputs;
    for (int32_t row = down.first; row < down.end; row++) {
        const int8_t *from = channel + ((down.start + row * y->dilation) * x->input + across.start) * it->inputs + across.first * step;
        const int8_t *with = weights + (row * x->size + across.first) * it->outputs;
        for (int32_t tap = across.first; tap < across.end; tap++, from += step, with += it->outputs) {
            uint32_t inputs = four_at(from);
            uint32_t factors = four_at(with);
            uint32_t even = even_pair(inputs, offsets), even_factors = even_bytes(factors);
            uint32_t odd = odd_pair(inputs, offsets), odd_factors = odd_bytes(factors);
            a = add_low(a, even, even_factors);
            b = add_low(b, odd, odd_factors);
            c = add_high(c, even, even_factors);
            d = add_high(d, odd, odd_factors);
        }
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static void one_pixel(const depthwise *it, const int8_t *picture, const int8_t *weights, const uint8_t *biases, taps down, taps across,
                      int8_t *output) {
    int32_t multiplier = it->outputs / it->inputs;
    int32_t channel = 0;
    for (; multiplier == 1 && channel + 4 <= it->outputs; channel += 4) {
        int32_t sums[4];
        four_biases(biases, channel, sums);
        four_sums(it, picture + channel, weights + channel, down, across, sums);
        scaled_outputs(&it->scaling, channel, 4, sums, output + channel);
    }
    for (; channel < it->outputs; channel++) {
        int32_t sum = window_sum(it, picture + channel / multiplier, weights + channel, down, across);
        sum = wrap_add(sum, bias_at(biases, channel));
        scaled_outputs(&it->scaling, channel, 1, &sum, output + channel);
    }
}

static void run(const running *now) {
    const depthwise *it = now->settings;
    const int8_t *picture = input_bytes(now, 0);
    const int8_t *weights = input_bytes(now, 1);
    const uint8_t *biases = input_bytes(now, 2);
    int8_t *output = output_bytes(now, 0);
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    for (int32_t batch = 0; batch < it->batches; batch++, picture += y->input * x->input * it->inputs) {
        for (int32_t row = 0; row < y->output; row++) {
            taps down = taps_at(y, row);
            for (int32_t column = 0; column < x->output; column++, output += it->outputs) {
                one_pixel(it, picture, weights, biases, down, taps_at(x, column), output);
            }
        }
    }
}

const kernel DEPTHWISE_CONV_2D = {{"DEPTHWISE_CONV_2D", 4, 1, 7}, prepare, run};
