/* A window that slides over a picture: how convolutions and pools step along one axis. */
#ifndef ENGINE_WINDOW_H
#define ENGINE_WINDOW_H

#include "kernel.h"

enum { PADDING_SAME = 0, PADDING_VALID = 1 };

/* Slots of the schema that all operators with a window share. */
enum { PADDING = 0, STRIDE_X = 1, STRIDE_Y = 2 };

/* One axis. Position p of the output begins at p * stride - padding of the input. All are at most 32,767, so sums of products of
 * two of them fit in 32 bits. */
typedef struct {
    int16_t input;
    int16_t output;
    int16_t size;
    int16_t stride;
    int16_t dilation;
    int16_t padding;
} span;

typedef struct {
    span y;
    span x;
} window;

/* What of a window lies inside the input: its taps `first` to before `end`; tap t is at start + t * dilation. */
typedef struct {
    int32_t start;
    int32_t first;
    int32_t end;
} taps;

#ifndef ENGINE_STANDALONE
/* What the options of an operator say of its window; slots of the schema differ between operators. */
typedef struct {
    uint8_t padding;
    int32_t stride[2];
    int32_t dilation[2];
    int32_t size[2];
} window_options;

/* The window of a convolution, as large as its weights; the slots of the two dilations are `dilation_x` and the next. */
window_options filter_window(preparation *at, const tensor *weights, uint32_t dilation_x);

/* Check the window against both pictures (batch, height, width, channels); false (and refused) where they do not agree. */
bool window_of(preparation *at, const window_options *options, const tensor *input, const tensor *output, window *found);
#endif

static inline taps taps_at(const span *along, int32_t position) {
    int32_t start = position * along->stride - along->padding;
    int32_t first = start < 0 ? (-start + along->dilation - 1) / along->dilation : 0;
    int32_t room = along->input - start;
    int32_t end = (room + along->dilation - 1) / along->dilation;
    taps inside = {start, first, end < along->size ? end : along->size};
    return inside;
}

#endif
