/* The table of operators: a new one is one file and one line here. */
#include "kernels.h"

#include "state.h"

const kernel *const kernels[] = {
    &AVERAGE_POOL_2D, &CONV_2D, &DEPTHWISE_CONV_2D, &EXPAND_DIMS, &FULLY_CONNECTED, &MAX_POOL_2D, &RESHAPE, &SOFTMAX, &SQUEEZE,
};
const uint32_t kernel_count = sizeof kernels / sizeof kernels[0];
