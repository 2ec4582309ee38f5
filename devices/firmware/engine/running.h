/* An operator that is running: its settings, its tensors, and memory to work with. */
#ifndef ENGINE_RUNNING_H
#define ENGINE_RUNNING_H

#include <stdint.h>

#ifndef ENGINE_STANDALONE
typedef struct {
    const struct engine *of;
    const void *settings;
    uint32_t inputs;
    uint32_t outputs;
    uint32_t input_count;
    uint32_t output_count;
} running;
#else
typedef struct {
    const void *settings;
    const void *const *inputs;
    void *const *outputs;
    void *scratch;
    uint32_t input_count;
    uint32_t output_count;
} running;
#endif

/* The bytes of an input or an output; NULL for an optional input that is not there. */
const void *input_bytes(const running *now, uint32_t index);
void *output_bytes(const running *now, uint32_t index);

/* As many bytes as were wanted; what is in them is of no meaning. */
void *scratch_bytes(const running *now);

#endif
