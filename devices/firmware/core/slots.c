/* The choice at boot is made once: what runs is what was chosen, until the next reset. */
#include "core/slots.h"

#include <string.h>

#include "core/model.h"
#include "port/port.h"

#define SECTOR_BYTES_MIN 2048u

static uint32_t running = SLOTS_NONE;

uint32_t slots_capacity(void)
{
    const struct port_flash *flash = &PORT_FLASH;
    const bool is_usable = flash->sector_bytes >= SECTOR_BYTES_MIN && flash->unit_bytes - 1u < PORT_UNIT_BYTES_MAX;
    return is_usable && flash->bytes / SLOTS_COUNT > flash->sector_bytes ? flash->bytes / SLOTS_COUNT - flash->sector_bytes : 0u;
}

uint32_t slots_offset(uint32_t slot)
{
    return slot * (PORT_FLASH.bytes / SLOTS_COUNT);
}

struct slot_story slots_story(uint32_t slot)
{
    return slot < SLOTS_COUNT && slots_capacity() != 0u ? slot_log_read(slots_offset(slot)) : (struct slot_story){0};
}

static const uint8_t *content(uint32_t slot)
{
    return PORT_FLASH.base + slots_offset(slot) + PORT_FLASH.sector_bytes;
}

bool slots_is_sound(uint32_t slot)
{
    const struct slot_story story = slots_story(slot);
    uint8_t digest[SHA256_BYTES];
    if (story.marks == 0u || story.model_bytes > slots_capacity()) {
        return false;
    }
    sha256(content(slot), story.model_bytes, digest);
    return memcmp(digest, story.sha256, SHA256_BYTES) == 0;
}

uint32_t slots_running(void)
{
    return running;
}

static bool has(uint32_t slot, enum slot_record kind)
{
    return (slots_story(slot).marks & SLOT_HAS(kind)) != 0u;
}

bool slots_are_settled(void)
{
    return running == SLOTS_NONE || (has(running, SLOT_CONFIRMED) && !has(running, SLOT_REVOKED));
}

/* Whether the slot may be started. */
static bool counts(uint32_t slot)
{
    return has(slot, SLOT_WHOLE) && !has(slot, SLOT_REVOKED) && (has(slot, SLOT_CONFIRMED) || !has(slot, SLOT_TRIED)) &&
           slots_is_sound(slot);
}

static bool loads(uint32_t slot, engine_error *error)
{
    const struct slot_story story = slots_story(slot);
    const struct model_source source = {
        .content = content(slot), .bytes = story.model_bytes, .name = story.name, .scores = story.scores};
    return model_load(&source, error) == MODEL_OK;
}

/* Start a slot; a trial is marked before its model gets the chance to do harm. */
static bool starts(uint32_t slot)
{
    engine_error error;
    return counts(slot) && (has(slot, SLOT_CONFIRMED) || slot_log_mark(slots_offset(slot), SLOT_TRIED, NULL, 0)) &&
           loads(slot, &error);
}

void slots_start(void)
{
    model_unload();
    const uint32_t newest = slots_story(1).sequence > slots_story(0).sequence ? 1u : 0u;
    running = starts(newest) ? newest : starts(1u - newest) ? 1u - newest : SLOTS_NONE;
}

bool slots_load(engine_error *error)
{
    return running != SLOTS_NONE && loads(running, error);
}

enum slots_result slots_confirm(uint32_t sequence)
{
    const struct slot_story story = slots_story(running);
    if (story.marks == 0u || story.sequence != sequence || (story.marks & SLOT_HAS(SLOT_REVOKED)) != 0u) {
        return slots_capacity() == 0u ? SLOTS_NO_FLASH : SLOTS_NO_TRIAL;
    }
    if ((story.marks & SLOT_HAS(SLOT_CONFIRMED)) != 0u) {
        return SLOTS_OK;
    }
    return slot_log_mark(slots_offset(running), SLOT_CONFIRMED, NULL, 0) ? SLOTS_OK : SLOTS_FAILED;
}

enum slots_result slots_revoke(uint32_t sequence, const uint8_t *words, uint32_t words_bytes)
{
    const struct slot_story story = slots_story(running);
    if (story.marks == 0u || story.sequence != sequence) {
        return slots_capacity() == 0u ? SLOTS_NO_FLASH : SLOTS_NO_TRIAL;
    }
    if ((story.marks & SLOT_HAS(SLOT_REVOKED)) != 0u) {
        return SLOTS_OK;
    }
    if (has(running, SLOT_CONFIRMED) && !(has(1u - running, SLOT_CONFIRMED) && counts(1u - running))) {
        return SLOTS_NO_WAY_BACK;
    }
    return slot_log_mark(slots_offset(running), SLOT_REVOKED, words, words_bytes) ? SLOTS_OK : SLOTS_FAILED;
}
