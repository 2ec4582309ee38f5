/* A time stamp: microseconds modulo 2^32, which is 71.6 minutes. */
#ifndef EDGEPIPE_STAMP_H
#define EDGEPIPE_STAMP_H

#include <stdint.h>

/* Right for every number of ticks: whole seconds and the rest apart, so that no product is beyond 64 bits. */
uint32_t stamp_us(uint64_t ticks, uint32_t clock_hz);

#endif
