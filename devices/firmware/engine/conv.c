/* CONV_2D: every output channel sees a window of the picture, all its channels or a group of them.
 *
 * Weights are (outputs, height, width, inputs). Rows of a window that are neighbours in memory are summed in one go.
 */
#include <stddef.h>

#include "kernels.h"
#include "channels.h"
#include "dot.h"
#include "window.h"

enum { ACTIVATION = 3, DILATION_X = 4 };

typedef struct {
    channel_scaling scaling;
    window over;
    int32_t batches;
    int32_t inputs;
    int32_t outputs;
    int32_t group_inputs;
    int32_t group_outputs;
} convolution;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, weights, output;
    window over;
    if (!int8_pair(at, &input, &output) || !input_tensor(at, 1, &weights)) return false;
    if (weights.rank != 4) return unsupported(at, "weights must have four dimensions");
    window_options options = filter_window(at, &weights, DILATION_X);
    if (!window_of(at, &options, &input, &output, &over)) return false;
    int32_t group_inputs = weights.dims[3];
    int32_t groups = input.dims[3] / group_inputs;
    if (input.dims[3] % group_inputs != 0 || weights.dims[0] != output.dims[3] || output.dims[3] % groups != 0)
        return unsupported(at, "the channels of input, weights and output do not agree");
    if (!good_bias(at, 2, output.dims[3])) return false;
    uint8_t activation = flat_u8_or(at->file, at->options, ACTIVATION, 0);
    convolution *it = claim_scaled(at, sizeof(convolution), &input, &weights, &output, 0, activation);
    if (it == NULL) return false;
    it->over = over;
    it->batches = input.dims[0];
    it->inputs = input.dims[3];
    it->outputs = output.dims[3];
    it->group_inputs = group_inputs;
    it->group_outputs = output.dims[3] / groups;
    return true;
}
#endif

/* One row of a window: taps that are neighbours, when all channels are seen, are one run. */
static int32_t row_sum(const convolution *it, const int8_t *row, const int8_t *weights, taps across) {
    int32_t offset = it->scaling.input_offset;
    int32_t count = it->group_inputs;
    int32_t step = it->over.x.dilation * it->inputs;
    const int8_t *from = row + across.start * it->inputs + across.first * step;
    weights += across.first * count;
    if (step == count) return dot(from, weights, (across.end - across.first) * count, offset);
    int32_t sum = 0;
    for (int32_t tap = across.first; tap < across.end; tap++, from += step, weights += count) {
        sum = wrap_add(sum, dot(from, weights, count, offset));
    }
    return sum;
}

/* One output channel, of a group or of the whole picture, from its bias on. */
static int32_t one_sum(const convolution *it, const int8_t *picture, const int8_t *weights, int32_t bias, taps down, taps across,
                       int32_t channel) {
    const span *y = &it->over.y;
    const int8_t *group = picture + channel / it->group_outputs * it->group_inputs;
    int32_t weight_row = it->over.x.size * it->group_inputs;
    int32_t sum = bias;
    for (int32_t tap = down.first; tap < down.end; tap++) {
        const int8_t *row = group + (down.start + tap * y->dilation) * it->over.x.input * it->inputs;
        sum = wrap_add(sum, row_sum(it, row, weights + tap * weight_row, across));
    }
    return sum;
}

/* What one output pixel sees when it sees all input channels: `rows` rows of `runs` runs of `count` neighbours. */
typedef struct {
    const int8_t *from;
    int32_t rows, runs, count;
    int32_t row_step, run_step;                /* through the picture */
    int32_t weights, weight_row, weight_output; /* where weights begin, and from row to row and output to output */
} view;

static view view_of(const convolution *it, const int8_t *picture, taps down, taps across) {
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    int32_t line = x->input * it->inputs;
    int32_t width = across.end - across.first;
    view seen;
    seen.run_step = x->dilation * it->inputs;
    seen.row_step = y->dilation * line;
    seen.from = picture + down.start * line + across.start * it->inputs + down.first * seen.row_step + across.first * seen.run_step;
    seen.rows = down.end - down.first;
    seen.runs = x->dilation == 1 ? 1 : width;
    seen.count = x->dilation == 1 ? width * it->inputs : it->inputs;
    seen.weight_row = x->size * it->inputs;
    seen.weight_output = y->size * seen.weight_row;
    seen.weights = down.first * seen.weight_row + across.first * it->inputs;
    return seen;
}

static void four_sums(const convolution *it, const view *seen, const int8_t *weights, int32_t sums[4]) {
    const int8_t *line = seen->from;
    weights += seen->weights;
    for (int32_t row = 0; row < seen->rows; row++, line += seen->row_step, weights += seen->weight_row) {
        const int8_t *from = line;
        const int8_t *with = weights;
        for (int32_t run = 0; run < seen->runs; run++, from += seen->run_step, with += it->inputs) {
            dot4(from, with, seen->weight_output, seen->count, it->scaling.input_offset, sums);
        }
    }
}

static void one_pixel(const convolution *it, const int8_t *picture, const int8_t *weights, const uint8_t *biases, taps down, taps across,
                      int8_t *output) {
    int32_t channel = 0;
    int32_t channel_bytes = it->over.y.size * it->over.x.size * it->group_inputs;
    const view seen = view_of(it, picture, down, across);
    for (; it->group_inputs == it->inputs && channel + 4 <= it->outputs; channel += 4, weights += 4 * channel_bytes) {
        int32_t sums[4];
        four_biases(biases, channel, sums);
        four_sums(it, &seen, weights, sums);
        scaled_outputs(&it->scaling, channel, 4, sums, output + channel);
    }
    for (; channel < it->outputs; channel++, weights += channel_bytes) {
        int32_t sum = one_sum(it, picture, weights, bias_at(biases, channel), down, across, channel);
        scaled_outputs(&it->scaling, channel, 1, &sum, output + channel);
    }
}

static void run(const running *now) {
    const convolution *it = now->settings;
    const int8_t *picture = input_bytes(now, 0);
    const int8_t *weights = input_bytes(now, 1);
    const uint8_t *biases = input_bytes(now, 2);
    int8_t *output = output_bytes(now, 0);
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    for (int32_t batch = 0; batch < it->batches; batch++, picture += y->input * x->input * it->inputs) {
        for (int32_t row = 0; row < y->output; row++) {
            for (int32_t column = 0; column < x->output; column++, output += it->outputs) {
                one_pixel(it, picture, weights, biases, taps_at(y, row), taps_at(x, column), output);
            }
        }
    }
}

const kernel CONV_2D = {{"CONV_2D", 3, 1, 8}, prepare, run};
