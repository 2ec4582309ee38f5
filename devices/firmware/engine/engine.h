/* What an inference engine offers to the firmware: load, input, invoke, output, ticks per operator, arena used, operators.
 *
 * The model is read in place and must stay where it is, unchanged, from engine_load() to the last call. All state stands in the
 * arena: engine_load() may be called again at any time, with another model or the same arena, and forgets what was there.
 * No call allocates, recurses, waits or prints. A file that is damaged or hostile is refused; nothing outside model and arena is
 * read, nothing outside the arena is written.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stdint.h>

/* The model must start at a multiple of this, as its writers align their buffers; the arena may start anywhere. */
#define ENGINE_MODEL_ALIGNMENT 4u

typedef enum {
    ENGINE_OK = 0,
    ENGINE_BAD_MODEL = 1,            /* not a .tflite file, cut, or contradicting itself */
    ENGINE_UNKNOWN_OPERATOR = 2,     /* an operator that this engine does not have */
    ENGINE_UNKNOWN_VERSION = 3,      /* an operator that it has, in a version that it does not know */
    ENGINE_UNSUPPORTED = 4,          /* an operator that it has, used in a way that it does not know: types, shapes, options */
    ENGINE_ARENA_TOO_SMALL = 5,
} engine_status;

/* Why a model was refused. `operator_index` is its place in the graph, -1 where it is not about one operator; `builtin` and
 * `version` are the operator's numbers in the .tflite schema; `needed_bytes` is the arena that would have been enough to get past
 * this point (ENGINE_ARENA_TOO_SMALL only). `reason` is a line of plain English that lives for ever. */
typedef struct {
    engine_status status;
    int32_t operator_index;
    int32_t builtin;
    int32_t version;
    uint32_t needed_bytes;
    const char *reason;
} engine_error;

/* An input or an output: `data` stands in the arena. `type` is a TensorType of the .tflite schema (0 float32, 9 int8 ...). An
 * input's memory may be used again for other tensors: write every input before each engine_invoke(). */
typedef struct {
    void *data;
    uint32_t bytes;
    uint8_t type;
    float scale;        /* 0 where the tensor is not quantised */
    int32_t zero_point;
} engine_tensor;

/* The port's clock: a count that only goes up, modulo 2^32. `now` may be NULL: then no ticks are taken. */
typedef struct {
    uint32_t (*now)(void *port);
    void *port;
} engine_clock;

/* An operator that the engine runs, with the versions that it knows. */
typedef struct {
    const char *name;
    uint8_t builtin;
    uint8_t first_version;
    uint8_t last_version;
} engine_operator;

typedef struct engine engine;

/* Return the engine that stands in `arena`, ready for `model`, or NULL with the reason in `error`. */
engine *engine_load(const void *model, uint32_t model_bytes, void *arena, uint32_t arena_bytes, engine_clock clock, engine_error *error);

uint32_t engine_input_count(const engine *loaded);
uint32_t engine_output_count(const engine *loaded);
/* Past the last: `data` NULL and 0 bytes. */
engine_tensor engine_input(const engine *loaded, uint32_t index);
engine_tensor engine_output(const engine *loaded, uint32_t index);

/* Run the model once. A model that was loaded runs to its end. */
void engine_invoke(engine *loaded);

/* The graph's operators in the order in which they run, and the ticks that each took in the last engine_invoke(). */
uint32_t engine_step_count(const engine *loaded);
uint32_t engine_step_ticks(const engine *loaded, uint32_t step);
const engine_operator *engine_step_operator(const engine *loaded, uint32_t step);

/* Bytes of the arena in use, counted from its first byte: an arena of this size, equally aligned, is enough. */
uint32_t engine_arena_used(const engine *loaded);

/* Name of the engine, and the operators that it runs: the i-th, or NULL past the last. */
const char *engine_name(void);
const engine_operator *engine_operator_at(uint32_t index);

#endif
