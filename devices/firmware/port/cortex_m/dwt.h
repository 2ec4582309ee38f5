/* The cycle counter of the debug unit as a clock of 64 bits, on a Cortex-M3 or larger. ARM DDI 0403E, C1.8: 32 bits, counts up.

   It takes no interrupt, so that nothing at all disturbs a window; in return it must be read once in 2^32 cycles, or a wrap is
   missed: the port reads it while it waits for the line, and an engine with every operator. */
#ifndef EDGEPIPE_DWT_H
#define EDGEPIPE_DWT_H

#include <stdint.h>

void dwt_begin(void);

/* Cycles since dwt_begin(). */
uint64_t dwt_ticks(void);

/* Clear the counter and its wraps: windows that begin at the same instruction are then of the same ticks. */
void dwt_clear(void);

/* Cycles since dwt_clear(). */
uint64_t dwt_since_clear(void);

#endif
