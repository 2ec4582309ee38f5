/* What a board says of itself: lines "key value", read in pieces. */
#ifndef EDGEPIPE_INFO_H
#define EDGEPIPE_INFO_H

#include <stdint.h>

/* Write what stands from `offset` on, at most `room` bytes, and return their number; 0 past the end. */
uint32_t info_read(uint32_t offset, uint8_t *to, uint32_t room);

#endif
