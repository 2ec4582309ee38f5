// Stands in for TensorFlow Lite's schema and for FlatBuffers: the few names that engine_tflm uses, over a format of its own.
//
// A "model" here is "TFL3", a byte of how many operators, and a byte for each: its number in the schema.
#ifndef STAND_IN_SCHEMA_H
#define STAND_IN_SCHEMA_H

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace flatbuffers {

class Verifier {
  public:
    Verifier(const uint8_t *bytes, size_t count) : bytes_(bytes), count_(count) {}
    bool whole() const { return count_ >= 5 && std::memcmp(bytes_, "TFL3", 4) == 0 && count_ == 5u + bytes_[4]; }

  private:
    const uint8_t *bytes_;
    size_t count_;
};

}  // namespace flatbuffers

#define TFLITE_SCHEMA_VERSION (3)

namespace tflite {

// Those that the tests use have their number in the schema, the others one of nobody's.
enum BuiltinOperator : int32_t {
    BuiltinOperator_ADD = 0,
    BuiltinOperator_AVERAGE_POOL_2D = 1,
    BuiltinOperator_CONCATENATION = 2,
    BuiltinOperator_CONV_2D = 3,
    BuiltinOperator_SOFTMAX = 25,
#define ELSEWHERE(name) BuiltinOperator_##name
    ELSEWHERE(ABS) = 101, ELSEWHERE(ARG_MAX), ELSEWHERE(BATCH_MATMUL), ELSEWHERE(DEPTHWISE_CONV_2D), ELSEWHERE(DEPTH_TO_SPACE),
    ELSEWHERE(DEQUANTIZE), ELSEWHERE(DIV), ELSEWHERE(ELU), ELSEWHERE(EXPAND_DIMS), ELSEWHERE(FULLY_CONNECTED), ELSEWHERE(GATHER),
    ELSEWHERE(HARD_SWISH), ELSEWHERE(L2_NORMALIZATION), ELSEWHERE(LEAKY_RELU), ELSEWHERE(LOGISTIC), ELSEWHERE(LOG_SOFTMAX),
    ELSEWHERE(MAXIMUM), ELSEWHERE(MAX_POOL_2D), ELSEWHERE(MEAN), ELSEWHERE(MINIMUM), ELSEWHERE(MIRROR_PAD), ELSEWHERE(MUL),
    ELSEWHERE(PACK), ELSEWHERE(PAD), ELSEWHERE(PADV2), ELSEWHERE(PRELU), ELSEWHERE(QUANTIZE), ELSEWHERE(REDUCE_MAX),
    ELSEWHERE(RELU), ELSEWHERE(RELU6), ELSEWHERE(RESHAPE), ELSEWHERE(RESIZE_BILINEAR), ELSEWHERE(RESIZE_NEAREST_NEIGHBOR),
    ELSEWHERE(RSQRT), ELSEWHERE(SLICE), ELSEWHERE(SPACE_TO_DEPTH), ELSEWHERE(SPLIT), ELSEWHERE(SPLIT_V),
    ELSEWHERE(SQUARED_DIFFERENCE), ELSEWHERE(SQUEEZE), ELSEWHERE(STRIDED_SLICE), ELSEWHERE(SUB), ELSEWHERE(SUM), ELSEWHERE(SVDF),
    ELSEWHERE(TANH), ELSEWHERE(TRANSPOSE), ELSEWHERE(TRANSPOSE_CONV), ELSEWHERE(UNIDIRECTIONAL_SEQUENCE_LSTM), ELSEWHERE(UNPACK),
};

template <typename T, uint32_t most = 256>
struct Vector {
    T items[most];
    uint32_t count;
    uint32_t size() const { return count; }
    const T *Get(uint32_t index) const { return items + index; }
};

struct OperatorCode {
    uint8_t builtin;
    int32_t version() const { return 1; }
};

struct Operator {
    uint32_t code;
    uint32_t opcode_index() const { return code; }
};

struct SubGraph {
    Vector<Operator> operators_;
    Vector<int32_t, 1> inputs_, outputs_;
    const Vector<Operator> *operators() const { return &operators_; }
    const Vector<int32_t, 1> *inputs() const { return &inputs_; }
    const Vector<int32_t, 1> *outputs() const { return &outputs_; }
};

struct Model {
    Vector<OperatorCode> codes_;
    Vector<SubGraph, 1> graphs_;
    uint32_t version() const { return TFLITE_SCHEMA_VERSION; }
    const Vector<OperatorCode> *operator_codes() const { return &codes_; }
    const Vector<SubGraph, 1> *subgraphs() const { return &graphs_; }
};

inline bool VerifyModelBuffer(flatbuffers::Verifier &verifier) { return verifier.whole(); }
const Model *GetModel(const void *bytes);

}  // namespace tflite

#endif
