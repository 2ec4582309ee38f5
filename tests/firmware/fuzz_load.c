/* A program for fuzzing the engine: every input is a model; it is loaded and, where that works, run once.
 *
 * With -DFUZZ_FILES it reads files named on the command line, or mutates them itself (seeded) where it is given a count first;
 * without, it is a libFuzzer target. The model stands in a block of exactly its size, so that AddressSanitizer sees every read
 * outside of it; the arena likewise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define ARENA_BYTES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t loaded_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *model = malloc(size ? size : 1);
    uint8_t *arena = malloc(ARENA_BYTES);
    engine_clock clock = {NULL, NULL};
    engine_error error;
    if (model == NULL || arena == NULL) abort();
    memcpy(model, data, size);
    engine *loaded = engine_load(model, (uint32_t)size, arena, ARENA_BYTES, clock, &error);
    if (loaded != NULL) {
        for (uint32_t index = 0; index < engine_input_count(loaded); index++) {
            engine_tensor input = engine_input(loaded, index);
            memset(input.data, (int)index + 1, input.bytes);
        }
        engine_invoke(loaded);
        for (uint32_t index = 0; index < engine_output_count(loaded); index++) {
            engine_tensor output = engine_output(loaded, index);
            if (output.bytes > ARENA_BYTES || engine_arena_used(loaded) > ARENA_BYTES) abort();
        }
        loaded_count++;
    } else if (error.status == ENGINE_OK || error.reason[0] == '\0') {
        abort();
    }
    if (memcmp(model, data, size) != 0) abort();
    free(model);
    free(arena);
    return 0;
}

#ifdef FUZZ_FILES

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016. */
static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

/* One to eight changes: a bit, a byte, a word of interest, a copied stretch; sometimes the end is cut. */
static size_t mutate(uint8_t *bytes, size_t size, uint64_t *state) {
    static const uint32_t words[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe};
    uint32_t changes = 1 + (uint32_t)(next_random(state) % 8);
    for (uint32_t change = 0; change < changes && size > 16; change++) {
        uint64_t random = next_random(state);
        size_t at = (size_t)(random >> 8) % (size - 8);
        uint32_t word = words[(random >> 3) % (sizeof words / sizeof words[0])];
        switch (random % 6) {
            case 0: bytes[at] ^= (uint8_t)(1u << (random >> 60 & 7)); break;
            case 1: bytes[at] = (uint8_t)(random >> 56); break;
            case 2: memcpy(bytes + (at & ~(size_t)3), &word, 4); break;
            case 3: memcpy(bytes + (at & ~(size_t)1), &word, 2); break;
            case 4: memmove(bytes + at, bytes + (size_t)(random >> 32) % (size - 8), 8); break;
            default: if (random >> 61 == 0) size = at + 1; break;
        }
    }
    return size;
}

int main(int count, char **words) {
    uint64_t state = 0x9e3779b97f4a7c15ull;
    unsigned long rounds = count > 2 ? strtoul(words[1], NULL, 10) : 0;
    for (int index = 2; index < count; index++) {
        FILE *file = fopen(words[index], "rb");
        static uint8_t whole[1 << 19];
        static uint8_t changed[1 << 19];
        if (file == NULL) return 2;
        size_t size = fread(whole, 1, sizeof whole, file);
        fclose(file);
        LLVMFuzzerTestOneInput(whole, size);
        for (unsigned long round = 0; round < rounds; round++) {
            memcpy(changed, whole, size);
            LLVMFuzzerTestOneInput(changed, mutate(changed, size, &state));
        }
    }
    printf("%lu executions, %u loaded and ran\n", (unsigned long)(count - 2) * (rounds + 1), loaded_count);
    return 0;
}

#endif
