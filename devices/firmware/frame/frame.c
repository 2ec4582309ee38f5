/* Frames are read byte by byte into one buffer, and written run by run out of another. */
#include "frame/frame.h"

#include "frame/bytes.h"
#include "frame/crc32.h"

enum { OUTSIDE, OPENED, INSIDE };

#define LEAD_CODE 1u
#define LONGEST_RUN 254u

void frame_begin(struct frame_decoder *decoder)
{
    decoder->count = 0;
    decoder->state = OUTSIDE;
    decoder->code = 0;
    decoder->left = 0;
}

static enum frame_event closed(const struct frame_decoder *decoder)
{
    if (decoder->left != 0u || decoder->count < FRAME_HEAD_BYTES + FRAME_CRC_BYTES) {
        return FRAME_DAMAGED;
    }
    uint32_t covered = decoder->count - FRAME_CRC_BYTES;
    if (get_u16(decoder->bytes + 4) != covered - FRAME_HEAD_BYTES) {
        return FRAME_DAMAGED;
    }
    return crc32(0, decoder->bytes, covered) == get_u32(decoder->bytes + covered) ? FRAME_WHOLE : FRAME_DAMAGED;
}

static enum frame_event keep(struct frame_decoder *decoder, uint8_t byte)
{
    if (decoder->count == FRAME_BYTES_MAX) { /* its closing byte was lost: what follows may be text */
        decoder->state = OUTSIDE;
        return FRAME_DAMAGED;
    }
    decoder->bytes[decoder->count++] = byte;
    return FRAME_NOTHING;
}

static enum frame_event inside(struct frame_decoder *decoder, uint8_t byte)
{
    if (decoder->left != 0u) {
        decoder->left--;
        return keep(decoder, byte);
    }
    uint8_t before = decoder->code;
    decoder->code = byte;
    decoder->left = (uint8_t)(byte - 1u);
    return before == LONGEST_RUN + 1u ? FRAME_NOTHING : keep(decoder, 0);
}

enum frame_event frame_take(struct frame_decoder *decoder, uint8_t byte)
{
    if (byte == 0u) {
        enum frame_event event = decoder->state == INSIDE ? closed(decoder) : FRAME_NOTHING;
        decoder->state = OPENED;
        return event;
    }
    if (decoder->state == INSIDE) {
        return inside(decoder, byte);
    }
    if (decoder->state == OPENED && byte == LEAD_CODE) {
        frame_begin(decoder);
        decoder->state = INSIDE;
        decoder->code = LEAD_CODE;
        return FRAME_NOTHING;
    }
    decoder->state = OUTSIDE;
    return FRAME_TEXT;
}

uint8_t frame_kind(const struct frame_decoder *decoder)
{
    return decoder->bytes[1];
}

uint16_t frame_sequence(const struct frame_decoder *decoder)
{
    return get_u16(decoder->bytes + 2);
}

const uint8_t *frame_payload(const struct frame_decoder *decoder)
{
    return decoder->bytes + FRAME_HEAD_BYTES;
}

uint32_t frame_payload_bytes(const struct frame_decoder *decoder)
{
    return get_u16(decoder->bytes + 4);
}

/* Send one run: its code, then `count` bytes without a zero among them. */
static void send_run(const uint8_t *bytes, uint32_t count, frame_sink sink)
{
    const uint8_t code = (uint8_t)(count + 1u);
    sink(&code, 1);
    if (count != 0u) {
        sink(bytes, count);
    }
}

void frame_send(struct frame_draft *draft, uint8_t kind, uint16_t sequence, uint32_t payload_bytes, frame_sink sink)
{
    static const uint8_t zero = 0;
    uint8_t *bytes = draft->bytes;
    const uint32_t covered = FRAME_HEAD_BYTES + payload_bytes;
    bytes[0] = 0;
    bytes[1] = kind;
    put_u16(bytes + 2, sequence);
    put_u16(bytes + 4, (uint16_t)payload_bytes);
    put_u32(bytes + covered, crc32(0, bytes, covered));
    sink(&zero, 1);
    uint32_t start = 0;
    for (uint32_t end = 0; end < covered + FRAME_CRC_BYTES; end++) {
        if (bytes[end] == 0u) {
            send_run(bytes + start, end - start, sink);
            start = end + 1u;
        } else if (end - start + 1u == LONGEST_RUN) {
            send_run(bytes + start, LONGEST_RUN, sink);
            start = end + 1u;
            if (start == covered + FRAME_CRC_BYTES) { /* nothing follows, so no run of nothing either */
                sink(&zero, 1);
                return;
            }
        }
    }
    send_run(bytes + start, covered + FRAME_CRC_BYTES - start, sink);
    sink(&zero, 1);
}
