/* How an engine stands in its arena: itself, a record per tensor, a record per step, what kernels claimed, then activations.
 *
 * Records hold offsets, not pointers, so that a host's build says to the byte what a 32-bit board will need: `engine` itself is
 * padded to the size that it has with 64-bit pointers.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include "kernel.h"

#define ARENA_ALIGNMENT 8u
#define NEVER 0xffffu
#define MOST_TENSORS 1024u
#define MOST_STEPS 1024u

/* `place` counts from the model's first byte for constants, else from the arena's. Written in step `first`, last read in `last`. */
typedef struct {
    uint32_t place;
    uint32_t bytes;
    uint16_t first;
    uint16_t last;
    bool constant;
    bool placed;
    uint16_t spare;
} tensor_record;

typedef struct {
    uint32_t settings;
    uint32_t inputs;
    uint32_t outputs;
    uint32_t ticks;
    uint16_t input_count;
    uint16_t output_count;
    uint32_t kernel;
} step_record;

typedef uint32_t (*clock_now)(void *port);

#define PADDED(type, name)   \
    union {                  \
        type name;           \
        uint64_t name##_pad; \
    }

struct engine {
    PADDED(const uint8_t *, model);
    PADDED(uint8_t *, arena);
    PADDED(clock_now, now);
    PADDED(void *, port);
    uint32_t model_bytes;
    uint32_t arena_bytes;
    uint32_t lost_bytes; /* before the arena's first aligned byte */
    uint32_t used_bytes;
    uint32_t tensors;
    uint32_t steps;
    flat_vector tensor_tables;
    flat_vector buffer_tables;
    flat_vector inputs;
    flat_vector outputs;
    uint32_t tensor_count;
    uint32_t step_count;
    uint32_t activations; /* where they begin */
    uint32_t scratch;
    uint32_t scratch_bytes;
};

static inline tensor_record *tensors_of(const engine *it) {
    return (tensor_record *)(void *)(it->arena + it->tensors);
}

static inline step_record *steps_of(const engine *it) {
    return (step_record *)(void *)(it->arena + it->steps);
}

/* The record of the index-th of some tensors' numbers, NULL for -1; loading has checked every position that is read here. */
static inline const tensor_record *numbered(const engine *it, uint32_t numbers, uint32_t index) {
    int32_t number = read_i32(it->model + numbers + 4 * index);
    return number < 0 ? NULL : &tensors_of(it)[number];
}

static inline uint8_t *bytes_of(const engine *it, const tensor_record *record) {
    return it->arena + record->place;
}

/* Take bytes from the arena's free end; NO_DATA where they do not fit, and `used_bytes` says then how much would have been needed. */
uint32_t take(engine *it, uint32_t bytes);

/* Describe a tensor of the graph. */
bool describe_tensor(preparation *at, uint32_t index, tensor *found);

/* Give every activation its place behind what is taken; false where the arena is too small for them. */
bool plan_activations(engine *it, uint32_t *needed_bytes);

extern const kernel *const kernels[];
extern const uint32_t kernel_count;

#endif
