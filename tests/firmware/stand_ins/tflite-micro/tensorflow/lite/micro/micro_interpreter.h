// Stands in for TFLite Micro's. Its "model" adds 1 to each of four int8 for every operator; CONCATENATION fails as it runs, and
// AVERAGE_POOL_2D reports something of its inside, as some kernels do.
#ifndef STAND_IN_INTERPRETER_H
#define STAND_IN_INTERPRETER_H

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifndef TF_LITE_STATIC_MEMORY
#error "the library is built with it, and its structs depend on it"
#endif

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteNoType = 0, kTfLiteFloat32 = 1, kTfLiteInt8 = 9 };

struct TfLiteTensor {
    TfLiteType type;
    union {
        char *raw;
        int8_t *int8;
    } data;
    struct {
        float scale;
        int32_t zero_point;
    } params;
    size_t bytes;
};

namespace tflite {

class MicroOpResolver {};
class MicroResourceVariables;

class MicroInterpreter {
  public:
    MicroInterpreter(const Model *model, const MicroOpResolver &op_resolver, uint8_t *tensor_arena, size_t tensor_arena_size,
                     MicroResourceVariables *resource_variables = nullptr, MicroProfilerInterface *profiler = nullptr,
                     bool preserve_all_tensors = false);
    TfLiteStatus AllocateTensors();
    TfLiteStatus Invoke();
    TfLiteStatus Reset() { return kTfLiteOk; }
    TfLiteTensor *input(size_t index) { return index == 0 ? &input_ : nullptr; }
    TfLiteTensor *output(size_t index) { return index == 0 ? &output_ : nullptr; }
    size_t inputs_size() const { return 1; }
    size_t outputs_size() const { return 1; }
    size_t arena_used_bytes() const { return 2 * ROOM; }

  private:
    static constexpr size_t ROOM = 1024;
    const Model *model_;
    uint8_t *arena_;
    size_t arena_bytes_;
    MicroProfilerInterface *profiler_;
    TfLiteTensor input_ = {}, output_ = {};
};

}  // namespace tflite

#endif
