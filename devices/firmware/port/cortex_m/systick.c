/* The counter wraps after 2^24 ticks; an interrupt counts the wraps. */
#include "port/cortex_m/systick.h"

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define ENABLE_INTERRUPT_PROCESSOR_CLOCK 7u
#define LAST 0x00FFFFFFu

static volatile uint32_t wraps;
static uint64_t before_clear;

void systick_wrapped(void);

void systick_wrapped(void)
{
    wraps++;
}

void systick_begin(void)
{
    SYST_RVR = LAST;
    SYST_CVR = 0; /* any write clears it */
    SYST_CSR = ENABLE_INTERRUPT_PROCESSOR_CLOCK;
}

uint64_t systick_since_clear(void)
{
    uint32_t wrapped, counter;
    do { /* again where a wrap came in between */
        wrapped = wraps;
        counter = SYST_CVR;
    } while (wrapped != wraps);
    return ((uint64_t)wrapped << 24) + ((LAST + 1u - counter) & LAST);
}

void systick_clear(void)
{
    before_clear += systick_since_clear();
    wraps = 0;
    SYST_CVR = 0;
}

uint64_t systick_ticks(void)
{
    return before_clear + systick_since_clear();
}
