/* What is asked in a frame, and where its answer goes. */
#ifndef EDGEPIPE_EXCHANGE_H
#define EDGEPIPE_EXCHANGE_H

#include <stdint.h>

#include "frame/frame.h"

#define EXCHANGE_ROOM (FRAME_PAYLOAD_BYTES_MAX - 1u) /* what stands beside the status */

struct exchange {
    const uint8_t *asked;
    uint32_t asked_bytes;
    uint16_t sequence;
    uint8_t *answer; /* behind the status */
    uint32_t answer_bytes;
};

#endif
