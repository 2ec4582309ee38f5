/* SHA-256 (FIPS 180-4): what proves that a model arrived as it was sent. */
#ifndef EDGEPIPE_SHA256_H
#define EDGEPIPE_SHA256_H

#include <stdint.h>

#define SHA256_BYTES 32u

/* Write the digest of `count` bytes. */
void sha256(const uint8_t *bytes, uint32_t count, uint8_t digest[SHA256_BYTES]);

#endif
