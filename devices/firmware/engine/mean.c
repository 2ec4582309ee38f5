/* MEAN: the average over some axes, as one sum and one factor that holds the division. */
#include <stddef.h>

#include "kernels.h"
#include "walk.h"

typedef struct {
    walk kept;    /* one place per output */
    walk reduced; /* the places of one output, from its own */
    int32_t offset;
    int32_t zero_point;
    factor by;
} mean;

#ifndef ENGINE_STANDALONE
/* Which of the six axes are averaged: a bit each. Negative axes count from the end. */
static bool reduced_axes(preparation *at, const tensor *input, uint32_t *found) {
    tensor axes;
    if (!input_tensor(at, 1, &axes)) return false;
    if (!is_constant(&axes) || axes.type != TYPE_INT32) return unsupported(at, "the axes must be constant int32");
    for (uint32_t index = 0; index < axes.elements; index++) {
        int32_t axis = constant_i32(at, &axes, index);
        if (axis < 0) axis += input->rank;
        if (axis < 0 || axis >= input->rank) return unsupported(at, "an axis that the input does not have");
        *found |= 1u << ((uint32_t)axis + LARGEST_RANK - input->rank);
    }
    return true;
}

static void part(const tensor *input, uint32_t axes, mean *it) {
    it->kept = walk_through(input);
    it->reduced = it->kept;
    for (uint32_t axis = 0; axis < LARGEST_RANK; axis++) {
        bool reduced = axes >> axis & 1;
        if (reduced) it->kept.sizes[axis] = 1;
        if (!reduced) it->reduced.sizes[axis] = 1;
    }
}

/* factor / count, keeping as many bits as 31 bits of shift allow (TensorFlow Lite's QuantizedMeanOrSum). */
static void divide(factor *by, int32_t count) {
    int32_t shift = 31 - __builtin_clz((uint32_t)count);
    if (shift > 31 + by->shift) shift = 31 + by->shift;
    by->multiplier = (int32_t)(((int64_t)by->multiplier << shift) / count);
    by->shift -= shift;
}

static bool prepare(preparation *at) {
    tensor input, output;
    uint32_t axes = 0;
    if (!int8_pair(at, &input, &output) || !reduced_axes(at, &input, &axes)) return false;
    mean *it = claim(at, sizeof(mean));
    if (it == NULL) return false;
    part(&input, axes, it);
    int32_t count = walk_count(&it->reduced);
    if ((uint32_t)walk_count(&it->kept) != output.elements) return unsupported(at, "the output's size does not follow from the axes");
    if (count > 1 << 23) return unsupported(at, "an average of more than 8 million numbers");
    if (!factor_of((double)input.scale / (double)output.scale, &it->by)) return unsupported(at, "scales too far apart");
    divide(&it->by, count);
    it->offset = -input.zero_point * count;
    it->zero_point = output.zero_point;
    return true;
}
#endif

static int32_t sum_from(const walk *along, const int8_t *first) {
    walker now = walk_start(along);
    int32_t sum = 0;
    for (int32_t left = walk_count(along); left > 0; left--) {
        sum += first[now.at];
        walk_next(along, &now);
    }
    return sum;
}

static void run(const running *now) {
    const mean *it = now->settings;
    const int8_t *input = input_bytes(now, 0);
    int8_t *output = output_bytes(now, 0);
    walker place = walk_start(&it->kept);
    for (int32_t left = walk_count(&it->kept); left > 0; left--) {
        int32_t sum = sum_from(&it->reduced, input + place.at) + it->offset;
        *output++ = (int8_t)saturated(wrap_add(scale_by(sum, it->by.multiplier, it->by.shift), it->zero_point));
        walk_next(&it->kept, &place);
    }
}

const kernel MEAN = {{"MEAN", 40, 1, 3}, prepare, run};
