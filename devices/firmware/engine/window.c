/* Sizes and paddings of sliding windows, as TensorFlow defines SAME and VALID. */
#include "window.h"

#ifndef ENGINE_STANDALONE
static bool small(int32_t value) {
    return value >= 1 && value <= INT16_MAX;
}

/* SAME: output = ceil(input / stride), the padding split in halves with the larger one behind. VALID: no padding. */
static bool span_of(preparation *at, const window_options *options, int axis, int32_t input, int32_t output, span *found) {
    int32_t size = options->size[axis];
    int32_t stride = options->stride[axis];
    int32_t dilation = options->dilation[axis];
    if (!small(size) || !small(stride) || !small(dilation) || !small(input) || !small(output))
        return unsupported(at, "a window, stride or picture outside of 1 to 32,767");
    int32_t reach = (size - 1) * dilation + 1;
    int32_t covered = options->padding == PADDING_SAME ? input : input - reach + 1;
    if (options->padding > PADDING_VALID || covered < 1) return unsupported(at, "a window larger than its picture, or no known padding");
    if (output != (covered + stride - 1) / stride) return unsupported(at, "the output's size does not follow from window and stride");
    int32_t needed = (output - 1) * stride + reach - input;
    int32_t padding = needed > 0 && options->padding == PADDING_SAME ? needed / 2 : 0;
    if (padding > INT16_MAX) return unsupported(at, "a padding of more than 32,767");
    span one = {(int16_t)input, (int16_t)output, (int16_t)size, (int16_t)stride, (int16_t)dilation, (int16_t)padding};
    *found = one;
    return true;
}

window_options filter_window(preparation *at, const tensor *weights, uint32_t dilation_x) {
    flat_file *file = at->file;
    window_options found = {
        flat_u8_or(file, at->options, PADDING, 0),
        {flat_i32_or(file, at->options, STRIDE_Y, 0), flat_i32_or(file, at->options, STRIDE_X, 0)},
        {flat_i32_or(file, at->options, dilation_x + 1, 1), flat_i32_or(file, at->options, dilation_x, 1)},
        {weights->dims[1], weights->dims[2]},
    };
    return found;
}

bool window_of(preparation *at, const window_options *options, const tensor *input, const tensor *output, window *found) {
    if (input->rank != 4 || output->rank != 4) return unsupported(at, "pictures must have four dimensions");
    if (input->dims[0] != output->dims[0]) return unsupported(at, "input and output differ in their batch");
    return span_of(at, options, 0, input->dims[1], output->dims[1], &found->y) &&
           span_of(at, options, 1, input->dims[2], output->dims[2], &found->x);
}
#endif
