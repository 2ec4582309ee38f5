/* Factors of weights' channels, worked out once. */
#include <stddef.h>

#include "channels.h"

#ifndef ENGINE_STANDALONE
/* Products and quotient in double precision, as TensorFlow Lite does for one scale and for many. */
static bool channel_factors(preparation *at, const tensor *input, const tensor *weights, const tensor *output, channel_scaling *into) {
    int32_t *multipliers = (int32_t *)(void *)((uint8_t *)into + into->settings_bytes);
    int8_t *shifts = (int8_t *)(multipliers + into->count);
    for (int32_t channel = 0; channel < into->count; channel++) {
        double scale = (double)input->scale * (double)scale_at(at, weights, (uint32_t)channel) / (double)output->scale;
        factor found;
        if (!factor_of(scale, &found)) return unsupported(at, "scales too far apart: a factor of 2^30 and more");
        multipliers[channel] = found.multiplier;
        shifts[channel] = (int8_t)found.shift;
    }
    return true;
}

static bool good_weights(preparation *at, const tensor *weights, uint32_t axis) {
    if (weights->type != TYPE_INT8) return unsupported(at, "weights must be int8");
    if (weights->scales.count == 0 || weights->zero_point != 0) return unsupported(at, "weights without a scale, or with a zero point");
    if (weights->scales.count == 1) return true;
    bool along = weights->channel_axis == (int32_t)axis && weights->scales.count == (uint32_t)weights->dims[axis];
    return along || unsupported(at, "weights scaled along another axis than the output channels");
}

void *claim_scaled(preparation *at, uint32_t bytes, const tensor *input, const tensor *weights, const tensor *output, uint32_t axis,
                   uint8_t activation) {
    if (!good_weights(at, weights, axis)) return NULL;
    uint32_t count = weights->scales.count;
    channel_scaling *into = claim(at, bytes + count * (uint32_t)(sizeof(int32_t) + sizeof(int8_t)));
    if (into == NULL) return NULL;
    into->input_offset = -input->zero_point;
    into->output_zero_point = output->zero_point;
    into->settings_bytes = (uint16_t)bytes;
    into->per_channel = count > 1;
    into->count = (int32_t)count;
    if (!activation_bounds(activation, output->scale, output->zero_point, &into->limits)) {
        unsupported(at, "an activation that int8 does not have");
        return NULL;
    }
    return channel_factors(at, input, weights, output, into) ? into : NULL;
}

bool good_bias(preparation *at, uint32_t index, int32_t channels) {
    tensor bias;
    if (!has_input(at, index)) return true;
    if (!input_tensor(at, index, &bias)) return false;
    bool good = bias.type == TYPE_INT32 && bias.elements == (uint32_t)channels;
    return good || unsupported(at, "the bias must be int32, one per output channel");
}
#endif

static inline int32_t scaled(int32_t sum, int32_t multiplier, int32_t shift, int32_t zero_point) {
    if (shift >= 0) return saturated(wrap_add(scale_up(sum, multiplier, shift), zero_point));
    return saturated(scale_down(factor_product(sum, multiplier), shift) + zero_point);
}

/* `step` is 1 where each channel has a factor of its own, else 0. */
static inline void scale_all(const int32_t *multipliers, const int8_t *shifts, int32_t step, int32_t count, const int32_t *sums,
                             int32_t zero_point, int8_t *output) {
    for (const int32_t *end = sums + count; sums != end; multipliers += step, shifts += step) {
        *output++ = (int8_t)scaled(*sums++, *multipliers, *shifts, zero_point);
    }
}

/* All of int8 first, which is one instruction; few activations leave less. */
void scaled_outputs(const channel_scaling *of, int32_t channel, int32_t count, const int32_t *sums, int8_t *output) {
    const int32_t *multipliers = multipliers_of(of);
    const int8_t *shifts = (const int8_t *)(multipliers + of->count);
    const bounds limits = of->limits;
    if (of->per_channel) {
        scale_all(multipliers + channel, shifts + channel, 1, count, sums, of->output_zero_point, output);
    } else {
        scale_all(multipliers, shifts, 0, count, sums, of->output_zero_point, output);
    }
    if (limits.low == -128 && limits.high == 127) return;
    for (int32_t index = 0; index < count; index++) output[index] = clamp(output[index], limits);
}
