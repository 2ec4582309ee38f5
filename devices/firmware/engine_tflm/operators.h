/* The operators that are linked: each brings its kernel, so a chip that is short of flash leaves some out.

   Names are those of the .tflite schema, methods those of TFLite Micro's MicroMutableOpResolver: they follow no rule. */
#ifndef EDGEPIPE_TFLM_OPERATORS_H
#define EDGEPIPE_TFLM_OPERATORS_H

#define FOR_ALL_OPERATORS(OPERATOR)                                         \
    OPERATOR(ABS, AddAbs)                                                   \
    OPERATOR(ADD, AddAdd)                                                   \
    OPERATOR(ARG_MAX, AddArgMax)                                            \
    OPERATOR(AVERAGE_POOL_2D, AddAveragePool2D)                             \
    OPERATOR(BATCH_MATMUL, AddBatchMatMul)                                  \
    OPERATOR(CONCATENATION, AddConcatenation)                               \
    OPERATOR(CONV_2D, AddConv2D)                                            \
    OPERATOR(DEPTHWISE_CONV_2D, AddDepthwiseConv2D)                         \
    OPERATOR(DEPTH_TO_SPACE, AddDepthToSpace)                               \
    OPERATOR(DEQUANTIZE, AddDequantize)                                     \
    OPERATOR(DIV, AddDiv)                                                   \
    OPERATOR(ELU, AddElu)                                                   \
    OPERATOR(EXPAND_DIMS, AddExpandDims)                                    \
    OPERATOR(FULLY_CONNECTED, AddFullyConnected)                            \
    OPERATOR(GATHER, AddGather)                                             \
    OPERATOR(HARD_SWISH, AddHardSwish)                                      \
    OPERATOR(L2_NORMALIZATION, AddL2Normalization)                          \
    OPERATOR(LEAKY_RELU, AddLeakyRelu)                                      \
    OPERATOR(LOGISTIC, AddLogistic)                                         \
    OPERATOR(LOG_SOFTMAX, AddLogSoftmax)                                    \
    OPERATOR(MAXIMUM, AddMaximum)                                           \
    OPERATOR(MAX_POOL_2D, AddMaxPool2D)                                     \
    OPERATOR(MEAN, AddMean)                                                 \
    OPERATOR(MINIMUM, AddMinimum)                                           \
    OPERATOR(MIRROR_PAD, AddMirrorPad)                                      \
    OPERATOR(MUL, AddMul)                                                   \
    OPERATOR(PACK, AddPack)                                                 \
    OPERATOR(PAD, AddPad)                                                   \
    OPERATOR(PADV2, AddPadV2)                                               \
    OPERATOR(PRELU, AddPrelu)                                               \
    OPERATOR(QUANTIZE, AddQuantize)                                         \
    OPERATOR(REDUCE_MAX, AddReduceMax)                                      \
    OPERATOR(RELU, AddRelu)                                                 \
    OPERATOR(RELU6, AddRelu6)                                               \
    OPERATOR(RESHAPE, AddReshape)                                           \
    OPERATOR(RESIZE_BILINEAR, AddResizeBilinear)                            \
    OPERATOR(RESIZE_NEAREST_NEIGHBOR, AddResizeNearestNeighbor)             \
    OPERATOR(RSQRT, AddRsqrt)                                               \
    OPERATOR(SLICE, AddSlice)                                               \
    OPERATOR(SOFTMAX, AddSoftmax)                                           \
    OPERATOR(SPACE_TO_DEPTH, AddSpaceToDepth)                               \
    OPERATOR(SPLIT, AddSplit)                                               \
    OPERATOR(SPLIT_V, AddSplitV)                                            \
    OPERATOR(SQUARED_DIFFERENCE, AddSquaredDifference)                      \
    OPERATOR(SQUEEZE, AddSqueeze)                                           \
    OPERATOR(STRIDED_SLICE, AddStridedSlice)                                \
    OPERATOR(SUB, AddSub)                                                   \
    OPERATOR(SUM, AddSum)                                                   \
    OPERATOR(SVDF, AddSvdf)                                                 \
    OPERATOR(TANH, AddTanh)                                                 \
    OPERATOR(TRANSPOSE, AddTranspose)                                       \
    OPERATOR(TRANSPOSE_CONV, AddTransposeConv)                              \
    OPERATOR(UNIDIRECTIONAL_SEQUENCE_LSTM, AddUnidirectionalSequenceLSTM)   \
    OPERATOR(UNPACK, AddUnpack)

#endif
