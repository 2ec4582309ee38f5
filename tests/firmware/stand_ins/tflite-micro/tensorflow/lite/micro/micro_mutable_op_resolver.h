// Stands in for TFLite Micro's: every method that the firmware calls, counting only.
#ifndef STAND_IN_RESOLVER_H
#define STAND_IN_RESOLVER_H

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
  public:
#define METHOD(name) \
    TfLiteStatus name() { return ++count_ > tOpCount ? kTfLiteError : kTfLiteOk; }
    METHOD(AddAbs) METHOD(AddAdd) METHOD(AddArgMax) METHOD(AddAveragePool2D) METHOD(AddBatchMatMul) METHOD(AddConcatenation)
    METHOD(AddConv2D) METHOD(AddDepthwiseConv2D) METHOD(AddDepthToSpace) METHOD(AddDequantize) METHOD(AddDiv) METHOD(AddElu)
    METHOD(AddExpandDims) METHOD(AddFullyConnected) METHOD(AddGather) METHOD(AddHardSwish) METHOD(AddL2Normalization)
    METHOD(AddLeakyRelu) METHOD(AddLogistic) METHOD(AddLogSoftmax) METHOD(AddMaximum) METHOD(AddMaxPool2D) METHOD(AddMean)
    METHOD(AddMinimum) METHOD(AddMirrorPad) METHOD(AddMul) METHOD(AddPack) METHOD(AddPad) METHOD(AddPadV2) METHOD(AddPrelu)
    METHOD(AddQuantize) METHOD(AddReduceMax) METHOD(AddRelu) METHOD(AddRelu6) METHOD(AddReshape) METHOD(AddResizeBilinear)
    METHOD(AddResizeNearestNeighbor) METHOD(AddRsqrt) METHOD(AddSlice) METHOD(AddSoftmax) METHOD(AddSpaceToDepth) METHOD(AddSplit)
    METHOD(AddSplitV) METHOD(AddSquaredDifference) METHOD(AddSqueeze) METHOD(AddStridedSlice) METHOD(AddSub) METHOD(AddSum)
    METHOD(AddSvdf) METHOD(AddTanh) METHOD(AddTranspose) METHOD(AddTransposeConv) METHOD(AddUnidirectionalSequenceLSTM)
    METHOD(AddUnpack)

  private:
    unsigned int count_ = 0;
};

}  // namespace tflite

#endif
