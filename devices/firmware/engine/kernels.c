/* The table of operators: a new one is one file and one name here and in kernels.h. */
#include "kernels.h"

#include "state.h"

const kernel *const kernels[] = {
    &ADD, &AVERAGE_POOL_2D, &BATCH_MATMUL, &CONCATENATION, &CONV_2D, &DEPTHWISE_CONV_2D, &DEQUANTIZE, &EXPAND_DIMS,
    &FULLY_CONNECTED, &HARD_SWISH, &LEAKY_RELU, &LOGISTIC, &MAXIMUM, &MAX_POOL_2D, &MEAN, &MINIMUM, &MUL, &PAD, &PADV2,
    &QUANTIZE, &RELU, &RELU6, &RESHAPE, &RESIZE_NEAREST_NEIGHBOR, &SLICE, &SOFTMAX, &SPLIT, &SQUEEZE, &STRIDED_SLICE,
    &SUB, &TANH, &TRANSPOSE,
};
const uint32_t kernel_count = sizeof kernels / sizeof kernels[0];
