/* Four int8 in a word, as two pairs of 16 bits: what Armv7E-M's SXTB16, SXTAB16, SMLAD and SMLABB do in one instruction each.
 *
 * Bytes 0 and 2 make the even pair, bytes 1 and 3 the odd one. The same operations in C stand beside them, so that whatever is
 * written with pairs can be tested on any machine (-DENGINE_PAIRS); machines without these instructions do not use them.
 */
#ifndef ENGINE_PAIRS_H
#define ENGINE_PAIRS_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && !defined(ENGINE_PAIRS)
#define ENGINE_PAIRS 1
#endif

static inline uint32_t pair_of(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

static inline uint32_t four_at(const int8_t *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

#if defined(__ARM_FEATURE_DSP)

static inline uint32_t even_pair(uint32_t word, uint32_t offsets) {
    uint32_t found;
    __asm__("sxtab16 %0, %1, %2" : "=r"(found) : "r"(offsets), "r"(word));
    return found;
}

static inline uint32_t odd_pair(uint32_t word, uint32_t offsets) {
    uint32_t found;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(found) : "r"(offsets), "r"(word));
    return found;
}

static inline uint32_t even_bytes(uint32_t word) {
    uint32_t found;
    __asm__("sxtb16 %0, %1" : "=r"(found) : "r"(word));
    return found;
}

static inline uint32_t odd_bytes(uint32_t word) {
    uint32_t found;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(found) : "r"(word));
    return found;
}

static inline int32_t add_low(int32_t sum, uint32_t a, uint32_t b) {
    int32_t found;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(found) : "r"(a), "r"(b), "r"(sum));
    return found;
}

static inline int32_t add_high(int32_t sum, uint32_t a, uint32_t b) {
    int32_t found;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(found) : "r"(a), "r"(b), "r"(sum));
    return found;
}

static inline int32_t add_both(int32_t sum, uint32_t a, uint32_t b) {
    int32_t found;
    __asm__("smlad %0, %1, %2, %3" : "=r"(found) : "r"(a), "r"(b), "r"(sum));
    return found;
}

/* Two words, whatever was written there, and the place behind them. */
static inline const uint32_t *two_words(const uint32_t *from, uint32_t *first, uint32_t *second) {
    const uint32_t *at = from;
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(*first), "=&r"(*second), "+r"(at) : "m"(*(const uint8_t(*)[8])from));
    return at;
}

#else

/* The signed bytes of a word, each with its half of `offsets` added. */
static inline uint32_t even_pair(uint32_t word, uint32_t offsets) {
    return pair_of((int8_t)word + (int16_t)offsets, (int8_t)(word >> 16) + (int16_t)(offsets >> 16));
}

static inline uint32_t odd_pair(uint32_t word, uint32_t offsets) {
    return even_pair(word >> 8, offsets);
}

static inline uint32_t even_bytes(uint32_t word) {
    return even_pair(word, 0);
}

static inline uint32_t odd_bytes(uint32_t word) {
    return odd_pair(word, 0);
}

/* a.low * b.low and a.high * b.high, each added to a sum of its own. */
static inline int32_t add_low(int32_t sum, uint32_t a, uint32_t b) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)a * (int16_t)b));
}

static inline int32_t add_high(int32_t sum, uint32_t a, uint32_t b) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)(a >> 16) * (int16_t)(b >> 16)));
}

static inline int32_t add_both(int32_t sum, uint32_t a, uint32_t b) {
    return add_high(add_low(sum, a, b), a, b);
}

static inline const uint32_t *two_words(const uint32_t *from, uint32_t *first, uint32_t *second) {
    __builtin_memcpy(first, from, sizeof *first);
    __builtin_memcpy(second, from + 1, sizeof *second);
    return from + 2;
}

#endif

#endif
