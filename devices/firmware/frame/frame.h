/* Frames: messages that cannot be taken for text, nor text for them, on a line that damages either.

   On the line:  00 01 ... 00     A zero byte opens and closes a frame; COBS keeps it out of what is between.
   Inside:       lead u8 = 0, kind u8, sequence u16, payload's length u16, payload, CRC-32 u32 of all before it; little-endian.

   The lead makes 01 the first byte that COBS writes, and no text begins with that. So any zero byte may close one frame and
   open the next: after one that was lost or one too many, the very next frame is read again, and a stray one costs no text.
   COBS: S. Cheshire, M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999. */
#ifndef EDGEPIPE_FRAME_H
#define EDGEPIPE_FRAME_H

#include <stdint.h>

#define FRAME_HEAD_BYTES 6u
#define FRAME_CRC_BYTES 4u
#define FRAME_PAYLOAD_BYTES_MAX 1024u
#define FRAME_BYTES_MAX (FRAME_HEAD_BYTES + FRAME_PAYLOAD_BYTES_MAX + FRAME_CRC_BYTES)

enum frame_event {
    FRAME_NOTHING, /* the byte belongs to a frame that is not over */
    FRAME_TEXT,    /* the byte is text */
    FRAME_WHOLE,   /* a frame is there, until the next byte is taken */
    FRAME_DAMAGED, /* one was there, and is dropped */
};

struct frame_decoder {
    uint8_t bytes[FRAME_BYTES_MAX];
    uint32_t count;
    uint8_t state;
    uint8_t code; /* COBS: the length of the current run, with its code byte */
    uint8_t left; /* of the current run */
};

/* Begin outside of any frame. */
void frame_begin(struct frame_decoder *decoder);

/* Take the line's next byte. */
enum frame_event frame_take(struct frame_decoder *decoder, uint8_t byte);

/* What the whole frame holds. */
uint8_t frame_kind(const struct frame_decoder *decoder);
uint16_t frame_sequence(const struct frame_decoder *decoder);
const uint8_t *frame_payload(const struct frame_decoder *decoder);
uint32_t frame_payload_bytes(const struct frame_decoder *decoder);

/* A frame to be sent: its payload is written to `bytes + FRAME_HEAD_BYTES`. */
struct frame_draft {
    uint8_t bytes[FRAME_BYTES_MAX];
};

typedef void (*frame_sink)(const uint8_t *bytes, uint32_t count);

/* Complete the draft and send it; `payload_bytes` is at most FRAME_PAYLOAD_BYTES_MAX. */
void frame_send(struct frame_draft *draft, uint8_t kind, uint16_t sequence, uint32_t payload_bytes, frame_sink sink);

#endif
