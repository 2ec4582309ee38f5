/* exp, logistic and tanh in fixed point: gemmlowp's approximations, exact to the bit.
 *
 * Qm is a 32-bit number with m bits before the point: real = raw * 2^(m - 31). Polynomials and constants as in gemmlowp's
 * fixedpoint.h: exp by a Taylor polynomial around -1/8 on [-1/4, 0) and a product of exact powers; 1 / (1 + x) by three steps of
 * Newton and Raphson from 48/17 - 32/17 * d.
 */
#ifndef ENGINE_CURVES_H
#define ENGINE_CURVES_H

#include "numbers.h"

/* e^x for x <= 0 in Q5 (exp_q5) or Q4 (logistic, tanh); results in Q0, 1 as 2^31 - 1. */
int32_t exp_q5(int32_t x);
#ifndef ENGINE_STANDALONE
int32_t logistic_q4(int32_t x);
int32_t tanh_q4(int32_t x);
#endif

/* 1 / (1 + x) in Q0, for x in Q0 from 0 to 1. */
int32_t reciprocal_of_one_plus(int32_t x);

/* a * b in fixed point, where both may be the smallest number. */
static inline int32_t fixed_product(int32_t a, int32_t b) {
    return a == INT32_MIN && b == INT32_MIN ? INT32_MAX : high_product(a, b);
}

#endif
