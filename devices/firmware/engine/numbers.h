/* Fixed-point arithmetic: how int8 networks scale their sums, exact to the bit with TensorFlow Lite's reference kernels.
 *
 * A real factor is kept as multiplier * 2^(shift - 31), with the multiplier in [2^30, 2^31). Scaling rounds twice, as gemmlowp's
 * SaturatingRoundingDoublingHighMul and RoundingDivideByPOT do: half up after the multiplication, half away from zero after the
 * division. Overflow of 32 bits wraps, as it does in those kernels' builds.
 */
#ifndef ENGINE_NUMBERS_H
#define ENGINE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#if -1 >> 1 != -1
#error "right shifts of negative numbers must keep the sign"
#endif

typedef struct {
    int32_t multiplier;
    int32_t shift;
} factor;

typedef struct {
    int32_t low;
    int32_t high;
} bounds;

#ifndef ENGINE_STANDALONE
/* Turn a real factor into fixed point; false where it is negative, infinite, not a number, or 2^30 and more. Below 2^-32: 0. */
bool factor_of(double real, factor *found);

/* What an int8 output may be after a fused activation (ActivationFunctionType: 0 none, 1 RELU, 2 RELU_N1_TO_1, 3 RELU6);
 * false for other activations, or where the limit cannot be told in 32 bits. */
bool activation_bounds(uint8_t activation, float scale, int32_t zero_point, bounds *found);
#endif

/* Round half away from zero; false where the result is outside `limits`. */
bool round_into(double real, bounds limits, int32_t *found);

static inline int32_t wrap_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t wrap_sub(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

static inline int32_t shift_left(int32_t value, int32_t by) {
    return (int32_t)((uint32_t)value << by);
}

/* value / 2^by, rounded half away from zero; by in 0..31. */
static inline int32_t divide_by_power(int32_t value, int32_t by) {
    int32_t mask = (int32_t)((1u << by) - 1u);
    int32_t threshold = (mask >> 1) + (value < 0);
    return (value >> by) + ((value & mask) > threshold);
}

/* a * b / 2^31, rounded half up; not for a == b == -2^31. */
static inline int32_t high_product(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* For factors of 1/2 and more: rare, and out of line to keep the common case short. */
int32_t scale_up(int32_t value, int32_t multiplier, int32_t shift);

/* Halves go away from zero: one less for negative numbers, then half up. With a multiplier below 2^31 the product is between
 * -2^31 + 1 and 2^31 - 2, so neither step overflows. */
static inline int32_t scale_by(int32_t value, int32_t multiplier, int32_t shift) {
    if (shift >= 0) return scale_up(value, multiplier, shift);
    int32_t product = high_product(value, multiplier);
    return (((product + (product >> 31)) >> (-shift - 1)) + 1) >> 1;
}

static inline int8_t clamp(int32_t value, bounds limits) {
    int32_t raised = value < limits.low ? limits.low : value;
    return (int8_t)(raised > limits.high ? limits.high : raised);
}

#endif
