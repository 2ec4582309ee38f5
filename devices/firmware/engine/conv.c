/* CONV_2D: every output channel sees a window of the picture, all its channels or a group of them.
 *
 * Weights are (outputs, height, width, inputs). Pixels are answered two by two: what both see stands in a column that all output
 * channels of a group share.
 */
#include <stddef.h>

#include "kernels.h"
#include "channels.h"
#include "column.h"
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
    want_scratch(at, 8 * ((uint64_t)output.dims[3] + 1) + column_bytes(weights.elements / (uint32_t)weights.dims[0]));
    return true;
}
#endif

/* Fill a pixel's half of the column with the window that it sees of a group of channels; neighbours in memory are one run. */
static void see(const convolution *it, const int8_t *group, int32_t position, int32_t pixel, int16_t *column) {
    const span *y = &it->over.y;
    const span *x = &it->over.x;
    const int32_t count = it->group_inputs;
    const taps down = taps_at(y, position / x->output);
    const taps across = taps_at(x, position % x->output);
    const int32_t width = across.end - across.first;
    const int32_t run = x->dilation == 1 && count == it->inputs ? width : 1;
    if (down.end - down.first < y->size || width < x->size) column_clear(column, pixel, y->size * x->size * count);
    for (int32_t row = down.first; row < down.end; row++) {
        const int8_t *line = group + ((down.start + row * y->dilation) * x->input + across.start) * it->inputs;
        for (int32_t tap = across.first; tap < across.end; tap += run) {
            const int32_t index = (row * x->size + tap) * count;
            column_fill(column, pixel, index, line + tap * x->dilation * it->inputs, run * count, it->scaling.input_offset);
        }
    }
}

static void run(const running *now) {
    const convolution *it = now->settings;
    const int8_t *picture = input_bytes(now, 0);
    const int8_t *weights = input_bytes(now, 1);
    const uint8_t *biases = input_bytes(now, 2);
    int8_t *output = output_bytes(now, 0);
    int32_t *sums = scratch_bytes(now);
    const int32_t sums_count = it->outputs + 1;
    int16_t *column = (int16_t *)(void *)(sums + 2 * sums_count);
    const int32_t count = it->over.y.size * it->over.x.size * it->group_inputs;
    const int32_t positions = it->over.y.output * it->over.x.output;
    const int32_t picture_bytes = it->over.y.input * it->over.x.input * it->inputs;
    for (int32_t batch = 0; batch < it->batches; batch++, picture += picture_bytes) {
        for (int32_t position = 0; position < positions; position += 2) {
            const int32_t pixels = position + 1 < positions ? 2 : 1;
            const int8_t *group = picture;
            for (int32_t channel = 0; channel < it->outputs; channel += it->group_outputs, group += it->group_inputs) {
                for (int32_t pixel = 0; pixel < pixels; pixel++) see(it, group, position + pixel, pixel, column);
                biases_of(biases, channel, it->group_outputs, sums + channel);
                biases_of(biases, channel, it->group_outputs, sums + channel + sums_count);
                column_sums(column, count, weights + channel * count, it->group_outputs, sums + channel, sums + channel + sums_count);
            }
            for (int32_t pixel = 0; pixel < pixels; pixel++, output += it->outputs) {
                scaled_outputs(&it->scaling, 0, it->outputs, sums + pixel * sums_count, output);
            }
        }
    }
}

const kernel CONV_2D = {{"CONV_2D", 3, 1, 8}, prepare, run};
