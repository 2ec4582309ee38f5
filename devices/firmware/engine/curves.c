/* gemmlowp's exp, logistic and tanh for 32-bit fixed point, in plain C. */
#include "curves.h"

static const int32_t ONE = INT32_MAX;

/* Shift left by `by`, or stop at the ends of the range. */
static int32_t saturating_left(int32_t value, int32_t by) {
    int32_t threshold = (int32_t)((1u << (31 - by)) - 1u);
    if (value > threshold) return INT32_MAX;
    return value < -threshold ? INT32_MIN : shift_left(value, by);
}

/* e^x for x in [-1/4, 0), Q0: e^(-1/8) * (1 + y + y^2/2 + y^3/6 + y^4/24) with y = x + 1/8. */
static int32_t exp_of_last_quarter(int32_t x) {
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    int32_t y = x + (1 << 28);
    int32_t y2 = fixed_product(y, y);
    int32_t y3 = fixed_product(y2, y);
    int32_t y4 = fixed_product(y2, y2);
    int32_t tail = divide_by_power(fixed_product(divide_by_power(y4, 2) + y3, third) + y2, 1);
    return exp_of_minus_eighth + fixed_product(exp_of_minus_eighth, y + tail);
}

/* e^x for x <= 0 with `integer_bits` before the point: the last quarter by polynomial, the rest bit by bit: e^-(2^k), k = -2.. */
static int32_t exp_below_zero(int32_t x, int32_t integer_bits) {
    static const int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    int32_t fraction_bits = 31 - integer_bits;
    int32_t quarter = (int32_t)(1u << (fraction_bits - 2));
    int32_t rest = (x & (quarter - 1)) - quarter;
    int32_t result = exp_of_last_quarter(saturating_left(rest, integer_bits));
    int32_t remainder = wrap_sub(rest, x);
    if (x == 0) return ONE;
    for (int32_t power = 0; power < integer_bits + 2; power++) {
        if ((uint32_t)remainder & 1u << (fraction_bits - 2 + power)) result = fixed_product(result, powers[power]);
    }
    return result;
}

/* 1 / half_denominator in Q2, half_denominator in Q0 from 1/2 to 1. */
static int32_t newton_reciprocal(int32_t x) {
    const int32_t q2_48_over_17 = 1515870810;
    const int32_t q2_minus_32_over_17 = -1010580540;
    int32_t half_denominator = (int32_t)(((int64_t)x + ONE + 1) / 2);
    int32_t guess = q2_48_over_17 + fixed_product(half_denominator, q2_minus_32_over_17);
    for (int step = 0; step < 3; step++) {
        int32_t error = (1 << 29) - fixed_product(half_denominator, guess);
        guess = wrap_add(guess, saturating_left(fixed_product(guess, error), 2));
    }
    return guess;
}

int32_t reciprocal_of_one_plus(int32_t x) {
    return saturating_left(newton_reciprocal(x), 1);
}

int32_t exp_q5(int32_t x) {
    return exp_below_zero(x, 5);
}

#ifndef ENGINE_STANDALONE
int32_t logistic_q4(int32_t x) {
    if (x == 0) return 1 << 30;
    int32_t of_positive = reciprocal_of_one_plus(exp_below_zero(x > 0 ? -x : x, 4));
    return x > 0 ? of_positive : ONE - of_positive;
}

/* tanh(x) = (1 - e^-2x) / (1 + e^-2x); doubling x moves the point by one bit. */
int32_t tanh_q4(int32_t x) {
    if (x == 0) return 0;
    int32_t doubled = exp_below_zero(x > 0 ? -x : x, 5);
    int32_t of_positive = saturating_left(wrap_sub(newton_reciprocal(doubled), 1 << 29), 2);
    return x > 0 ? of_positive : -of_positive;
}
#endif
