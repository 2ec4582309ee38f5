/* Two pixels by two outputs at a time: every word that is loaded is used twice. */
#include "column.h"

#include "numbers.h"
#include "pairs.h"

/* GCC's scheduler would load more at once than there are registers for. */
#if defined(__ARM_FEATURE_DSP) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#ifdef ENGINE_PAIRS
/* Four neighbours of both pixels are four words: the even pair of each, then the odd pair of each. */
static inline int32_t place_of(int32_t pixel, int32_t index) {
    return (index & ~3) * 2 + (index & 1) * 4 + pixel * 2 + (index >> 1 & 1);
}
#else
static inline int32_t place_of(int32_t pixel, int32_t index) {
    return 2 * index + pixel;
}
#endif

void column_clear(int16_t *column, int32_t pixel, int32_t count) {
    for (int32_t index = 0; index < count; index++) column[place_of(pixel, index)] = 0;
}

void column_fill(int16_t *column, int32_t pixel, int32_t index, const int8_t *inputs, int32_t count, int32_t offset) {
    int32_t end = index + count;
#ifdef ENGINE_PAIRS
    const uint32_t offsets = pair_of(offset, offset);
    if (index % 4 == 0) {
        uint32_t *words = (uint32_t *)(void *)(column + place_of(pixel, index));
        for (; index + 4 <= end; index += 4, inputs += 4, words += 4) {
            uint32_t word = four_at(inputs);
            words[0] = even_pair(word, offsets);
            words[2] = odd_pair(word, offsets);
        }
    }
#endif
    for (; index < end; index++, inputs++) column[place_of(pixel, index)] = (int16_t)(*inputs + offset);
}

void column_sums(const int16_t *column, int32_t count, const int8_t *weights, int32_t outputs, int32_t *first, int32_t *second) {
    for (; outputs > 0; outputs -= 2, first += 2, second += 2, weights += count) {
        const int32_t step = outputs > 1 ? count : 0;
        int32_t a = first[0], b = first[1], c = second[0], d = second[1];
        int32_t index = 0;
#ifdef ENGINE_PAIRS
        const uint32_t *words = (const uint32_t *)(const void *)column;
        for (const uint32_t *end = words + (count & ~3); words != end;) {
            uint32_t left, right;
            uint32_t next = four_at(weights + step);
            uint32_t here = four_at(weights);
            weights += 4;
            words = two_words(words, &left, &right);
            uint32_t factors = even_bytes(here);
            a = add_both(a, left, factors);
            c = add_both(c, right, factors);
            factors = even_bytes(next);
            b = add_both(b, left, factors);
            d = add_both(d, right, factors);
            words = two_words(words, &left, &right);
            factors = odd_bytes(here);
            a = add_both(a, left, factors);
            c = add_both(c, right, factors);
            factors = odd_bytes(next);
            b = add_both(b, left, factors);
            d = add_both(d, right, factors);
        }
        index = count & ~3;
#endif
        for (; index < count; index++, weights++) {
            int32_t left = column[place_of(0, index)];
            int32_t right = column[place_of(1, index)];
            a = wrap_add(a, left * weights[0]);
            b = wrap_add(b, left * weights[step]);
            c = wrap_add(c, right * weights[0]);
            d = wrap_add(d, right * weights[step]);
        }
        first[0] = a;
        first[1] = b;
        second[0] = c;
        second[1] = d;
    }
}
