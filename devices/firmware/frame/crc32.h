/* CRC-32 as zlib and Ethernet compute it: what tells a damaged frame from a whole one. */
#ifndef EDGEPIPE_CRC32_H
#define EDGEPIPE_CRC32_H

#include <stdint.h>

/* Return the CRC-32 of `count` bytes that follow what had the CRC-32 `before` (0: nothing). */
uint32_t crc32(uint32_t before, const uint8_t *bytes, uint32_t count);

#endif
