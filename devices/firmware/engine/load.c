/* Loading: from the bytes of a .tflite to an engine that can run it, with every claim of the file checked on the way. */
#include <stddef.h>
#include <string.h>

#include "state.h"

/* Slots of the tables of schema.fbs. */
enum { MODEL_VERSION = 0, MODEL_CODES = 1, MODEL_GRAPHS = 2, MODEL_BUFFERS = 4 };
enum { CODE_SHORT = 0, CODE_VERSION = 2, CODE_LONG = 3 };
enum { GRAPH_TENSORS = 0, GRAPH_INPUTS = 1, GRAPH_OUTPUTS = 2, GRAPH_STEPS = 3 };
enum { STEP_CODE = 0, STEP_INPUTS = 1, STEP_OUTPUTS = 2, STEP_OPTIONS = 4 };

static const engine_error NOTHING_WRONG = {ENGINE_OK, -1, -1, 0, 0, ""};

bool refuse(preparation *at, engine_status status, const char *reason) {
    if (at->error->status == ENGINE_OK) {
        at->error->status = status;
        at->error->reason = reason;
    }
    return false;
}

bool unsupported(preparation *at, const char *reason) {
    return refuse(at, ENGINE_UNSUPPORTED, reason);
}

static bool damaged(preparation *at, const char *reason) {
    return refuse(at, ENGINE_BAD_MODEL, reason);
}

static bool whole(preparation *at) {
    return !at->file->broken || damaged(at, "the file is damaged: an offset leads out of it");
}

static bool too_small(preparation *at, uint32_t needed_bytes) {
    engine_error *error = at->error;
    refuse(at, ENGINE_ARENA_TOO_SMALL, "the arena is too small");
    if (error->status == ENGINE_ARENA_TOO_SMALL) error->needed_bytes = needed_bytes + at->into->lost_bytes;
    return false;
}

uint32_t take(engine *it, uint32_t bytes) {
    uint32_t place = it->used_bytes;
    uint64_t end = ((uint64_t)place + bytes + 3) & ~(uint64_t)3;
    it->used_bytes = end > UINT32_MAX ? UINT32_MAX & ~3u : (uint32_t)end;
    if (end > it->arena_bytes) return NO_DATA;
    memset(it->arena + place, 0, bytes);
    return place;
}

void *claim(preparation *at, uint32_t bytes) {
    uint32_t place = take(at->into, bytes);
    if (place != NO_DATA) return at->into->arena + place;
    too_small(at, at->into->used_bytes);
    return NULL;
}

