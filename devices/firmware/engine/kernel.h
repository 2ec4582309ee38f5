/* What a kernel is made of, and what it may see: at loading the shapes and scales of its tensors, at running their bytes. */
#ifndef ENGINE_KERNEL_H
#define ENGINE_KERNEL_H

#include <stddef.h>

#include "numbers.h"
#include "running.h"
#ifndef ENGINE_STANDALONE
#include "engine.h"
#include "flat.h"

/* A kernel checks everything in `prepare`, once: types, shapes against each other, options. What it needs to know at running it
 * claims from the arena. `run` then trusts all of it and cannot fail. Numbers of operators, types and options' slots are those of
 * TensorFlow Lite's schema.fbs.
 *
 * What is claimed is settings: numbers of fixed width, never pointers, the same on every machine and never written by `run`, since
 * `edgepipe export --as c` puts this machine's into a chip's flash. Memory to work with is scratch. What stands between
 * `#ifndef ENGINE_STANDALONE` and its end is about loading, and is not exported. */
#endif

#define LARGEST_RANK 6u

#ifndef ENGINE_STANDALONE
#define NO_DATA 0xffffffffu

enum { TYPE_FLOAT32 = 0, TYPE_INT32 = 2, TYPE_INT8 = 9 };

/* A tensor as the file describes it. Shapes are positive; `elements` and `bytes` follow from them and do not overflow. A constant's
 * `data` is its place in the file and holds `bytes` bytes; else NO_DATA. `scales` has one entry per tensor or per channel, all
 * finite and above 0; an int8 tensor's zero point is in -128..127. */
typedef struct {
    uint32_t index;
    uint8_t type;
    uint8_t rank;
    int32_t dims[LARGEST_RANK];
    uint32_t elements;
    uint32_t bytes;
    uint32_t data;
    float scale;
    int32_t zero_point;
    flat_vector scales;
    int32_t channel_axis;
} tensor;

/* An operator that is being loaded. */
typedef struct {
    flat_file *file;
    engine *into;
    engine_error *error;
    flat_vector tensors; /* the graph's tables */
    flat_vector buffers; /* the model's tables */
    uint32_t options;
    flat_vector inputs;
    flat_vector outputs;
} preparation;

typedef struct {
    engine_operator is;
    bool (*prepare)(preparation *at);
    void (*run)(const running *now);
} kernel;

/* Say why a model is refused; returns false, for `return refuse(...)`. The first reason stays. */
bool refuse(preparation *at, engine_status status, const char *reason);
bool unsupported(preparation *at, const char *reason);

/* Describe the index-th input or output; false (and refused) where there is none, or it is no good. */
bool input_tensor(preparation *at, uint32_t index, tensor *found);
bool output_tensor(preparation *at, uint32_t index, tensor *found);
bool has_input(preparation *at, uint32_t index);

/* Both at once, int8 both, as most operators have them. */
bool int8_pair(preparation *at, tensor *input, tensor *output);

/* The index-th value of a constant int32 tensor, and the index-th scale of a tensor. */
int32_t constant_i32(preparation *at, const tensor *of, uint32_t index);
float scale_at(preparation *at, const tensor *of, uint32_t index);
bool is_constant(const tensor *of);

/* Claim bytes of the arena, zeroed and aligned to 4, that stay until another model is loaded; NULL (and refused) where it is full.
 * The first claim of a preparation becomes `settings`. */
void *claim(preparation *at, uint32_t bytes);

/* Have at least so many bytes of memory to work with in every run, aligned to 4, whatever was in them before: all steps share it. */
void want_scratch(preparation *at, uint64_t bytes);
#endif

/* A little-endian int32 that need not be aligned: biases stand in the file as they are. */
static inline int32_t read_i32(const uint8_t *from) {
    int32_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a .tflite is read in place: little-endian machines only"
#endif

#endif
