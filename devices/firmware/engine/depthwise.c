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
    want_scratch(at, sizeof(int32_t) * (uint64_t)output.dims[3] + 2 * sizeof(uint32_t) * (uint64_t)(weights.dims[1] * weights.dims[2]));
    return true;
}
#endif

/* List what the window at an output's position sees and return the list's end: two words for each tap, where its first input and its
 * first weight are. */
static const uint32_t *list_taps(const depthwise *it, int32_t position, uint32_t *list) {
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    const taps down = taps_at(y, position / x->output);
    const taps across = taps_at(x, position % x->output);
    for (int32_t row = down.first; row < down.end; row++) {
        const int32_t line = (down.start + row * y->dilation) * x->input + across.start;
        for (int32_t column = across.first; column < across.end; column++) {
            *list++ = (uint32_t)((line + column * x->dilation) * it->inputs);
            *list++ = (uint32_t)((row * x->size + column) * it->outputs);
        }
    }
    return list;
}

/* Four neighbouring channels, each with weights of its own; every tap's four inputs and weights are one word each. */
static void four_sums(const int8_t *channel, const int8_t *weights, const uint32_t *list, const uint32_t *end, uint32_t offsets,
                      int32_t sums[4]) {
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    while (list != end) {
        uint32_t input, weight;
        list = two_words(list, &input, &weight);
        uint32_t inputs = four_at(channel + input);
        uint32_t factors = four_at(weights + weight);
        uint32_t even = even_pair(inputs, offsets), even_factors = even_bytes(factors);
        uint32_t odd = odd_pair(inputs, offsets), odd_factors = odd_bytes(factors);
        a = add_low(a, even, even_factors);
        b = add_low(b, odd, odd_factors);
        c = add_high(c, even, even_factors);
        d = add_high(d, odd, odd_factors);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

static int32_t one_sum(const int8_t *channel, const int8_t *weights, const uint32_t *list, const uint32_t *end, int32_t offset,
                       int32_t sum) {
    for (; list != end; list += 2) sum = wrap_add(sum, weights[list[1]] * (channel[list[0]] + offset));
    return sum;
}

/* The sums of all channels of one pixel, from their biases on. */
static void pixel_sums(const depthwise *it, const int8_t *picture, const int8_t *weights, const uint32_t *list, const uint32_t *end,
                       int32_t *sums) {
    const int32_t multiplier = it->outputs / it->inputs;
    const int32_t offset = it->scaling.input_offset;
    const uint32_t offsets = pair_of(offset, offset);
    int32_t channel = 0;
    for (; multiplier == 1 && channel + 4 <= it->outputs; channel += 4) {
        four_sums(picture + channel, weights + channel, list, end, offsets, sums + channel);
    }
    for (; channel < it->outputs; channel++) {
        sums[channel] = one_sum(picture + channel / multiplier, weights + channel, list, end, offset, sums[channel]);
    }
}

static void run(const running *now) {
    const depthwise *it = now->settings;
    const int8_t *picture = input_bytes(now, 0);
    const int8_t *weights = input_bytes(now, 1);
    const uint8_t *biases = input_bytes(now, 2);
    int8_t *output = output_bytes(now, 0);
    int32_t *sums = scratch_bytes(now);
    uint32_t *list = (uint32_t *)(sums + it->outputs);
    const int32_t positions = it->over.y.output * it->over.x.output;
    const int32_t picture_bytes = it->over.y.input * it->over.x.input * it->inputs;
    for (int32_t batch = 0; batch < it->batches; batch++, picture += picture_bytes) {
        for (int32_t position = 0; position < positions; position++, output += it->outputs) {
            const uint32_t *end = list_taps(it, position, list);
            biases_of(biases, 0, it->outputs, sums);
            pixel_sums(it, picture, weights, list, end, sums);
            scaled_outputs(&it->scaling, 0, it->outputs, sums, output);
        }
    }
}

const kernel DEPTHWISE_CONV_2D = {{"DEPTHWISE_CONV_2D", 4, 1, 7}, prepare, run};
