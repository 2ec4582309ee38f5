/* Operators of two int8 numbers: ADD, SUB, MUL, MAXIMUM, MINIMUM, the smaller input repeated over the larger. */
#include <stddef.h>

#include "kernels.h"
#include "walk.h"

typedef struct {
    walk a;
    walk b;
    factor of_a;
    factor of_b;
    factor of_result;
    bounds limits;
    int32_t a_zero;
    int32_t b_zero;
    int32_t zero;
} binary;

#ifndef ENGINE_STANDALONE
static binary *claim_binary(preparation *at, tensor *a, tensor *b, tensor *output) {
    walk over_a, over_b;
    if (!int8_pair(at, a, output) || !input_tensor(at, 1, b)) return NULL;
    if (b->type != TYPE_INT8 || b->scale <= 0) return unsupported(at, "both inputs must be int8 with a scale"), NULL;
    if (!walk_repeated(a, output, &over_a) || !walk_repeated(b, output, &over_b)) {
        unsupported(at, "an input cannot be repeated over the output's shape");
        return NULL;
    }
    binary *it = claim(at, sizeof(binary));
    if (it == NULL) return NULL;
    it->a = over_a;
    it->b = over_b;
    it->a_zero = a->zero_point;
    it->b_zero = b->zero_point;
    it->zero = output->zero_point;
    return it;
}

static bool fused(preparation *at, const tensor *output, binary *it) {
    uint8_t activation = flat_u8_or(at->file, at->options, 0, 0);
    return activation_bounds(activation, output->scale, output->zero_point, &it->limits) || unsupported(at, "an unknown activation");
}

/* Both inputs go to a scale that is twice the larger one's and 2^20 times finer; all three factors are below 1 (TensorFlow Lite's
 * CalculateOpDataAdd). */
static bool prepare_sum(preparation *at) {
    tensor a, b, output;
    binary *it = claim_binary(at, &a, &b, &output);
    if (it == NULL || !fused(at, &output, it)) return false;
    double twice_larger = 2 * (double)(a.scale > b.scale ? a.scale : b.scale);
    double back = twice_larger / ((double)(1 << 20) * (double)output.scale);
    if (!(back < 1.0)) return unsupported(at, "an output scale too small beside the inputs'");
    return (factor_of((double)a.scale / twice_larger, &it->of_a) && factor_of((double)b.scale / twice_larger, &it->of_b) &&
            factor_of(back, &it->of_result)) ||
           unsupported(at, "scales too far apart");
}

static bool prepare_product(preparation *at) {
    tensor a, b, output;
    binary *it = claim_binary(at, &a, &b, &output);
    if (it == NULL || !fused(at, &output, it)) return false;
    double real = (double)a.scale * (double)b.scale / (double)output.scale;
    return factor_of(real, &it->of_result) || unsupported(at, "scales too far apart");
}

static bool prepare_choice(preparation *at) {
    tensor a, b, output;
    return claim_binary(at, &a, &b, &output) != NULL;
}
#endif

typedef int8_t (*combination)(const binary *it, int32_t a, int32_t b);

static void combine(const running *now, combination of) {
    const binary *it = now->settings;
    const int8_t *a = input_bytes(now, 0);
    const int8_t *b = input_bytes(now, 1);
    int8_t *output = output_bytes(now, 0);
    walker at_a = walk_start(&it->a);
    walker at_b = walk_start(&it->b);
    for (int32_t left = walk_count(&it->a); left > 0; left--) {
        *output++ = of(it, a[at_a.at], b[at_b.at]);
        walk_next(&it->a, &at_a);
        walk_next(&it->b, &at_b);
    }
}

static int32_t finer(int32_t value, int32_t zero, factor by) {
    return scale_by((value - zero) * (1 << 20), by.multiplier, by.shift);
}

static int8_t back(const binary *it, int32_t value) {
    return clamp(wrap_add(scale_by(value, it->of_result.multiplier, it->of_result.shift), it->zero), it->limits);
}

static int8_t sum(const binary *it, int32_t a, int32_t b) {
    return back(it, finer(a, it->a_zero, it->of_a) + finer(b, it->b_zero, it->of_b));
}

static int8_t difference(const binary *it, int32_t a, int32_t b) {
    return back(it, finer(a, it->a_zero, it->of_a) - finer(b, it->b_zero, it->of_b));
}

static int8_t product(const binary *it, int32_t a, int32_t b) {
    return back(it, (a - it->a_zero) * (b - it->b_zero));
}

static int8_t larger(const binary *it, int32_t a, int32_t b) {
    (void)it;
    return (int8_t)(a > b ? a : b);
}

static int8_t smaller(const binary *it, int32_t a, int32_t b) {
    (void)it;
    return (int8_t)(a < b ? a : b);
}

static void run_sum(const running *now) {
    combine(now, sum);
}

static void run_difference(const running *now) {
    combine(now, difference);
}

static void run_product(const running *now) {
    combine(now, product);
}

static void run_larger(const running *now) {
    combine(now, larger);
}

static void run_smaller(const running *now) {
    combine(now, smaller);
}

const kernel ADD = {{"ADD", 0, 1, 5}, prepare_sum, run_sum};
const kernel MAXIMUM = {{"MAXIMUM", 55, 1, 4}, prepare_choice, run_larger};
const kernel MINIMUM = {{"MINIMUM", 57, 1, 4}, prepare_choice, run_smaller};
const kernel MUL = {{"MUL", 18, 1, 7}, prepare_product, run_product};
const kernel SUB = {{"SUB", 41, 1, 5}, prepare_sum, run_difference};
