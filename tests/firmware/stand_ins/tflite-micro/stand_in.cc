// The library that stands in for libtensorflow-microlite.a.
#include <cstring>

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

const Model *GetModel(const void *bytes) {
    static Model model;
    const uint8_t *from = static_cast<const uint8_t *>(bytes);
    model.codes_.count = from[4];
    model.graphs_.count = 1;
    model.graphs_.items[0].operators_.count = from[4];
    for (uint32_t i = 0; i < from[4]; i++) {
        model.codes_.items[i].builtin = from[5 + i];
        model.graphs_.items[0].operators_.items[i].code = i;
    }
    return &model;
}

MicroInterpreter::MicroInterpreter(const Model *model, const MicroOpResolver &, uint8_t *tensor_arena, size_t tensor_arena_size,
                                   MicroResourceVariables *, MicroProfilerInterface *profiler, bool)
    : model_(model), arena_(tensor_arena), arena_bytes_(tensor_arena_size), profiler_(profiler) {}

TfLiteStatus MicroInterpreter::AllocateTensors() {
    if (reinterpret_cast<uintptr_t>(arena_) % 16 != 0 || arena_bytes_ < arena_used_bytes()) return kTfLiteError;
    input_ = {kTfLiteInt8, {reinterpret_cast<char *>(arena_)}, {0.5f, -3}, 4};
    output_ = {kTfLiteInt8, {reinterpret_cast<char *>(arena_) + arena_bytes_ - ROOM}, {0.25f, 7}, 4};  // at the other end
    return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
    std::memcpy(output_.data.raw, input_.data.raw, 4);
    for (uint32_t i = 0; i < model_->operator_codes()->size(); i++) {
        const uint8_t builtin = model_->operator_codes()->Get(i)->builtin;
        const uint32_t event = profiler_->BeginEvent("operator");
        if (builtin == BuiltinOperator_AVERAGE_POOL_2D) profiler_->EndEvent(profiler_->BeginEvent("inside"));
        for (int j = 0; j < 4; j++) output_.data.int8[j] = static_cast<int8_t>(output_.data.int8[j] + 1);
        profiler_->EndEvent(event);
        if (builtin == BuiltinOperator_CONCATENATION) return kTfLiteError;
    }
    return kTfLiteOk;
}

}  // namespace tflite
