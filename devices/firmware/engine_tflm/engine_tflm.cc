// TensorFlow Lite Micro behind engine.h, by its C++ API as its headers declare it. Never built against the real library.
//
// All that belongs to a model stands in the arena: the engine, a record for each operator, then what TFLM allocates. Nothing is
// constructed before main(): a bare board's startup runs no constructors.

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <new>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

#include "engine_tflm/operators.h"

extern "C" {
#include "engine/engine.h"

// What TFLM would print has no place on the line.
void DebugLog(const char *, va_list) {}
int DebugVsnprintf(char *, size_t, const char *, va_list) { return 0; }
}

namespace {

constexpr uintptr_t ALIGNMENT = 16;
constexpr uint8_t ANY_VERSION = 255;  // TFLM finds an operator by its code alone; what it cannot do, its kernel refuses
constexpr uint8_t FLOAT32 = 0;        // TensorType of the schema, as engine.h wants it

#define DESCRIBED(name, method) {#name, static_cast<uint8_t>(tflite::BuiltinOperator_##name), 1, ANY_VERSION},
constexpr engine_operator OPERATORS[] = {FOR_ALL_OPERATORS(DESCRIBED)};
constexpr uint32_t OPERATOR_COUNT = sizeof OPERATORS / sizeof OPERATORS[0];

using Resolver = tflite::MicroMutableOpResolver<OPERATOR_COUNT>;
alignas(Resolver) uint8_t resolver_place[sizeof(Resolver)];  // the same for every model

struct Step {
    const engine_operator *is;
    uint32_t ticks;
};

// Takes the ticks of the graph's own operators; what they report of their inside is part of them.
class Ticks final : public tflite::MicroProfilerInterface {
  public:
    Ticks(engine_clock clock, Step *steps, uint32_t count) : clock_(clock), steps_(steps), count_(count) {}
    static void operator delete(void *) {}  // or a heap is linked, for a destructor that nobody calls

    void begin() { next_ = depth_ = 0; }

    uint32_t BeginEvent(const char *) override {
        if (depth_++ == 0 && clock_.now != nullptr) started_ = clock_.now(clock_.port);
        return 0;
    }

    void EndEvent(uint32_t) override {
        if (--depth_ == 0 && clock_.now != nullptr && next_ < count_) steps_[next_++].ticks = clock_.now(clock_.port) - started_;
    }

  private:
    engine_clock clock_;
    Step *steps_;
    uint32_t count_, next_ = 0, depth_ = 0, started_ = 0;
};

}  // namespace

struct engine {
    engine(const tflite::Model *model, const Resolver &resolver, engine_clock clock, Step *first, uint32_t count, uint8_t *rest,
           size_t rest_bytes)
        : steps(first), step_count(count), ticks(clock, first, count), interpreter(model, resolver, rest, rest_bytes, nullptr, &ticks) {}

    Step *steps;
    uint32_t step_count, used_bytes = 0;
    Ticks ticks;
    tflite::MicroInterpreter interpreter;
};

namespace {

uint8_t *aligned(uint8_t *from) {
    return from + (ALIGNMENT - reinterpret_cast<uintptr_t>(from) % ALIGNMENT) % ALIGNMENT;
}

engine *refused(engine_error *error, engine_status status, const char *reason, uint32_t needed_bytes = 0) {
    *error = {status, -1, -1, 0, needed_bytes, reason};
    return nullptr;
}

const engine_operator *known(tflite::BuiltinOperator builtin) {
    for (const engine_operator &each : OPERATORS) {
        if (each.builtin == static_cast<uint8_t>(builtin)) return &each;
    }
    return nullptr;
}

// Return the only graph of a file whose every offset is inside it; nullptr for anything else.
const tflite::SubGraph *checked(const void *model, uint32_t model_bytes) {
    flatbuffers::Verifier verifier(static_cast<const uint8_t *>(model), model_bytes);
    if (!tflite::VerifyModelBuffer(verifier)) return nullptr;
    const tflite::Model *file = tflite::GetModel(model);
    const auto *graphs = file->subgraphs();
    if (file->version() != TFLITE_SCHEMA_VERSION || file->operator_codes() == nullptr || graphs == nullptr || graphs->size() != 1) {
        return nullptr;
    }
    const tflite::SubGraph *graph = graphs->Get(0);
    const bool whole = graph->operators() != nullptr && graph->inputs() != nullptr && graph->outputs() != nullptr;
    return whole ? graph : nullptr;
}

// Fill the records with the graph's operators; false where one is not linked.
bool recognised(const tflite::Model *file, const tflite::SubGraph *graph, Step *steps, engine_error *error) {
    for (uint32_t i = 0; i < graph->operators()->size(); i++) {
        const uint32_t index = graph->operators()->Get(i)->opcode_index();
        if (index >= file->operator_codes()->size()) {
            refused(error, ENGINE_BAD_MODEL, "an operator has no code");
            return false;
        }
        const tflite::OperatorCode *code = file->operator_codes()->Get(index);
        const tflite::BuiltinOperator builtin = tflite::GetBuiltinCode(code);
        steps[i] = {known(builtin), 0};
        if (steps[i].is == nullptr) {
            *error = {ENGINE_UNKNOWN_OPERATOR, static_cast<int32_t>(i), static_cast<int32_t>(builtin), code->version(), 0,
                      "this firmware was linked without the operator"};
            return false;
        }
    }
    return true;
}

const Resolver &all_operators() {
    Resolver *resolver = new (resolver_place) Resolver();
#define LINKED(name, method) resolver->method();
    FOR_ALL_OPERATORS(LINKED)
    return *resolver;
}

engine_tensor described(const TfLiteTensor *tensor) {
    if (tensor == nullptr) return {nullptr, 0, 0, 0.0f, 0};
    const uint8_t type = tensor->type == kTfLiteFloat32 ? FLOAT32 : static_cast<uint8_t>(tensor->type);  // all others agree
    return {tensor->data.raw, static_cast<uint32_t>(tensor->bytes), type, tensor->params.scale, tensor->params.zero_point};
}

tflite::MicroInterpreter &interpreter_of(const engine *loaded) {
    return const_cast<engine *>(loaded)->interpreter;
}

}  // namespace

