/* The operators that the built-in engine runs; kernels.c has them in one table. */
#ifndef ENGINE_KERNELS_H
#define ENGINE_KERNELS_H

#include "kernel.h"

extern const kernel AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, EXPAND_DIMS, FULLY_CONNECTED, MAX_POOL_2D, RESHAPE, SOFTMAX, SQUEEZE;

#endif
