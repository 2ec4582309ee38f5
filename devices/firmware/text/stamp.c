#include "text/stamp.h"

#define US_PER_S 1000000u

uint32_t stamp_us(uint64_t ticks, uint32_t clock_hz)
{
    const uint64_t seconds = ticks / clock_hz;
    const uint64_t rest = ticks % clock_hz;
    return (uint32_t)(seconds * US_PER_S + rest * US_PER_S / clock_hz);
}
