/* SysTick as a clock of 64 bits, on every Cortex-M. ARM DDI 0403E, B3.3: a counter of 24 bits that counts down. */
#ifndef EDGEPIPE_SYSTICK_H
#define EDGEPIPE_SYSTICK_H

#include <stdint.h>

void systick_begin(void);

/* Ticks since systick_begin(). */
uint64_t systick_ticks(void);

/* Clear the counter and its wraps: windows that begin at the same instruction are then of the same ticks. */
void systick_clear(void);

/* Ticks since systick_clear(). */
uint64_t systick_since_clear(void);

#endif
