/* What two output pixels see, widened to 16 bits with the input's offset added: each weight is then widened once for both.
 *
 * Taps outside of the picture are 0 here: they add nothing. Where the machine has pairs of 16 bits, the order is theirs.
 */
#ifndef ENGINE_COLUMN_H
#define ENGINE_COLUMN_H

#include <stdint.h>

/* Bytes of a column of `count` inputs per pixel; it is aligned to 4. */
static inline uint64_t column_bytes(uint32_t count) {
    return ((uint64_t)count + 3) / 4 * 16;
}

/* Set one pixel's inputs: all of a column of `count` to 0, or `count` neighbours from `index` on to inputs + offset. */
void column_clear(int16_t *column, int32_t pixel, int32_t count);
void column_fill(int16_t *column, int32_t pixel, int32_t index, const int8_t *inputs, int32_t count, int32_t offset);

/* The sums of weights * column for `outputs` outputs with `count` weights each, of both pixels, are added to what stands in `first` and
 * `second`; they wrap like the 32-bit accumulators of the reference. Behind an odd number of sums stands one that is not wanted. */
void column_sums(const int16_t *column, int32_t count, const int8_t *weights, int32_t outputs, int32_t *first, int32_t *second);

#endif
