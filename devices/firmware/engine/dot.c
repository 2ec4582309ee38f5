/* Four outputs at a time: the inputs are widened once and meet four rows of weights, in pairs where the machine has them. */
#include "dot.h"

#include "numbers.h"
#include "pairs.h"

/* GCC's scheduler would load all weights first and then has no registers left: a fifth more instructions on a Cortex-M4. */
#if defined(__ARM_FEATURE_DSP) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#ifdef ENGINE_PAIRS
/* Four inputs times four weights. */
static inline int32_t four_products(int32_t sum, uint32_t even, uint32_t odd, uint32_t weights) {
    return add_both(add_both(sum, even, even_bytes(weights)), odd, odd_bytes(weights));
}
#endif

void dot4(const int8_t *inputs, const int8_t *weights, int32_t step, int32_t count, int32_t offset, int32_t sums[4]) {
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *later = weights + 2 * step;
    const int8_t *end = inputs + count;
#ifdef ENGINE_PAIRS
    const uint32_t offsets = pair_of(offset, offset);
    for (const int8_t *last = inputs + (count & ~3); inputs != last;) {
        uint32_t word = four_at(inputs);
        uint32_t even = even_pair(word, offsets);
        uint32_t odd = odd_pair(word, offsets);
        inputs += 4;
        b = four_products(b, even, odd, four_at(weights + step));
        a = four_products(a, even, odd, four_at(weights));
        weights += 4;
        d = four_products(d, even, odd, four_at(later + step));
        c = four_products(c, even, odd, four_at(later));
        later += 4;
    }
#endif
    for (; inputs != end; inputs++, weights++, later++) {
        int32_t input = *inputs + offset;
        a = wrap_add(a, weights[0] * input);
        b = wrap_add(b, weights[step] * input);
        c = wrap_add(c, later[0] * input);
        d = wrap_add(d, later[step] * input);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}
