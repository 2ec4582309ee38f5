/* CONCATENATION and SPLIT: tensors put together along an axis, or taken apart. */
#include <stddef.h>
#include <string.h>

#include "kernels.h"

enum { AXIS = 0, ACTIVATION = 1 };

/* A part of `bytes` bytes belongs to each of `count` runs; one entry per part. */
typedef struct {
    uint32_t count;
    uint32_t bytes[];
} parts;

#ifndef ENGINE_STANDALONE
static bool axis_of(preparation *at, int32_t given, const tensor *of, uint32_t *found) {
    int32_t axis = given < 0 ? given + of->rank : given;
    *found = (uint32_t)axis;
    return (axis >= 0 && axis < of->rank) || unsupported(at, "an axis that the tensor does not have");
}

static bool agree(const tensor *part, const tensor *whole, uint32_t axis) {
    bool same = part->type == whole->type && part->rank == whole->rank;
    for (uint32_t other = 0; same && other < whole->rank; other++) {
        same = other == axis || part->dims[other] == whole->dims[other];
    }
    return same;
}

/* Parts along `axis` of `whole`: inputs of CONCATENATION, outputs of SPLIT. */
static bool settle(preparation *at, const tensor *whole, uint32_t axis, uint32_t count, bool inputs) {
    int64_t total = 0;
    parts *it = claim(at, (uint32_t)sizeof(parts) + count * (uint32_t)sizeof(uint32_t));
    if (it == NULL) return false;
    it->count = 1;
    for (uint32_t before = 0; before < axis; before++) it->count *= (uint32_t)whole->dims[before];
    for (uint32_t index = 0; index < count; index++) {
        tensor part;
        if (!(inputs ? input_tensor : output_tensor)(at, index, &part)) return false;
        if (!agree(&part, whole, axis)) return unsupported(at, "the parts do not agree in type or shape");
        it->bytes[index] = part.bytes / it->count;
        total += part.dims[axis];
    }
    return total == whole->dims[axis] || unsupported(at, "the parts do not add up to the whole");
}

static bool prepare_concatenation(preparation *at) {
    tensor output;
    uint32_t axis;
    if (!output_tensor(at, 0, &output) || !axis_of(at, flat_i32_or(at->file, at->options, AXIS, 0), &output, &axis)) return false;
    if (flat_u8_or(at->file, at->options, ACTIVATION, 0) != 0) return unsupported(at, "an activation in a concatenation");
    return settle(at, &output, axis, at->inputs.count, true);
}
#endif

static void run_concatenation(const running *now) {
    const parts *it = now->settings;
    uint8_t *output = output_bytes(now, 0);
    for (uint32_t run = 0; run < it->count; run++) {
        for (uint32_t index = 0; index < now->input_count; index++) {
            const uint8_t *from = input_bytes(now, index);
            memcpy(output, from + run * it->bytes[index], it->bytes[index]);
            output += it->bytes[index];
        }
    }
}

#ifndef ENGINE_STANDALONE
static bool prepare_split(preparation *at) {
    tensor given, input;
    uint32_t axis;
    if (!input_tensor(at, 0, &given) || !input_tensor(at, 1, &input)) return false;
    bool good = is_constant(&given) && given.type == TYPE_INT32 && given.elements == 1;
    if (!good) return unsupported(at, "the axis must be one constant int32");
    if (!axis_of(at, constant_i32(at, &given, 0), &input, &axis)) return false;
    return settle(at, &input, axis, at->outputs.count, false);
}
#endif

static void run_split(const running *now) {
    const parts *it = now->settings;
    const uint8_t *input = input_bytes(now, 1);
    for (uint32_t run = 0; run < it->count; run++) {
        for (uint32_t index = 0; index < now->output_count; index++) {
            uint8_t *to = output_bytes(now, index);
            memcpy(to + run * it->bytes[index], input, it->bytes[index]);
            input += it->bytes[index];
        }
    }
}

const kernel CONCATENATION = {{"CONCATENATION", 2, 1, 4}, prepare_concatenation, run_concatenation};
const kernel SPLIT = {{"SPLIT", 49, 1, 4}, prepare_split, run_split};
