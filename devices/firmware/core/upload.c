/* The record of the model buffer stands in memory that a reset keeps, under a checksum of its own. */
#include "core/upload.h"

#include <stddef.h>
#include <string.h>

#include "frame/crc32.h"
#include "port/port.h"

struct record {
    struct upload_order order;
    uint32_t offset;
    uint32_t present;
    uint32_t crc; /* of all before it: memory that was without power fails it */
};

static PORT_KEPT struct record kept;

static uint32_t record_crc(void)
{
    return crc32(0, (const uint8_t *)&kept, (uint32_t)offsetof(struct record, crc));
}

void upload_start(void)
{
    if (kept.crc != record_crc() || kept.present != 1u || kept.order.total_bytes > PORT_MEMORY.model_bytes ||
        kept.offset > kept.order.total_bytes) {
        upload_forget();
    }
}

void upload_forget(void)
{
    memset(&kept, 0, sizeof kept);
    kept.crc = record_crc();
}

enum upload_result upload_begin(const struct upload_order *order)
{
    if (order->total_bytes > PORT_MEMORY.model_bytes) {
        return UPLOAD_TOO_LARGE;
    }
    if (kept.present != 1u || kept.order.total_bytes != order->total_bytes ||
        memcmp(kept.order.sha256, order->sha256, SHA256_BYTES) != 0) {
        kept.offset = 0;
    }
    kept.order = *order;
    kept.present = 1;
    kept.crc = record_crc();
    return UPLOAD_OK;
}

enum upload_result upload_take(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    if (kept.present != 1u) {
        return UPLOAD_NONE;
    }
    if (offset != kept.offset || count > kept.order.total_bytes - kept.offset) {
        return UPLOAD_OK; /* the answer's offset says what is wanted */
    }
    if (count != 0u) {
        memcpy(PORT_MEMORY.model + offset, bytes, count);
        kept.offset += count;
        kept.crc = record_crc();
    }
    return UPLOAD_OK;
}

enum upload_result upload_check(void)
{
    uint8_t digest[SHA256_BYTES];
    if (kept.present != 1u) {
        return UPLOAD_NONE;
    }
    if (kept.offset != kept.order.total_bytes) {
        return UPLOAD_INCOMPLETE;
    }
    sha256(PORT_MEMORY.model, kept.order.total_bytes, digest);
    if (memcmp(digest, kept.order.sha256, SHA256_BYTES) != 0) {
        upload_forget();
        return UPLOAD_DIFFERENT;
    }
    return UPLOAD_OK;
}

uint32_t upload_offset(void)
{
    return kept.offset;
}

const struct upload_order *upload_current(void)
{
    return kept.present == 1u ? &kept.order : NULL;
}

struct model_source upload_source(void)
{
    return (struct model_source){.content = PORT_MEMORY.model,
                                 .bytes = kept.order.total_bytes,
                                 .name = kept.order.name,
                                 .scores = kept.order.scores};
}
