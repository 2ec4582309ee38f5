/* Erased are the model's sectors first and the records last: as soon as anything is gone, the hash of what the records tell of is
   wrong, however the power is cut. Written are the header, the model, and last of all the mark that it is whole. */
#include "core/staging.h"

#include <string.h>

#include "core/upload.h"
#include "port/port.h"

#define CHUNK_BYTES 1024u /* a multiple of every unit */
#define ERASED 0xFFu

static struct {
    bool is_under_way;
    uint32_t slot, sectors, done; /* sectors of the model */
    struct slot_title title;
    uint8_t sha256[SHA256_BYTES];
} job;

static uint64_t larger(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

/* The highest version that was confirmed, as far as the slots know. */
static uint64_t floor_now(void)
{
    uint64_t found = 0;
    for (uint32_t slot = 0; slot < SLOTS_COUNT; slot++) {
        const struct slot_story story = slots_story(slot);
        found = larger(found, larger(story.floor, (story.marks & SLOT_HAS(SLOT_CONFIRMED)) != 0u ? story.version : 0u));
    }
    return found;
}

static uint32_t free_slot(void)
{
    if (slots_running() != SLOTS_NONE) {
        return 1u - slots_running();
    }
    return slots_story(0).sequence <= slots_story(1).sequence ? 0u : 1u;
}

/* Whether the free slot holds the upload already, and only waits for a reset. */
static bool is_staged(const struct upload_order *order, uint64_t version, uint32_t *sequence)
{
    const struct slot_story story = slots_story(free_slot());
    *sequence = story.sequence;
    return story.marks == (SLOT_HAS(SLOT_HEADER) | SLOT_HAS(SLOT_WHOLE)) && story.version == version &&
           memcmp(story.sha256, order->sha256, SHA256_BYTES) == 0 && slots_is_sound(free_slot());
}

static void begin(const struct upload_order *order, uint64_t version)
{
    const uint32_t first = slots_story(0).sequence, second = slots_story(1).sequence;
    const uint32_t sector_bytes = PORT_FLASH.sector_bytes;
    job.is_under_way = true;
    job.slot = free_slot();
    job.sectors = order->total_bytes / sector_bytes + (order->total_bytes % sector_bytes != 0u ? 1u : 0u);
    job.done = 0;
    job.title = (struct slot_title){.sequence = 1u + (first > second ? first : second), .version = version, .floor = floor_now()};
    memcpy(job.sha256, order->sha256, SHA256_BYTES);
}

/* Bytes that erasing counts for. */
static uint32_t erasing(void)
{
    return (job.sectors + 1u) * PORT_FLASH.sector_bytes;
}

static bool erase_next(void)
{
    const uint32_t sector = job.done / PORT_FLASH.sector_bytes + 1u;
    job.done += PORT_FLASH.sector_bytes;
    return PORT_FLASH.erase(slots_offset(job.slot) + (sector > job.sectors ? 0u : sector * PORT_FLASH.sector_bytes));
}

static bool write_next(const struct upload_order *order)
{
    uint8_t chunk[CHUNK_BYTES];
    const uint32_t from = job.done - erasing();
    const uint32_t left = order->total_bytes - from;
    const uint32_t count = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    const uint32_t padded = (count + PORT_FLASH.unit_bytes - 1u) & ~(PORT_FLASH.unit_bytes - 1u);
    const uint32_t at = slots_offset(job.slot) + PORT_FLASH.sector_bytes + from;
    job.title.order = order;
    if (from == 0u && !slot_log_begin(slots_offset(job.slot), &job.title)) {
        return false;
    }
    memset(chunk, ERASED, sizeof chunk);
    memcpy(chunk, PORT_MEMORY.model + from, count);
    job.done += count;
    return PORT_FLASH.program(at, chunk, padded) && memcmp(PORT_FLASH.base + at, chunk, padded) == 0;
}

static bool step(const struct upload_order *order)
{
    const uint32_t total = erasing() + order->total_bytes;
    if (job.done < erasing()) {
        return erase_next();
    }
    if (job.done < total && !write_next(order)) {
        return false;
    }
    return job.done < total || (slots_is_sound(job.slot) && slot_log_mark(slots_offset(job.slot), SLOT_WHOLE, NULL, 0));
}

enum staging_result staging_step(uint64_t version, struct staging_progress *progress)
{
    const struct upload_order *order = upload_current();
    if (slots_capacity() == 0u) {
        return STAGING_NO_FLASH;
    }
    if (!slots_are_settled()) {
        return STAGING_ON_TRIAL;
    }
    if (order == NULL || upload_offset() != order->total_bytes || order->total_bytes == 0u) {
        return STAGING_NO_UPLOAD;
    }
    if (order->total_bytes > slots_capacity()) {
        return STAGING_TOO_LARGE;
    }
    if (!job.is_under_way || job.slot == slots_running() || job.title.version != version || memcmp(job.sha256, order->sha256, SHA256_BYTES) != 0) {
        if (is_staged(order, version, &progress->sequence)) {
            progress->done = progress->total = order->total_bytes;
            return STAGING_OK;
        }
        begin(order, version);
    }
    const bool went = step(order);
    progress->done = job.done;
    progress->total = erasing() + order->total_bytes;
    progress->sequence = job.title.sequence;
    job.is_under_way = went && progress->done != progress->total;
    return went ? STAGING_OK : STAGING_FAILED;
}
