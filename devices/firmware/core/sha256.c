/* SHA-256 as FIPS 180-4 gives it, in one go over bytes that are all there. */
#include "core/sha256.h"

#include <string.h>

#define BLOCK_BYTES 64u
#define LENGTH_BYTES 8u

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t ROUND[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static uint32_t turned(uint32_t word, uint32_t by)
{
    return word >> by | word << (32u - by);
}

static uint32_t big_endian(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* FIPS 180-4, 6.2.2. */
static void take_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t schedule[64];
    uint32_t v[8];
    for (uint32_t i = 0; i < 16u; i++) {
        schedule[i] = big_endian(block + 4u * i);
    }
    for (uint32_t i = 16u; i < 64u; i++) {
        uint32_t s0 = turned(schedule[i - 15], 7) ^ turned(schedule[i - 15], 18) ^ schedule[i - 15] >> 3;
        uint32_t s1 = turned(schedule[i - 2], 17) ^ turned(schedule[i - 2], 19) ^ schedule[i - 2] >> 10;
        schedule[i] = schedule[i - 16] + s0 + schedule[i - 7] + s1;
    }
    memcpy(v, state, sizeof v);
    for (uint32_t i = 0; i < 64u; i++) {
        uint32_t s1 = turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25);
        uint32_t one = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUND[i] + schedule[i];
        uint32_t s0 = turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22);
        uint32_t two = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7u * sizeof v[0]);
        v[4] += one;
        v[0] = one + two;
    }
    for (uint32_t i = 0; i < 8u; i++) {
        state[i] += v[i];
    }
}

void sha256(const uint8_t *bytes, uint32_t count, uint8_t digest[SHA256_BYTES])
{
    /* FIPS 180-4, 5.3.3: the same of the square roots of the first 8 primes. */
    uint32_t state[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    uint8_t end[2u * BLOCK_BYTES] = {0};
    uint32_t rest = count % BLOCK_BYTES;
    uint32_t end_bytes = rest + 1u + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2u * BLOCK_BYTES;
    uint64_t bits = (uint64_t)count * 8u;
    for (uint32_t at = 0; at + BLOCK_BYTES <= count; at += BLOCK_BYTES) {
        take_block(state, bytes + at);
    }
    if (rest != 0u) {
        memcpy(end, bytes + (count - rest), rest);
    }
    end[rest] = 0x80;
    for (uint32_t i = 0; i < LENGTH_BYTES; i++) {
        end[end_bytes - 1u - i] = (uint8_t)(bits >> (8u * i) & 0xFFu);
    }
    for (uint32_t at = 0; at < end_bytes; at += BLOCK_BYTES) {
        take_block(state, end + at);
    }
    for (uint32_t i = 0; i < SHA256_BYTES; i++) {
        digest[i] = (uint8_t)(state[i / 4u] >> (24u - 8u * (i % 4u)) & 0xFFu);
    }
}
