/* TRANSPOSE, SLICE, STRIDED_SLICE: the input's elements in another order, or some of them. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"
#include "walk.h"

typedef struct {
    walk along;
    uint32_t element_bytes;
} rearrangement;

#ifndef ENGINE_STANDALONE
static bool pair(preparation *at, tensor *input, tensor *output) {
    if (!input_tensor(at, 0, input) || !output_tensor(at, 0, output)) return false;
    return input->type == output->type || unsupported(at, "input and output differ in type");
}

/* A constant int32 tensor of `count` numbers at the index-th input. */
static bool numbers_at(preparation *at, uint32_t index, uint32_t count, tensor *found) {
    if (!input_tensor(at, index, found)) return false;
    bool good = is_constant(found) && found->type == TYPE_INT32 && found->elements == count;
    return good || unsupported(at, "axes, begins, sizes and strides must be constant int32, one per axis");
}

static bool settle(preparation *at, const tensor *input, const tensor *output, const walk *along) {
    if ((uint32_t)walk_count(along) != output->elements) return unsupported(at, "the output's size does not follow from the input's");
    rearrangement *it = claim(at, sizeof(rearrangement));
    if (it == NULL) return false;
    it->along = *along;
    it->element_bytes = input->bytes / input->elements;
    return true;
}

static bool prepare_transpose(preparation *at) {
    tensor input, output, order;
    if (!pair(at, &input, &output) || !numbers_at(at, 1, input.rank, &order)) return false;
    walk from = walk_through(&input);
    walk along = from;
    uint32_t skipped = LARGEST_RANK - input.rank;
    uint32_t seen = 0;
    for (uint32_t axis = 0; axis < input.rank; axis++) {
        int32_t source = constant_i32(at, &order, axis);
        if (source < 0) source += input.rank;
        if (source < 0 || source >= input.rank) return unsupported(at, "an axis that the input does not have");
        seen |= 1u << source;
        along.sizes[skipped + axis] = from.sizes[skipped + (uint32_t)source];
        along.steps[skipped + axis] = from.steps[skipped + (uint32_t)source];
    }
    if (seen != (1u << input.rank) - 1) return unsupported(at, "the axes are no permutation");
    return settle(at, &input, &output, &along);
}

static bool prepare_slice(preparation *at) {
    tensor input, output, begins, sizes;
    if (!pair(at, &input, &output)) return false;
    if (!numbers_at(at, 1, input.rank, &begins) || !numbers_at(at, 2, input.rank, &sizes)) return false;
    walk along = walk_through(&input);
    uint32_t skipped = LARGEST_RANK - input.rank;
    for (uint32_t axis = 0; axis < input.rank; axis++) {
        int32_t begin = constant_i32(at, &begins, axis);
        int32_t size = constant_i32(at, &sizes, axis);
        if (begin < 0 || begin >= input.dims[axis]) return unsupported(at, "a slice that begins outside of the input");
        if (size == -1) size = input.dims[axis] - begin;
        if (size < 1 || size > input.dims[axis] - begin) return unsupported(at, "a slice that ends outside of the input");
        along.start += begin * along.steps[skipped + axis];
        along.sizes[skipped + axis] = size;
    }
    return settle(at, &input, &output, &along);
}

enum { BEGIN_MASK = 0, END_MASK = 1, ELLIPSIS_MASK = 2, NEW_AXIS_MASK = 3, SHRINK_MASK = 4 };

static int32_t within(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Where one axis begins and how many elements it takes; negative begins and ends count from the end, as in Python. */
typedef struct {
    int32_t begin;
    int32_t count;
} cut;

static cut cut_of(int32_t size, int32_t begin, int32_t end, int32_t stride, bool whole_begin, bool whole_end, bool one) {
    int32_t low = stride > 0 ? 0 : -1;
    int32_t high = stride > 0 ? size : size - 1;
    cut found = {0, 1};
    found.begin = whole_begin ? (stride > 0 ? 0 : size - 1) : within(begin < 0 ? begin + size : begin, low, high);
    if (one) return found;
    int32_t stop = whole_end ? (stride > 0 ? high : low) : within(end < 0 ? end + size : end, low, high);
    int64_t distance = stride > 0 ? (int64_t)stop - found.begin : (int64_t)found.begin - stop;
    int64_t pace = stride > 0 ? stride : -(int64_t)stride;
    found.count = distance > 0 ? (int32_t)((distance + pace - 1) / pace) : 0;
    return found;
}

static bool prepare_strided_slice(preparation *at) {
    tensor input, output, begins, ends, strides;
    flat_file *file = at->file;
    if (!pair(at, &input, &output) || !numbers_at(at, 1, input.rank, &begins)) return false;
    if (!numbers_at(at, 2, input.rank, &ends) || !numbers_at(at, 3, input.rank, &strides)) return false;
    uint32_t begin_mask = (uint32_t)flat_i32_or(file, at->options, BEGIN_MASK, 0);
    uint32_t end_mask = (uint32_t)flat_i32_or(file, at->options, END_MASK, 0);
    uint32_t shrink = (uint32_t)flat_i32_or(file, at->options, SHRINK_MASK, 0);
    if (flat_i32_or(file, at->options, ELLIPSIS_MASK, 0) != 0 || flat_i32_or(file, at->options, NEW_AXIS_MASK, 0) != 0)
        return unsupported(at, "an ellipsis or a new axis in a slice");
    walk along = walk_through(&input);
    for (uint32_t axis = 0; axis < input.rank; axis++) {
        uint32_t place = LARGEST_RANK - input.rank + axis;
        int32_t size = input.dims[axis];
        int32_t stride = constant_i32(at, &strides, axis);
        if (stride == 0) return unsupported(at, "a stride of 0");
        cut one = cut_of(size, constant_i32(at, &begins, axis), constant_i32(at, &ends, axis), stride, begin_mask >> axis & 1,
                         end_mask >> axis & 1, shrink >> axis & 1);
        if (one.count < 1 || one.begin < 0 || one.begin >= size) return unsupported(at, "an empty slice");
        along.start += one.begin * along.steps[place];
        along.sizes[place] = one.count;
        along.steps[place] = one.count > 1 ? along.steps[place] * stride : 0;
    }
    return settle(at, &input, &output, &along);
}
#endif

static void run(const running *now) {
    const rearrangement *it = now->settings;
    walk_gather(&it->along, input_bytes(now, 0), output_bytes(now, 0), it->element_bytes);
}

const kernel SLICE = {{"SLICE", 65, 1, 6}, prepare_slice, run};
const kernel STRIDED_SLICE = {{"STRIDED_SLICE", 45, 1, 8}, prepare_strided_slice, run};
const kernel TRANSPOSE = {{"TRANSPOSE", 39, 1, 6}, prepare_transpose, run};
