/* A count that is smaller than the one before it has wrapped. */
#include "port/cortex_m/dwt.h"

#define DEMCR (*(volatile uint32_t *)0xE000EDFCu) /* ARM DDI 0403E, C1.6.5 */
#define DEMCR_TRACE (1u << 24)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000u)
#define DWT_CTRL_COUNTS 1u
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004u)

static uint32_t last;
static uint64_t wrapped, before_clear;

void dwt_begin(void)
{
    DEMCR |= DEMCR_TRACE;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_COUNTS;
}

uint64_t dwt_since_clear(void)
{
    const uint32_t now = DWT_CYCCNT;
    if (now < last) {
        wrapped += UINT64_C(1) << 32;
    }
    last = now;
    return wrapped + now;
}

void dwt_clear(void)
{
    before_clear += dwt_since_clear();
    wrapped = 0;
    last = 0;
    DWT_CYCCNT = 0;
}

uint64_t dwt_ticks(void)
{
    return before_clear + dwt_since_clear();
}
