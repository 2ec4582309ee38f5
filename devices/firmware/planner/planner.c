/* How the built-in engine would run a model, told on this machine: a .tflite on standard input, its plan as JSON on standard output.
 * With the file's size as an argument, inputs follow it, and what comes out is their outputs, byte after byte.
 *
 * The settings that kernels prepare are plain numbers, so those of this machine are a board's. Offsets of tensors count from the
 * model's first byte for constants, else from the first byte of what a run needs: scratch, then activations.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/state.h"

#define MOST_BYTES (1u << 26)

static _Alignas(16) uint8_t model[MOST_BYTES];
static _Alignas(16) uint8_t arena[MOST_BYTES];

static void print_operators(void) {
    printf("{\"operators\": {");
    for (uint32_t index = 0; engine_operator_at(index) != NULL; index++) {
        const engine_operator *one = engine_operator_at(index);
        printf("%s\"%s\": %d", index > 0 ? ", " : "", one->name, one->last_version);
    }
    printf("}");
}

static void print_refusal(const engine_error *why) {
    printf(", \"refused\": {\"operator\": %" PRId32 ", \"reason\": \"%s\"}}\n", why->operator_index, why->reason);
}

static void print_tensors(const engine *it, uint32_t numbers, uint32_t count) {
    printf("[");
    for (uint32_t index = 0; index < count; index++) {
        int32_t number = read_i32(it->model + numbers + 4 * index);
        const tensor_record *one = &tensors_of(it)[number < 0 ? 0 : number];
        uint32_t place = one->constant ? one->place : one->place - it->scratch;
        if (index > 0) printf(", ");
        if (number < 0) {
            printf("null");
        } else {
            printf("{\"constant\": %s, \"at\": %" PRIu32 ", \"bytes\": %" PRIu32 "}", one->constant ? "true" : "false", place, one->bytes);
        }
    }
    printf("]");
}

/* A kernel's settings end where the next one's begin; behind the last one's is the scratch. */
static void print_step(const engine *it, uint32_t index) {
    const step_record *step = &steps_of(it)[index];
    uint32_t end = index + 1 < it->step_count ? step[1].settings : it->scratch;
    printf("%s\n  {\"kernel\": \"%s\", \"settings\": \"", index > 0 ? "," : "", kernels[step->kernel]->is.name);
    for (uint32_t at = step->settings; at < end; at++) printf("%02x", it->arena[at]);
    printf("\", \"inputs\": ");
    print_tensors(it, step->inputs, step->input_count);
    printf(", \"outputs\": ");
    print_tensors(it, step->outputs, step->output_count);
    printf("}");
}

static void print_plan(const engine *it) {
    uint32_t memory_bytes = it->used_bytes - it->scratch;
    printf(", \"arena_bytes\": %" PRIu32, engine_arena_used(it));
    printf(", \"memory_bytes\": %" PRIu32 ", \"scratch_bytes\": %" PRIu32 ",\n \"inputs\": ", memory_bytes, it->activations - it->scratch);
    print_tensors(it, it->inputs.at, it->inputs.count);
    printf(",\n \"outputs\": ");
    print_tensors(it, it->outputs.at, it->outputs.count);
    printf(",\n \"steps\": [");
    for (uint32_t index = 0; index < it->step_count; index++) print_step(it, index);
    printf("]}\n");
}

static bool read_inputs(const engine *it) {
    for (uint32_t index = 0; index < engine_input_count(it); index++) {
        engine_tensor input = engine_input(it, index);
        if (fread(input.data, 1, input.bytes, stdin) != input.bytes) return false;
    }
    return true;
}

static bool write_outputs(const engine *it) {
    for (uint32_t index = 0; index < engine_output_count(it); index++) {
        engine_tensor output = engine_output(it, index);
        if (fwrite(output.data, 1, output.bytes, stdout) != output.bytes) return false;
    }
    return true;
}

static int answer(size_t size) {
    const engine_clock none = {NULL, NULL};
    engine_error why;
    if (size > sizeof model || fread(model, 1, size, stdin) != size) return 1;
    engine *loaded = engine_load(model, (uint32_t)size, arena, sizeof arena, none, &why);
    if (loaded == NULL) return 1;
    while (read_inputs(loaded)) {
        engine_invoke(loaded);
        if (!write_outputs(loaded)) return 1;
    }
    return 0;
}

static int plan(void) {
    uint32_t size = (uint32_t)fread(model, 1, sizeof model, stdin);
    const engine_clock none = {NULL, NULL};
    engine_error why;
    print_operators();
    if (size == sizeof model) {
        printf(", \"refused\": {\"operator\": -1, \"reason\": \"a model of %u bytes and more\"}}\n", MOST_BYTES);
        return 0;
    }
    const engine *loaded = engine_load(model, size, arena, sizeof arena, none, &why);
    if (loaded == NULL) {
        print_refusal(&why);
    } else {
        print_plan(loaded);
    }
    return 0;
}

int main(int count, char **words) {
    return count > 1 ? answer((size_t)strtoul(words[1], NULL, 10)) : plan();
}