void want_scratch(preparation *at, uint64_t bytes) {
    engine *it = at->into;
    if (bytes > it->scratch_bytes) it->scratch_bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static bool check_tensor(preparation *at, uint32_t index) {
    tensor found;
    tensor_record *record = &tensors_of(at->into)[index];
    if (!describe_tensor(at, index, &found)) return false;
    record->constant = found.data != NO_DATA;
    record->place = found.data;
    record->bytes = found.bytes;
    record->first = NEVER;
    return true;
}

/* The position of a vector of tensor numbers, whose numbers all stand for tensors; -1 only where `optional`. */
static bool check_numbers(preparation *at, flat_vector numbers, bool optional) {
    for (uint32_t index = 0; index < numbers.count; index++) {
        int32_t number = flat_i32(at->file, numbers.at + 4 * index);
        if (number == -1 && optional) continue;
        if (number < 0 || (uint32_t)number >= at->into->tensor_count) return damaged(at, "there is no tensor of this number");
    }
    return whole(at);
}

static tensor_record *record_of(preparation *at, flat_vector numbers, uint32_t index) {
    int32_t number = flat_i32(at->file, numbers.at + 4 * index);
    return number < 0 ? NULL : &tensors_of(at->into)[number];
}

/* Lifetimes: inputs are written before the first step; what a step writes lives from there to the last step that reads it. */
static bool live(preparation *at, uint16_t step, flat_vector inputs, flat_vector outputs) {
    for (uint32_t index = 0; index < inputs.count; index++) {
        tensor_record *read = record_of(at, inputs, index);
        if (read == NULL || read->constant) continue;
        if (read->first == NEVER) return damaged(at, "reads a tensor that nothing has written");
        if (read->last < step) read->last = step;
    }
    for (uint32_t index = 0; index < outputs.count; index++) {
        tensor_record *written = record_of(at, outputs, index);
        if (written->constant) return damaged(at, "writes to a constant");
        if (written->first != NEVER) return damaged(at, "writes a tensor that is written already");
        written->first = written->last = step;
    }
    return true;
}

static const kernel *find_kernel(preparation *at, uint32_t code) {
    int32_t builtin = flat_u8_or(at->file, code, CODE_SHORT, 0);
    int32_t longer = flat_i32_or(at->file, code, CODE_LONG, 0);
    if (longer > builtin) builtin = longer;
    at->error->builtin = builtin;
    at->error->version = flat_i32_or(at->file, code, CODE_VERSION, 1);
    for (uint32_t index = 0; index < kernel_count; index++) {
        if (kernels[index]->is.builtin == builtin) return kernels[index];
    }
    refuse(at, ENGINE_UNKNOWN_OPERATOR, "this engine does not have the operator");
    return NULL;
}

static uint32_t number_of(const kernel *wanted) {
    uint32_t number = 0;
    while (kernels[number] != wanted) number++;
    return number;
}

static bool load_step(preparation *at, flat_vector codes, uint32_t table, uint32_t index) {
    flat_file *file = at->file;
    engine *it = at->into;
    uint32_t code = flat_element(file, codes, (uint32_t)flat_i32_or(file, table, STEP_CODE, 0));
    at->inputs = flat_vector_of(file, table, STEP_INPUTS, 4);
    at->outputs = flat_vector_of(file, table, STEP_OUTPUTS, 4);
    at->options = flat_table(file, table, STEP_OPTIONS);
    if (!whole(at)) return false;
    const kernel *found = find_kernel(at, code);
    if (found == NULL) return false;
    if (at->error->version < found->is.first_version || at->error->version > found->is.last_version)
        return refuse(at, ENGINE_UNKNOWN_VERSION, "this engine does not know this version of the operator");
    if (at->inputs.count > 255 || at->outputs.count > 255) return unsupported(at, "more than 255 inputs or outputs");
    if (!check_numbers(at, at->inputs, true) || !check_numbers(at, at->outputs, false)) return false;
    if (!live(at, (uint16_t)index, at->inputs, at->outputs)) return false;
    step_record *step = &steps_of(it)[index];
    step->settings = it->used_bytes;
    step->inputs = at->inputs.at;
    step->outputs = at->outputs.at;
    step->input_count = (uint16_t)at->inputs.count;
    step->output_count = (uint16_t)at->outputs.count;
    step->kernel = number_of(found);
    return found->prepare(at) && whole(at);
}

static bool mark_ends(preparation *at) {
    engine *it = at->into;
    for (uint32_t index = 0; index < it->inputs.count; index++) {
        tensor_record *input = record_of(at, it->inputs, index);
        if (input->constant) return damaged(at, "an input of the model is a constant");
        input->first = 0;
    }
    return true;
}

static bool keep_outputs(preparation *at) {
    engine *it = at->into;
    for (uint32_t index = 0; index < it->outputs.count; index++) {
        tensor_record *output = record_of(at, it->outputs, index);
        if (output->constant || output->first == NEVER) return damaged(at, "an output of the model is never written");
        output->last = (uint16_t)it->step_count;
    }
    return true;
}

static bool load_graph(preparation *at, uint32_t model, uint32_t graph) {
    flat_file *file = at->file;
    engine *it = at->into;
    flat_vector codes = flat_vector_of(file, model, MODEL_CODES, 4);
    flat_vector steps = flat_vector_of(file, graph, GRAPH_STEPS, 4);
    it->buffer_tables = at->buffers = flat_vector_of(file, model, MODEL_BUFFERS, 4);
    it->tensor_tables = at->tensors = flat_vector_of(file, graph, GRAPH_TENSORS, 4);
    it->inputs = flat_vector_of(file, graph, GRAPH_INPUTS, 4);
    it->outputs = flat_vector_of(file, graph, GRAPH_OUTPUTS, 4);
    it->tensor_count = it->tensor_tables.count;
    it->step_count = steps.count;
    if (!whole(at)) return false;
    if (it->tensor_count > MOST_TENSORS || it->step_count > MOST_STEPS) return unsupported(at, "more than 1,024 tensors or operators");
    it->tensors = take(it, it->tensor_count * (uint32_t)sizeof(tensor_record));
    it->steps = take(it, it->step_count * (uint32_t)sizeof(step_record));
    if (it->tensors == NO_DATA || it->steps == NO_DATA) return too_small(at, it->used_bytes);
    for (uint32_t index = 0; index < it->tensor_count; index++) {
        if (!check_tensor(at, index)) return false;
    }
    if (!check_numbers(at, it->inputs, false) || !check_numbers(at, it->outputs, false) || !mark_ends(at)) return false;
    for (uint32_t index = 0; index < it->step_count; index++) {
        at->error->operator_index = (int32_t)index;
        if (!load_step(at, codes, flat_element(file, steps, index), index)) return false;
    }
    at->error->operator_index = at->error->builtin = -1;
    return keep_outputs(at);
}

static bool load_model(preparation *at) {
    flat_file *file = at->file;
    if (file->size < 8 || memcmp(file->bytes + 4, "TFL3", 4) != 0) return damaged(at, "this is not a .tflite file");
    uint32_t model = flat_follow(file, 0) + flat_u32(file, 0);
    if (model < 8) return damaged(at, "the file is damaged: it has no root");
    flat_vector graphs = flat_vector_of(file, model, MODEL_GRAPHS, 4);
    if (flat_i32_or(file, model, MODEL_VERSION, 0) != 3) return damaged(at, "not version 3 of the schema");
    if (graphs.count != 1) return unsupported(at, "more than one graph, or none");
    uint32_t needed = 0;
    engine *it = at->into;
    if (!load_graph(at, model, flat_element(file, graphs, 0)) || !whole(at)) return false;
    it->scratch = take(it, it->scratch_bytes);
    it->activations = it->used_bytes;
    return plan_activations(it, &needed) || too_small(at, needed);
}

engine *engine_load(const void *model, uint32_t model_bytes, void *arena, uint32_t arena_bytes, engine_clock clock, engine_error *error) {
    flat_file file = {model, model_bytes, false};
    uint32_t lost = (uint32_t)(-(uintptr_t)arena & (ARENA_ALIGNMENT - 1));
    preparation at = {&file, NULL, error, {0, 0}, {0, 0}, 0, {0, 0}, {0, 0}};
    *error = NOTHING_WRONG;
    if (arena_bytes > INT32_MAX || model_bytes > INT32_MAX) return unsupported(&at, "model or arena of 2 GB and more"), NULL;
    if ((uintptr_t)model % ENGINE_MODEL_ALIGNMENT != 0) return unsupported(&at, "the model's first byte is not aligned"), NULL;
    if (arena_bytes < lost || arena_bytes - lost < sizeof(engine)) {
        refuse(&at, ENGINE_ARENA_TOO_SMALL, "the arena is too small");
        error->needed_bytes = lost + (uint32_t)sizeof(engine);
        return NULL;
    }
    engine *it = (engine *)(void *)((uint8_t *)arena + lost);
    memset(it, 0, sizeof *it);
    it->model = model;
    it->arena = (uint8_t *)arena + lost;
    it->now = clock.now;
    it->port = clock.port;
    it->model_bytes = model_bytes;
    it->arena_bytes = arena_bytes - lost;
    it->lost_bytes = lost;
    it->used_bytes = sizeof(engine);
    at.into = it;
    return load_model(&at) ? it : NULL;
}
