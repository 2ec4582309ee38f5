/* The factors of an operator with weights: one for all output channels, or one for each. */
#ifndef ENGINE_CHANNELS_H
#define ENGINE_CHANNELS_H

#include <stddef.h>

#include "kernel.h"

/* Stands at the start of the settings of such an operator; multipliers and then shifts follow the settings in the arena. */
typedef struct {
    int32_t input_offset; /* to be added to every input */
    int32_t output_zero_point;
    bounds limits;
    uint16_t settings_bytes;
    bool per_channel;
    int32_t count;
} channel_scaling;

#ifndef ENGINE_STANDALONE
/* Claim settings of `bytes` bytes that begin with a channel_scaling, and fill that. `weights` are scaled along `axis`, which has one
 * entry per output channel. NULL (and refused) where scales do not fit. */
void *claim_scaled(preparation *at, uint32_t bytes, const tensor *input, const tensor *weights, const tensor *output, uint32_t axis,
                   uint8_t activation);

/* The bias is absent, or int32 with one entry per channel; false (and refused) otherwise. */
bool good_bias(preparation *at, uint32_t index, int32_t channels);
#endif

static inline const int32_t *multipliers_of(const channel_scaling *of) {
    return (const int32_t *)(const void *)((const uint8_t *)of + of->settings_bytes);
}

/* The sums of `count` neighbouring channels, as int8 outputs. */
void scaled_outputs(const channel_scaling *of, int32_t channel, int32_t count, const int32_t *sums, int8_t *output);

/* Fill sums with the biases of `count` neighbouring channels; without biases, with 0. */
static inline void biases_of(const uint8_t *biases, int32_t channel, int32_t count, int32_t *sums) {
    if (biases) {
        __builtin_memcpy(sums, biases + 4 * channel, (size_t)count * sizeof *sums);
    } else {
        __builtin_memset(sums, 0, (size_t)count * sizeof *sums);
    }
}

static inline int32_t bias_at(const uint8_t *biases, int32_t channel) {
    return biases ? read_i32(biases + 4 * channel) : 0;
}

#endif
