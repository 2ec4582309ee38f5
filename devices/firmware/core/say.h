/* Words and numbers written into a sink, without printf. */
#ifndef EDGEPIPE_SAY_H
#define EDGEPIPE_SAY_H

#include <stdint.h>

typedef void (*say_sink)(const uint8_t *bytes, uint32_t count);

void say_words(say_sink sink, const char *words);

/* A number in decimal. */
void say_number(say_sink sink, uint64_t number);

/* A byte as two hexadecimal digits. */
void say_hex(say_sink sink, uint8_t byte);

/* A number with three decimals, as "%0.3f" writes it: rounded to the nearest, and to the even one of two. Numbers beyond
   4,000,000,000 are written as that. */
void say_decimals(say_sink sink, float number);

#endif
