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

/* Halves go away from zero: one less for negative numbers, then half up. The product of a multiplier below 2^31 is between
 * -2^31 + 1 and 2^31 - 2, so neither step overflows. Shifts are below 0. */
static inline int32_t scale_down(int32_t product, int32_t shift) {
    return (((product + (product >> 31)) >> ~shift) + 1) >> 1;
}

static inline int32_t scale_by(int32_t value, int32_t multiplier, int32_t shift) {
    if (shift >= 0) return scale_up(value, multiplier, shift);
    return scale_down(high_product(value, multiplier), shift);
}

/* high_product() for a multiplier of 2^30 and more. Twice that less 2^32 fits in 32 bits, and SMMLAR adds the missing value * 2^32. */
static inline int32_t factor_product(int32_t value, int32_t multiplier) {
#if defined(__ARM_FEATURE_DSP)
    int32_t found;
    __asm__("smmlar %0, %1, %2, %1" : "=r"(found) : "r"(value), "r"(shift_left(multiplier, 1)));
    return found;
#else
    return high_product(value, multiplier);
#endif
}

/* The nearest int8. */
static inline int32_t saturated(int32_t value) {
#if defined(__ARM_FEATURE_SAT)
    int32_t found;
    __asm__("ssat %0, #8, %1" : "=r"(found) : "r"(value));
    return found;
#else
    return value < -128 ? -128 : value > 127 ? 127 : value;
#endif
}

static inline int8_t clamp(int32_t value, bounds limits) {
    int32_t raised = value < limits.low ? limits.low : value;
    return (int8_t)(raised > limits.high ? limits.high : raised);
}

#endif
