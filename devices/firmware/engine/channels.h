/* The factors of an operator with weights: one for all output channels, or one for each. */
#ifndef ENGINE_CHANNELS_H
#define ENGINE_CHANNELS_H

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

/* Claim settings of `bytes` bytes that begin with a channel_scaling, and fill that. `weights` are scaled along `axis`, which has one
 * entry per output channel. NULL (and refused) where scales do not fit. */
void *claim_scaled(preparation *at, uint32_t bytes, const tensor *input, const tensor *weights, const tensor *output, uint32_t axis,
                   uint8_t activation);

/* The bias is absent, or int32 with one entry per channel; false (and refused) otherwise. */
bool good_bias(preparation *at, uint32_t index, int32_t channels);

static inline const int32_t *multipliers_of(const channel_scaling *of) {
    return (const int32_t *)(const void *)((const uint8_t *)of + of->settings_bytes);
}

/* A channel's sum, as an int8 output. */
static inline int8_t scaled_output(const channel_scaling *of, int32_t channel, int32_t sum) {
    int32_t index = of->per_channel ? channel : 0;
    const int32_t *multipliers = multipliers_of(of);
    const int8_t *shifts = (const int8_t *)(multipliers + of->count);
    int32_t scaled = scale_by(sum, multipliers[index], shifts[index]);
    return clamp(wrap_add(scaled, of->output_zero_point), of->limits);
}

static inline int32_t bias_at(const uint8_t *biases, int32_t channel) {
    return biases ? read_i32(biases + 4 * channel) : 0;
}

/* Sum of weights * (inputs + offset) over `count` neighbours; wraps like the 32-bit accumulators of the reference. */
static inline int32_t dot(const int8_t *inputs, const int8_t *weights, int32_t count, int32_t offset) {
    uint32_t sum = 0;
    for (int32_t index = 0; index < count; index++) sum += (uint32_t)(weights[index] * (inputs[index] + offset));
    return (int32_t)sum;
}

#endif
