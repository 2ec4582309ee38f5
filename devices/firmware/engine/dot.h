/* Sums of products: the innermost loops of dense layers, one output or four outputs at a time. */
#ifndef ENGINE_DOT_H
#define ENGINE_DOT_H

#include <stdint.h>

/* The sum of weights * (inputs + offset) over `count` neighbours; wraps like the 32-bit accumulators of the reference. */
static inline int32_t dot(const int8_t *inputs, const int8_t *weights, int32_t count, int32_t offset) {
    uint32_t sum = 0;
    for (int32_t index = 0; index < count; index++) sum += (uint32_t)(weights[index] * (inputs[index] + offset));
    return (int32_t)sum;
}

/* The same for four outputs, whose weights are `step` bytes apart, added to `sums`; every input is read once. */
void dot4(const int8_t *inputs, const int8_t *weights, int32_t step, int32_t count, int32_t offset, int32_t sums[4]);

#endif
