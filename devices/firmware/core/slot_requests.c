/* What the slots tell is copied as it stands, so that the host judges it; only what would lose a model is refused here. */
#include "core/slot_requests.h"

#include <stddef.h>
#include <string.h>

#include "core/requests.h"
#include "core/slots.h"
#include "core/staging.h"
#include "frame/bytes.h"

#define STORY_BYTES (28u + SHA256_BYTES + UPLOAD_NAME_BYTES + SLOT_WORDS_BYTES)

static void tell(const struct slot_story *story, uint8_t *to)
{
    memset(to, 0, STORY_BYTES);
    put_u32(to, story->marks);
    if (story->marks == 0u) {
        return;
    }
    put_u32(to + 4, story->sequence);
    put_u32(to + 8, story->model_bytes);
    put_u64(to + 12, story->version);
    put_u64(to + 20, story->floor);
    memcpy(to + 28, story->sha256, SHA256_BYTES);
    memcpy(to + 28u + SHA256_BYTES, story->name, UPLOAD_NAME_BYTES);
    if (story->words != NULL) {
        memcpy(to + 28u + SHA256_BYTES + UPLOAD_NAME_BYTES, story->words, SLOT_WORDS_BYTES);
    }
}

uint8_t slot_request_tell(struct exchange *exchange)
{
    if (slots_capacity() == 0u) {
        return STATUS_NO_FLASH;
    }
    put_u32(exchange->answer, slots_capacity());
    exchange->answer[4] = (uint8_t)slots_running();
    exchange->answer_bytes = 5;
    for (uint32_t slot = 0; slot < SLOTS_COUNT; slot++) {
        const struct slot_story story = slots_story(slot);
        tell(&story, exchange->answer + exchange->answer_bytes);
        exchange->answer_bytes += STORY_BYTES;
    }
    return STATUS_OK;
}

uint8_t slot_request_stage(struct exchange *exchange)
{
    static const uint8_t STATUS[] = {
        [STAGING_OK] = STATUS_OK,
        [STAGING_NO_FLASH] = STATUS_NO_FLASH,
        [STAGING_FAILED] = STATUS_FLASH_FAILED,
        [STAGING_ON_TRIAL] = STATUS_ON_TRIAL,
        [STAGING_TOO_LARGE] = STATUS_TOO_LARGE,
        [STAGING_NO_UPLOAD] = STATUS_NO_UPLOAD,
    };
    struct staging_progress progress = {0};
    if (exchange->asked_bytes != 8u) {
        return STATUS_BAD_REQUEST;
    }
    const enum staging_result result = staging_step(get_u64(exchange->asked), &progress);
    put_u32(exchange->answer, progress.done);
    put_u32(exchange->answer + 4, progress.total);
    put_u32(exchange->answer + 8, progress.sequence);
    exchange->answer_bytes = 12;
    return STATUS[result];
}

static uint8_t marking(enum slots_result result)
{
    static const uint8_t STATUS[] = {
        [SLOTS_OK] = STATUS_OK,
        [SLOTS_NO_FLASH] = STATUS_NO_FLASH,
        [SLOTS_FAILED] = STATUS_FLASH_FAILED,
        [SLOTS_NO_TRIAL] = STATUS_NO_TRIAL,
        [SLOTS_NO_WAY_BACK] = STATUS_NO_WAY_BACK,
    };
    return STATUS[result];
}

uint8_t slot_request_confirm(struct exchange *exchange)
{
    return exchange->asked_bytes == 4u ? marking(slots_confirm(get_u32(exchange->asked))) : STATUS_BAD_REQUEST;
}

uint8_t slot_request_revoke(struct exchange *exchange)
{
    const uint8_t *asked = exchange->asked;
    if (exchange->asked_bytes < 4u) {
        return STATUS_BAD_REQUEST;
    }
    return marking(slots_revoke(get_u32(asked), asked + 4, exchange->asked_bytes - 4u));
}
