/* The bytes that "db" loads: one input of the model, sent as hexadecimal digits. */
#ifndef EDGEPIPE_SAMPLES_H
#define EDGEPIPE_SAMPLES_H

#include <stdint.h>

/* "db load N". */
void samples_expect(int32_t count);

/* "db HEX": keep the bytes; those after the last expected one are dropped. */
void samples_add(const char *digits);

/* "db print". */
void samples_print(void);

/* How many bytes there are. */
uint32_t samples_count(void);

#endif
