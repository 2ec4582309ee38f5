/* RESIZE_NEAREST_NEIGHBOR: every output pixel is the input pixel that is nearest to it. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"

enum { ALIGN_CORNERS = 0, HALF_PIXEL_CENTERS = 1 };

typedef struct {
    int32_t batches;
    int32_t in_height;
    int32_t in_width;
    int32_t height;
    int32_t width;
    uint32_t pixel_bytes;
    bool align_corners;
    bool half_pixel_centers;
} resize;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, output;
    if (!input_tensor(at, 0, &input) || !output_tensor(at, 0, &output)) return false;
    bool fits = input.type == output.type && input.rank == 4 && output.rank == 4 && input.dims[0] == output.dims[0] &&
                input.dims[3] == output.dims[3];
    if (!fits) return unsupported(at, "pictures of four dimensions, alike but for height and width");
    resize *it = claim(at, sizeof(resize));
    if (it == NULL) return false;
    it->batches = input.dims[0];
    it->in_height = input.dims[1];
    it->in_width = input.dims[2];
    it->height = output.dims[1];
    it->width = output.dims[2];
    it->pixel_bytes = input.bytes / (uint32_t)(input.dims[0] * input.dims[1] * input.dims[2]);
    it->align_corners = flat_u8_or(at->file, at->options, ALIGN_CORNERS, 0) != 0;
    it->half_pixel_centers = flat_u8_or(at->file, at->options, HALF_PIXEL_CENTERS, 0) != 0;
    return true;
}
#endif

/* In single precision, as TensorFlow Lite's GetNearestNeighbor. */
static int32_t nearest(const resize *it, int32_t position, int32_t in_size, int32_t size) {
    bool corners = it->align_corners && size > 1;
    float scale = corners ? (float)(in_size - 1) / (float)(size - 1) : (float)in_size / (float)size;
    float place = ((float)position + (it->half_pixel_centers ? 0.5f : 0.0f)) * scale;
    const bounds room = {0, in_size};
    int32_t found = (int32_t)place;
    if (it->align_corners && !round_into((double)place, room, &found)) found = in_size;
    return found < in_size ? found : in_size - 1;
}

static void run(const running *now) {
    const resize *it = now->settings;
    const uint8_t *picture = input_bytes(now, 0);
    uint8_t *output = output_bytes(now, 0);
    uint32_t row_bytes = (uint32_t)it->in_width * it->pixel_bytes;
    for (int32_t batch = 0; batch < it->batches; batch++, picture += (uint32_t)it->in_height * row_bytes) {
        for (int32_t y = 0; y < it->height; y++) {
            const uint8_t *row = picture + (uint32_t)nearest(it, y, it->in_height, it->height) * row_bytes;
            for (int32_t x = 0; x < it->width; x++, output += it->pixel_bytes) {
                memcpy(output, row + (uint32_t)nearest(it, x, it->in_width, it->width) * it->pixel_bytes, it->pixel_bytes);
            }
        }
    }
}

const kernel RESIZE_NEAREST_NEIGHBOR = {{"RESIZE_NEAREST_NEIGHBOR", 97, 1, 4}, prepare, run};
