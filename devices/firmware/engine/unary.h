/* From one int8 scale to another: what QUANTIZE does with an int8 input. */
#ifndef ENGINE_UNARY_H
#define ENGINE_UNARY_H

#include "kernel.h"

#ifndef ENGINE_STANDALONE
bool prepare_requantize(preparation *at);
#endif
void run_requantize(const running *now);

#endif
