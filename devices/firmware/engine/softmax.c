/* SOFTMAX: each row's shares of the sum of its exponentials. */
#include <stddef.h>

#include "kernels.h"
#include "curves.h"

enum { BETA = 0 };

typedef struct {
    int32_t rows;
    int32_t columns;
    int32_t multiplier;
    int32_t shift;
    int32_t lowest; /* differences below this are taken for e^-infinity */
} softmax;

#ifndef ENGINE_STANDALONE
/* Differences become Q5: times beta * scale * 2^26, at most 2^31 - 1. The lowest difference that stays inside Q5 is
 * -floor(31 * 2^26 / 2^shift) (TensorFlow Lite's PreprocessSoftmaxScaling and CalculateInputRadius). */
static bool scaling_of(preparation *at, const tensor *input, float beta, softmax *it) {
    double real = (double)beta * (double)input->scale * (double)(1 << 26);
    double most = 2147483647.0;
    factor found;
    if (!(real > 1.0)) return unsupported(at, "a scale or beta too small for int8");
    if (!factor_of(real < most ? real : most, &found)) {
        found.multiplier = INT32_MAX;
        found.shift = 31;
    }
    it->multiplier = found.multiplier;
    it->shift = found.shift;
    it->lowest = -(int32_t)(((int64_t)31 << 26) >> found.shift);
    return true;
}

static bool prepare(preparation *at) {
    tensor input, output;
    if (!int8_pair(at, &input, &output)) return false;
    bool alike = input.rank >= 1 && output.rank == input.rank && output.elements == input.elements &&
                 output.dims[output.rank - 1] == input.dims[input.rank - 1];
    if (!alike) return unsupported(at, "input and output differ in shape");
    bool shares = output.zero_point == -128 && output.scale == 1.0f / 256;
    if (!shares) return unsupported(at, "the output must have scale 1/256 and zero point -128");
    if (input.dims[input.rank - 1] > 4095) return unsupported(at, "rows of more than 4,095");
    softmax *it = claim(at, sizeof(softmax));
    if (it == NULL) return false;
    it->columns = input.dims[input.rank - 1];
    it->rows = (int32_t)input.elements / it->columns;
    return scaling_of(at, &input, flat_f32_or(at->file, at->options, BETA, 0.0f), it);
}
#endif

static int32_t exp_of(const softmax *it, int32_t difference) {
    return exp_q5(high_product(shift_left(difference, it->shift), it->multiplier));
}

static void one_row(const softmax *it, const int8_t *inputs, int8_t *output) {
    int32_t largest = -128;
    int32_t sum = 0; /* Q12 */
    for (int32_t column = 0; column < it->columns; column++) {
        if (inputs[column] > largest) largest = inputs[column];
    }
    for (int32_t column = 0; column < it->columns; column++) {
        int32_t difference = inputs[column] - largest;
        if (difference >= it->lowest) sum = wrap_add(sum, divide_by_power(exp_of(it, difference), 12));
    }
    /* 1 / sum = 2^-bits / (1 + x), with x in [0, 1). The largest adds 1, so the sum is never 0. */
    int32_t zeros = __builtin_clz((uint32_t)sum);
    int32_t share = reciprocal_of_one_plus((int32_t)(((uint32_t)sum << zeros) - (1u << 31)));
    int32_t exponent = zeros > 4 ? 12 - zeros + 31 - 8 : 31;
    for (int32_t column = 0; column < it->columns; column++) {
        int32_t difference = inputs[column] - largest;
        bool counts = difference >= it->lowest;
        int32_t answer = counts ? divide_by_power(fixed_product(share, exp_of(it, difference)), exponent) : 0;
        output[column] = (int8_t)saturated(answer - 128);
    }
}

static void run(const running *now) {
    const softmax *it = now->settings;
    const int8_t *inputs = input_bytes(now, 0);
    int8_t *output = output_bytes(now, 0);
    for (int32_t row = 0; row < it->rows; row++) one_row(it, inputs + row * it->columns, output + row * it->columns);
}

const kernel SOFTMAX = {{"SOFTMAX", 25, 1, 3}, prepare, run};
