/* A record is written in one go and read back; where it stands follows from what is erased. */
#include "core/slot_log.h"

#include <stddef.h>
#include <string.h>

#include "frame/bytes.h"
#include "frame/crc32.h"
#include "port/port.h"

#define MAGIC 0x4C535045u /* "EPSL" */
#define RECORD_BYTES 128u
#define AT_KIND 4u
#define AT_SEQUENCE 8u
#define AT_MODEL_BYTES 12u
#define AT_VERSION 16u
#define AT_FLOOR 24u
#define AT_SHA256 32u
#define AT_WORDS 32u
#define AT_NAME 64u
#define AT_SCORES 96u
#define AT_CRC 124u
#define ERASED 0xFFu

static uint32_t stride(void)
{
    return PORT_FLASH.unit_bytes > RECORD_BYTES ? PORT_FLASH.unit_bytes : RECORD_BYTES;
}

static const uint8_t *record_at(uint32_t offset, uint32_t index)
{
    return PORT_FLASH.base + offset + index * stride();
}

static bool is_whole(const uint8_t *record)
{
    return get_u32(record) == MAGIC && get_u32(record + AT_CRC) == crc32(0, record, AT_CRC);
}

static bool is_erased(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != ERASED) {
            return false;
        }
    }
    return true;
}

struct slot_story slot_log_read(uint32_t offset)
{
    struct slot_story story = {0};
    const uint8_t *header = record_at(offset, 0);
    if (!is_whole(header) || get_u32(header + AT_KIND) != SLOT_HEADER) {
        return story;
    }
    story.marks = SLOT_HAS(SLOT_HEADER);
    story.sequence = get_u32(header + AT_SEQUENCE);
    story.model_bytes = get_u32(header + AT_MODEL_BYTES);
    story.version = get_u64(header + AT_VERSION);
    story.floor = get_u64(header + AT_FLOOR);
    story.sha256 = header + AT_SHA256;
    story.name = (const char *)(header + AT_NAME);
    story.scores = header[AT_SCORES];
    for (uint32_t i = 1; i < PORT_FLASH.sector_bytes / stride(); i++) {
        const uint8_t *record = record_at(offset, i);
        const uint32_t kind = get_u32(record + AT_KIND);
        if (is_whole(record) && get_u32(record + AT_SEQUENCE) == story.sequence && kind > SLOT_HEADER && kind <= SLOT_REVOKED) {
            story.marks |= SLOT_HAS(kind);
            story.words = kind == SLOT_REVOKED ? record + AT_WORDS : story.words;
        }
    }
    return story;
}

/* Complete the record and write it into place. */
static bool put(uint8_t record[PORT_UNIT_BYTES_MAX], enum slot_record kind, uint32_t sequence, uint32_t at)
{
    put_u32(record, MAGIC);
    put_u32(record + AT_KIND, kind);
    put_u32(record + AT_SEQUENCE, sequence);
    put_u32(record + AT_CRC, crc32(0, record, AT_CRC));
    return PORT_FLASH.program(at, record, stride()) && memcmp(PORT_FLASH.base + at, record, stride()) == 0;
}

bool slot_log_begin(uint32_t offset, const struct slot_title *title)
{
    uint8_t record[PORT_UNIT_BYTES_MAX];
    memset(record, ERASED, sizeof record);
    put_u32(record + AT_MODEL_BYTES, title->order->total_bytes);
    put_u64(record + AT_VERSION, title->version);
    put_u64(record + AT_FLOOR, title->floor);
    memcpy(record + AT_SHA256, title->order->sha256, SHA256_BYTES);
    memcpy(record + AT_NAME, title->order->name, UPLOAD_NAME_BYTES);
    record[AT_NAME + UPLOAD_NAME_BYTES - 1u] = 0;
    record[AT_SCORES] = title->order->scores;
    return put(record, SLOT_HEADER, title->sequence, offset);
}

bool slot_log_mark(uint32_t offset, enum slot_record kind, const uint8_t *words, uint32_t words_bytes)
{
    uint8_t record[PORT_UNIT_BYTES_MAX];
    const struct slot_story story = slot_log_read(offset);
    if (story.marks == 0u) {
        return false;
    }
    memset(record, ERASED, sizeof record);
    if (words != NULL) {
        memset(record + AT_WORDS, 0, SLOT_WORDS_BYTES);
        memcpy(record + AT_WORDS, words, words_bytes < SLOT_WORDS_BYTES ? words_bytes : SLOT_WORDS_BYTES);
    }
    /* What looks erased need not be: where power failed in the middle, flash with a checksum a unit may take nothing more. */
    for (uint32_t i = 1; i < PORT_FLASH.sector_bytes / stride(); i++) {
        if (is_erased(record_at(offset, i), stride()) && put(record, kind, story.sequence, offset + i * stride())) {
            return true;
        }
    }
    return false;
}
