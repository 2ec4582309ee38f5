/* BATCH_MATMUL: products of the last two axes of two tensors, matrix by matrix, one of them repeated where it has fewer. */
#include <stddef.h>

#include "kernels.h"
#include "walk.h"

enum { TURN_A = 0, TURN_B = 1 };

typedef struct {
    walk a; /* one place per matrix */
    walk b;
    int32_t rows;
    int32_t columns;
    int32_t depth;
    int32_t a_row, a_depth; /* steps */
    int32_t b_column, b_depth;
    int32_t a_zero, b_zero, zero_point;
    factor by;
} batch_matmul;

#ifndef ENGINE_STANDALONE
/* A tensor without its last two axes. */
static tensor batches_of(const tensor *of) {
    tensor found = *of;
    found.dims[of->rank - 1] = found.dims[of->rank - 2] = 1;
    return found;
}

static bool repeat(preparation *at, const tensor *of, const tensor *output, walk *found) {
    tensor batches = batches_of(of);
    tensor over = batches_of(output);
    int32_t matrix = of->dims[of->rank - 1] * of->dims[of->rank - 2];
    if (!walk_repeated(&batches, &over, found)) return unsupported(at, "the batches do not agree");
    for (uint32_t axis = 0; axis < LARGEST_RANK; axis++) found->steps[axis] *= matrix;
    return true;
}

static bool sizes_of(preparation *at, const tensor *a, const tensor *b, const tensor *output, batch_matmul *it) {
    bool turn_a = flat_u8_or(at->file, at->options, TURN_A, 0) != 0;
    bool turn_b = flat_u8_or(at->file, at->options, TURN_B, 0) != 0;
    int32_t a_width = a->dims[a->rank - 1];
    int32_t b_width = b->dims[b->rank - 1];
    int32_t a_height = a->dims[a->rank - 2];
    int32_t b_height = b->dims[b->rank - 2];
    it->rows = turn_a ? a_width : a_height;
    it->depth = turn_a ? a_height : a_width;
    it->columns = turn_b ? b_height : b_width;
    it->a_row = turn_a ? 1 : a_width;
    it->a_depth = turn_a ? a_width : 1;
    it->b_column = turn_b ? b_width : 1;
    it->b_depth = turn_b ? 1 : b_width;
    bool fits = it->depth == (turn_b ? b_width : b_height) && output->dims[output->rank - 2] == it->rows &&
                output->dims[output->rank - 1] == it->columns;
    return fits || unsupported(at, "the sizes of the matrices do not agree");
}

static bool prepare(preparation *at) {
    tensor a, b, output;
    if (!int8_pair(at, &a, &output) || !input_tensor(at, 1, &b)) return false;
    if (b.type != TYPE_INT8 || b.scale <= 0) return unsupported(at, "both inputs must be int8 with a scale");
    if (a.rank < 2 || b.rank < 2 || output.rank < 2) return unsupported(at, "matrices need two dimensions");
    batch_matmul *it = claim(at, sizeof(batch_matmul));
    if (it == NULL || !sizes_of(at, &a, &b, &output, it)) return false;
    if (!repeat(at, &a, &output, &it->a) || !repeat(at, &b, &output, &it->b)) return false;
    it->a_zero = a.zero_point;
    it->b_zero = b.zero_point;
    it->zero_point = output.zero_point;
    return factor_of((double)a.scale * (double)b.scale / (double)output.scale, &it->by) || unsupported(at, "scales too far apart");
}
#endif

static int32_t sum_of(const batch_matmul *it, const int8_t *row, const int8_t *column) {
    uint32_t sum = 0;
    for (int32_t depth = 0; depth < it->depth; depth++) {
        sum += (uint32_t)((row[depth * it->a_depth] - it->a_zero) * (column[depth * it->b_depth] - it->b_zero));
    }
    return (int32_t)sum;
}

static int8_t *one_matrix(const batch_matmul *it, const int8_t *a, const int8_t *b, int8_t *output) {
    for (int32_t row = 0; row < it->rows; row++) {
        for (int32_t column = 0; column < it->columns; column++) {
            int32_t sum = sum_of(it, a + row * it->a_row, b + column * it->b_column);
            *output++ = (int8_t)saturated(wrap_add(scale_by(sum, it->by.multiplier, it->by.shift), it->zero_point));
        }
    }
    return output;
}

static void run(const running *now) {
    const batch_matmul *it = now->settings;
    const int8_t *a = input_bytes(now, 0);
    const int8_t *b = input_bytes(now, 1);
    int8_t *output = output_bytes(now, 0);
    walker at_a = walk_start(&it->a);
    walker at_b = walk_start(&it->b);
    for (int32_t left = walk_count(&it->a); left > 0; left--) {
        output = one_matrix(it, a + at_a.at, b + at_b.at, output);
        walk_next(&it->a, &at_a);
        walk_next(&it->b, &at_b);
    }
}

const kernel BATCH_MATMUL = {{"BATCH_MATMUL", 126, 1, 5}, prepare, run};
