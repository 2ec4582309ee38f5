/* The built-in int8 engine, loaded and running: the calls of engine.h that a firmware makes after engine_load(). */
#include <stddef.h>

#include "state.h"

const char *engine_name(void) {
    return "edgepipe-int8";
}

const engine_operator *engine_operator_at(uint32_t index) {
    return index < kernel_count ? &kernels[index]->is : NULL;
}

static engine_tensor port_of(const engine *it, flat_vector ports, uint32_t index) {
    engine_tensor none = {NULL, 0, 0, 0.0f, 0};
    if (index >= ports.count) return none;
    const tensor_record *record = numbered(it, ports.at, index);
    engine_error error = {ENGINE_OK, -1, -1, 0, 0, ""};
    flat_file file = {it->model, it->model_bytes, false};
    preparation at = {&file, NULL, &error, it->tensor_tables, it->buffer_tables, 0, {0, 0}, {0, 0}};
    tensor described;
    if (!describe_tensor(&at, (uint32_t)read_i32(it->model + ports.at + 4 * index), &described)) return none;
    engine_tensor port = {bytes_of(it, record), record->bytes, described.type, described.scale, described.zero_point};
    return port;
}

uint32_t engine_input_count(const engine *loaded) {
    return loaded->inputs.count;
}

uint32_t engine_output_count(const engine *loaded) {
    return loaded->outputs.count;
}

engine_tensor engine_input(const engine *loaded, uint32_t index) {
    return port_of(loaded, loaded->inputs, index);
}

engine_tensor engine_output(const engine *loaded, uint32_t index) {
    return port_of(loaded, loaded->outputs, index);
}

uint32_t engine_step_count(const engine *loaded) {
    return loaded->step_count;
}

uint32_t engine_step_ticks(const engine *loaded, uint32_t step) {
    if (step >= loaded->step_count) return 0;
    return steps_of(loaded)[step].ticks;
}

const engine_operator *engine_step_operator(const engine *loaded, uint32_t step) {
    if (step >= loaded->step_count) return NULL;
    return &kernels[steps_of(loaded)[step].kernel]->is;
}

uint32_t engine_arena_used(const engine *loaded) {
    return loaded->lost_bytes + loaded->used_bytes;
}

void engine_invoke(engine *loaded) {
    step_record *steps = steps_of(loaded);
    for (uint32_t index = 0; index < loaded->step_count; index++) {
        step_record *step = &steps[index];
        running now = {loaded, loaded->arena + step->settings, step->inputs, step->outputs, step->input_count, step->output_count};
        uint32_t start = loaded->now ? loaded->now(loaded->port) : 0;
        kernels[step->kernel]->run(&now);
        if (loaded->now) step->ticks = loaded->now(loaded->port) - start;
    }
}
