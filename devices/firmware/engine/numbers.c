/* Real factors and limits, turned into fixed point once, when a model is loaded. */
#include "numbers.h"

#include <string.h>

#ifndef ENGINE_STANDALONE
/* The double's own bits hold both parts: real = 1.f * 2^(e - 1023) = 0.1f * 2^(e - 1022). The 53 bits of 0.1f are rounded half up
 * to 31; TensorFlow Lite's QuantizeMultiplier says the same with frexp and round, and takes what is below 2^-32 for 0. */
bool factor_of(double real, factor *found) {
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7ff);
    if (bits >> 63 || exponent == 0x7ff) return false;
    int32_t shift = exponent - 1022;
    uint64_t fraction = (bits & 0xfffffffffffffull) | 1ull << 52;
    uint32_t multiplier = (uint32_t)((fraction + (1u << 21)) >> 22);
    if (multiplier == 1u << 31) {
        multiplier >>= 1;
        shift++;
    }
    bool vanishes = shift < -31;
    found->multiplier = vanishes ? 0 : (int32_t)multiplier;
    found->shift = vanishes ? 0 : shift;
    return shift <= 30;
}
#endif

int32_t scale_up(int32_t value, int32_t multiplier, int32_t shift) {
    return high_product(shift_left(value, shift), multiplier);
}

bool round_into(double real, bounds limits, int32_t *found) {
    double away = real < 0 ? real - 0.5 : real + 0.5;
    bool fits = away > limits.low - 1.0 && away < limits.high + 1.0;
    if (fits) *found = (int32_t)away;
    return fits;
}

#ifndef ENGINE_STANDALONE
/* The limit's place on the output's scale, in single precision as in TensorFlow Lite's CalculateActivationRangeQuantized. */
static bool place_of(float limit, float scale, int32_t zero_point, int32_t *found) {
    const bounds room = {-(1 << 30), 1 << 30};
    if (!round_into((double)(limit / scale), room, found)) return false;
    *found += zero_point;
    return true;
}

bool activation_bounds(uint8_t activation, float scale, int32_t zero_point, bounds *found) {
    static const float lows[] = {0.0f, 0.0f, -1.0f, 0.0f};
    static const float highs[] = {0.0f, 0.0f, 1.0f, 6.0f};
    int32_t low = -128;
    int32_t high = 127;
    if (activation > 3) return false;
    if (activation != 0 && !place_of(lows[activation], scale, zero_point, &low)) return false;
    if (activation >= 2 && !place_of(highs[activation], scale, zero_point, &high)) return false;
    found->low = low < -128 ? -128 : low;
    found->high = high > 127 ? 127 : high;
    return true;
}
#endif