engine *engine_load(const void *model, uint32_t model_bytes, void *arena, uint32_t arena_bytes, engine_clock clock, engine_error *error) {
    const tflite::SubGraph *graph = checked(model, model_bytes);
    if (graph == nullptr) return refused(error, ENGINE_BAD_MODEL, "it is no .tflite file of one graph, or it is cut");
    const tflite::Model *file = tflite::GetModel(model);
    const uint32_t count = graph->operators()->size();
    uint8_t *first = static_cast<uint8_t *>(arena), *place = aligned(first), *steps = aligned(place + sizeof(engine));
    const uint32_t before_bytes = static_cast<uint32_t>(aligned(steps + count * sizeof(Step)) - first);
    if (before_bytes >= arena_bytes) return refused(error, ENGINE_ARENA_TOO_SMALL, "the arena is too small", before_bytes + 1);
    Step *records = reinterpret_cast<Step *>(steps);
    if (!recognised(file, graph, records, error)) return nullptr;
    const Resolver &resolver = all_operators();
    size_t rest_bytes = arena_bytes - before_bytes;
    engine *it = new (place) engine(file, resolver, clock, records, count, first + before_bytes, rest_bytes);
    if (it->interpreter.AllocateTensors() != kTfLiteOk) {
        return refused(error, ENGINE_UNSUPPORTED, "TFLite Micro refuses it: a kernel cannot do it, or the arena is too small");
    }
    // It takes from both ends of what it is given: once more with just what it used, so that the rest of the arena is free. Planning
    // may need more than is used in the end; then all of the arena is taken.
    const size_t used_bytes = it->interpreter.arena_used_bytes();
    it = new (place) engine(file, resolver, clock, records, count, first + before_bytes, used_bytes);
    if (it->interpreter.AllocateTensors() == kTfLiteOk) {
        rest_bytes = used_bytes;
    } else {
        it = new (place) engine(file, resolver, clock, records, count, first + before_bytes, rest_bytes);
        if (it->interpreter.AllocateTensors() != kTfLiteOk) return refused(error, ENGINE_UNSUPPORTED, "TFLite Micro refuses it");
    }
    it->used_bytes = before_bytes + static_cast<uint32_t>(rest_bytes);
    // What a kernel refuses only as it runs is found out here: engine_invoke() cannot fail.
    if (it->interpreter.Invoke() != kTfLiteOk || it->interpreter.Reset() != kTfLiteOk) {
        return refused(error, ENGINE_UNSUPPORTED, "TFLite Micro refuses it as it runs");
    }
    return it;
}

uint32_t engine_input_count(const engine *loaded) { return static_cast<uint32_t>(loaded->interpreter.inputs_size()); }

uint32_t engine_output_count(const engine *loaded) { return static_cast<uint32_t>(loaded->interpreter.outputs_size()); }

engine_tensor engine_input(const engine *loaded, uint32_t index) {
    return described(index < engine_input_count(loaded) ? interpreter_of(loaded).input(index) : nullptr);
}

engine_tensor engine_output(const engine *loaded, uint32_t index) {
    return described(index < engine_output_count(loaded) ? interpreter_of(loaded).output(index) : nullptr);
}

void engine_invoke(engine *loaded) {
    loaded->ticks.begin();
    (void)loaded->interpreter.Invoke();
}

uint32_t engine_step_count(const engine *loaded) { return loaded->step_count; }

uint32_t engine_step_ticks(const engine *loaded, uint32_t step) {
    return step < loaded->step_count ? loaded->steps[step].ticks : 0;
}

const engine_operator *engine_step_operator(const engine *loaded, uint32_t step) {
    return step < loaded->step_count ? loaded->steps[step].is : nullptr;
}

uint32_t engine_arena_used(const engine *loaded) { return loaded->used_bytes; }

const char *engine_name(void) { return "tflite-micro"; }

const engine_operator *engine_operator_at(uint32_t index) { return index < OPERATOR_COUNT ? &OPERATORS[index] : nullptr; }
