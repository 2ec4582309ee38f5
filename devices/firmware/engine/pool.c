/* AVERAGE_POOL_2D and MAX_POOL_2D: every output sees a window of one channel; taps outside of the picture do not count. */
#include <stddef.h>

#include "kernels.h"
#include "window.h"

enum { SIZE_X = 3, SIZE_Y = 4, ACTIVATION = 5 };

typedef struct {
    window over;
    int32_t batches;
    int32_t channels;
    bounds limits;
} pool;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, output;
    window over;
    flat_file *file = at->file;
    if (!int8_pair(at, &input, &output)) return false;
    window_options options = {
        flat_u8_or(file, at->options, PADDING, 0),
        {flat_i32_or(file, at->options, STRIDE_Y, 0), flat_i32_or(file, at->options, STRIDE_X, 0)},
        {1, 1},
        {flat_i32_or(file, at->options, SIZE_Y, 0), flat_i32_or(file, at->options, SIZE_X, 0)},
    };
    if (!window_of(at, &options, &input, &output, &over)) return false;
    if (input.dims[3] != output.dims[3]) return unsupported(at, "input and output differ in their channels");
    pool *it = claim(at, sizeof(pool));
    if (it == NULL) return false;
    it->over = over;
    it->batches = input.dims[0];
    it->channels = input.dims[3];
    uint8_t activation = flat_u8_or(file, at->options, ACTIVATION, 0);
    return activation_bounds(activation, output.scale, output.zero_point, &it->limits) || unsupported(at, "an unknown activation");
}
#endif

/* The mean is rounded half away from zero. */
static int32_t average(const pool *it, const int8_t *channel, taps down, taps across) {
    int32_t sum = 0;
    int32_t count = (down.end - down.first) * (across.end - across.first);
    for (int32_t row = down.first; row < down.end; row++) {
        const int8_t *from = channel + (down.start + row) * it->over.x.input * it->channels;
        for (int32_t tap = across.first; tap < across.end; tap++) sum += from[(across.start + tap) * it->channels];
    }
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t largest(const pool *it, const int8_t *channel, taps down, taps across) {
    int32_t found = -128;
    for (int32_t row = down.first; row < down.end; row++) {
        const int8_t *from = channel + (down.start + row) * it->over.x.input * it->channels;
        for (int32_t tap = across.first; tap < across.end; tap++) {
            int32_t value = from[(across.start + tap) * it->channels];
            if (value > found) found = value;
        }
    }
    return found;
}

typedef int32_t (*reduction)(const pool *it, const int8_t *channel, taps down, taps across);

static void slide(const running *now, reduction reduce) {
    const pool *it = now->settings;
    const int8_t *picture = input_bytes(now, 0);
    int8_t *output = output_bytes(now, 0);
    for (int32_t batch = 0; batch < it->batches; batch++, picture += it->over.y.input * it->over.x.input * it->channels) {
        for (int32_t row = 0; row < it->over.y.output; row++) {
            taps down = taps_at(&it->over.y, row);
            for (int32_t column = 0; column < it->over.x.output; column++) {
                taps across = taps_at(&it->over.x, column);
                for (int32_t channel = 0; channel < it->channels; channel++) {
                    *output++ = clamp(reduce(it, picture + channel, down, across), it->limits);
                }
            }
        }
    }
}

static void run_average(const running *now) {
    slide(now, average);
}

static void run_max(const running *now) {
    slide(now, largest);
}

const kernel AVERAGE_POOL_2D = {{"AVERAGE_POOL_2D", 1, 1, 3}, prepare, run_average};
const kernel MAX_POOL_2D = {{"MAX_POOL_2D", 17, 1, 3}, prepare, run_max};
