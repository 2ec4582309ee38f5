/* The serial protocol of MLPerf Tiny: text commands that end with "%", answers in lines, then "m-ready".

   It is what the benchmark's own runner speaks (github.com/mlcommons/tiny, benchmark/api), so that it can measure this board. What
   crashes the reference, a bare "%" and a "db load" of more than there is room for, is answered with an error here. */
#ifndef EDGEPIPE_TEXT_H
#define EDGEPIPE_TEXT_H

#include <stdint.h>

/* Say that the board has started. */
void text_hello(void);

/* Take a byte of text; the one that ends a command has it done and answered. */
void text_take(uint8_t byte);

/* Forget a command that is not complete: what follows it is none. */
void text_break(void);

#endif
