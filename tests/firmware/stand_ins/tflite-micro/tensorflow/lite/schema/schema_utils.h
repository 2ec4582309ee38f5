// Stands in for TensorFlow Lite's.
#ifndef STAND_IN_SCHEMA_UTILS_H
#define STAND_IN_SCHEMA_UTILS_H

#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {
inline BuiltinOperator GetBuiltinCode(const OperatorCode *code) { return static_cast<BuiltinOperator>(code->builtin); }
}  // namespace tflite

#endif
