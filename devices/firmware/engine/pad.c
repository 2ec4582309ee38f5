/* PAD and PADV2: the input in the middle of a larger tensor, the rest filled with zero or a given number. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"
#include "walk.h"

typedef struct {
    walk inside; /* through the output */
    uint32_t bytes;
    int32_t fill;
} pad;

#ifndef ENGINE_STANDALONE
static bool place_inside(preparation *at, const tensor *input, const tensor *output, walk *found) {
    tensor widths;
    if (!input_tensor(at, 1, &widths)) return false;
    bool good = is_constant(&widths) && widths.type == TYPE_INT32 && widths.elements == 2u * input->rank && output->rank == input->rank;
    if (!good) return unsupported(at, "the widths must be constant int32, two per axis");
    *found = walk_through(output);
    for (uint32_t axis = 0; axis < input->rank; axis++) {
        uint32_t place = LARGEST_RANK - input->rank + axis;
        int32_t before = constant_i32(at, &widths, 2 * axis);
        int32_t after = constant_i32(at, &widths, 2 * axis + 1);
        if (before < 0 || after < 0 || (int64_t)before + after + input->dims[axis] != output->dims[axis])
            return unsupported(at, "the output's size does not follow from the widths");
        found->start += before * found->steps[place];
        found->sizes[place] = input->dims[axis];
    }
    return true;
}

static pad *claim_pad(preparation *at) {
    tensor input, output;
    walk inside;
    if (!int8_pair(at, &input, &output) || !place_inside(at, &input, &output, &inside)) return NULL;
    pad *it = claim(at, sizeof(pad));
    if (it == NULL) return NULL;
    it->inside = inside;
    it->bytes = output.bytes;
    it->fill = output.zero_point;
    return it;
}

static bool prepare_zero(preparation *at) {
    return claim_pad(at) != NULL;
}

static bool prepare_given(preparation *at) {
    tensor given, output;
    if (!input_tensor(at, 2, &given) || !output_tensor(at, 0, &output)) return false;
    bool same = given.type == TYPE_INT8 && given.elements == 1 && given.scale == output.scale && given.zero_point == output.zero_point;
    if (!same) return unsupported(at, "the number to fill with must be one int8 on the output's scale");
    return claim_pad(at) != NULL;
}
#endif

static void fill(const running *now, int32_t with) {
    const pad *it = now->settings;
    uint8_t *output = output_bytes(now, 0);
    memset(output, with, it->bytes);
    walk_scatter(&it->inside, input_bytes(now, 0), output, 1);
}

static void run_zero(const running *now) {
    const pad *it = now->settings;
    fill(now, it->fill);
}

static void run_given(const running *now) {
    const int8_t *given = input_bytes(now, 2);
    fill(now, given[0]);
}

const kernel PAD = {{"PAD", 34, 1, 4}, prepare_zero, run_zero};
const kernel PADV2 = {{"PADV2", 60, 1, 4}, prepare_given, run_given};
