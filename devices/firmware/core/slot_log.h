/* What is written of one slot: records in its first sector, each written once and proved by a checksum.

   The first says which model the slot is for; each later one is a mark that it got on its way. A mark that was cut short while it
   was written counts for nothing, and is written again behind it: nothing here is ever changed in place.

   A record takes 128 bytes, or a unit of the flash where that is larger; little-endian, FF where nothing stands:
     0 magic u32, 4 kind u32, 8 sequence u32, 124 CRC-32 u32 of all before it
     header: 12 bytes of the model u32, 16 version u64, 24 floor u64, 32 sha256 32, 64 name 32, 96 scores u8
     revoked: 32 words 64 */
#ifndef EDGEPIPE_SLOT_LOG_H
#define EDGEPIPE_SLOT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sha256.h"
#include "core/upload.h"

#define SLOT_WORDS_BYTES 64u

enum slot_record {
    SLOT_HEADER = 1,
    SLOT_WHOLE = 2,     /* the model stands in the slot, read back with the right hash */
    SLOT_TRIED = 3,     /* it was started on trial */
    SLOT_CONFIRMED = 4, /* the host keeps it */
    SLOT_REVOKED = 5,   /* the host does not want it any more */
};

#define SLOT_HAS(kind) (1u << (kind))

/* A slot as its records tell; the pointers are into the flash. */
struct slot_story {
    uint32_t marks; /* SLOT_HAS(...) of each record; 0 where there is no header */
    uint32_t sequence;
    uint32_t model_bytes;
    uint64_t version; /* 0: none was given */
    uint64_t floor;   /* the highest version that had been confirmed when the slot was written */
    const uint8_t *sha256;
    const char *name; /* ends with a zero */
    uint8_t scores;
    const uint8_t *words; /* SLOT_WORDS_BYTES of why it was revoked, or NULL */
};

/* What a header is written from. */
struct slot_title {
    uint32_t sequence;
    uint64_t version, floor;
    const struct upload_order *order;
};

/* Read the records in the sector at `offset` of the flash. */
struct slot_story slot_log_read(uint32_t offset);

/* Write the header into an erased sector. */
bool slot_log_begin(uint32_t offset, const struct slot_title *title);

/* Write a mark behind what is there; `words`, of at most SLOT_WORDS_BYTES, may be NULL. */
bool slot_log_mark(uint32_t offset, enum slot_record kind, const uint8_t *words, uint32_t words_bytes);

#endif
