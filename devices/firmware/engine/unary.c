/* Operators of one int8 number: RELU, RELU6, LEAKY_RELU, LOGISTIC, TANH, HARD_SWISH, and QUANTIZE from int8.
 *
 * There are 256 inputs, so loading works out all 256 answers and running looks them up.
 */
#include <stddef.h>

#include "kernels.h"
#include "unary.h"
#ifndef ENGINE_STANDALONE
#include "curves.h"
#endif

typedef struct {
    uint32_t count;
    int8_t answers[256];
} lookup;

#ifndef ENGINE_STANDALONE
static const bounds INT8 = {-128, 127};

static lookup *claim_lookup(preparation *at, tensor *input, tensor *output) {
    if (!int8_pair(at, input, output)) return NULL;
    if (input->elements != output->elements) {
        unsupported(at, "input and output differ in size");
        return NULL;
    }
    lookup *it = claim(at, sizeof(lookup));
    if (it != NULL) it->count = input->elements;
    return it;
}

static bool factors_of(preparation *at, double real, factor *found) {
    return factor_of(real, found) || unsupported(at, "scales too far apart: a factor of 2^30 and more, or a negative one");
}
#endif

static void run(const running *now) {
    const lookup *it = now->settings;
    const int8_t *input = input_bytes(now, 0);
    int8_t *output = output_bytes(now, 0);
    for (uint32_t index = 0; index < it->count; index++) output[index] = it->answers[input[index] + 128];
}

#ifndef ENGINE_STANDALONE
/* Above and below zero by factors of their own, between the limits. */
static void fill_rescaled(lookup *it, const tensor *input, const tensor *output, factor above, factor below, bounds limits) {
    for (int32_t value = -128; value < 128; value++) {
        int32_t real = value - input->zero_point;
        factor by = real < 0 ? below : above;
        it->answers[value + 128] = clamp(wrap_add(scale_by(real, by.multiplier, by.shift), output->zero_point), limits);
    }
}

bool prepare_requantize(preparation *at) {
    tensor input, output;
    factor same;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL || !factors_of(at, (double)input.scale / (double)output.scale, &same)) return false;
    fill_rescaled(it, &input, &output, same, same, INT8);
    return true;
}
#endif

void run_requantize(const running *now) {
    run(now);
}

#ifndef ENGINE_STANDALONE
static bool prepare_relu(preparation *at) {
    tensor input, output;
    factor same;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL || !factors_of(at, (double)input.scale / (double)output.scale, &same)) return false;
    const bounds limits = {output.zero_point, 127};
    fill_rescaled(it, &input, &output, same, same, limits);
    return true;
}

/* Clamped only: the reference does not rescale here, so input and output are taken to have one scale. */
static bool prepare_relu6(preparation *at) {
    tensor input, output;
    bounds limits;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL) return false;
    if (!activation_bounds(3, input.scale, input.zero_point, &limits)) return unsupported(at, "a scale too small for 6");
    for (int32_t value = -128; value < 128; value++) it->answers[value + 128] = clamp(value, limits);
    return true;
}

/* Below zero the slope is part of the factor. */
static bool prepare_leaky_relu(preparation *at) {
    tensor input, output;
    factor above, below;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL) return false;
    double slope = (double)input.scale * (double)flat_f32_or(at->file, at->options, 0, 0.0f) / (double)output.scale;
    double same = (double)input.scale / (double)output.scale;
    if (!factors_of(at, same, &above) || !factors_of(at, slope, &below)) return false;
    fill_rescaled(it, &input, &output, above, below, INT8);
    return true;
}

typedef int32_t (*curve)(int32_t x);

/* Inputs become Q4; from +-15 on the answer is the curve's end. The answer, Q0, keeps `bits` bits. */
static bool prepare_curve(preparation *at, curve of, int32_t bits, int32_t zero_point) {
    tensor input, output;
    factor to_q4;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL || !factors_of(at, (double)input.scale * (double)(1 << 27), &to_q4)) return false;
    if (to_q4.shift < 0) return unsupported(at, "a scale too small for this curve");
    if (output.zero_point != zero_point) return unsupported(at, "the output's zero point is not the curve's");
    int32_t radius = (int32_t)(((int64_t)15 << 27) >> to_q4.shift);
    for (int32_t value = -128; value < 128; value++) {
        int32_t real = value - input.zero_point;
        int32_t answer = real < 0 ? INT8.low : INT8.high;
        if (real > -radius && real < radius) {
            answer = divide_by_power(of(scale_by(real, to_q4.multiplier, to_q4.shift)), 31 - bits) + zero_point;
        }
        it->answers[value + 128] = (int8_t)saturated(answer);
    }
    return true;
}

static bool prepare_logistic(preparation *at) {
    return prepare_curve(at, logistic_q4, 8, -128);
}

static bool prepare_tanh(preparation *at) {
    return prepare_curve(at, tanh_q4, 7, 0);
}

/* a * b / 2^15 of 16-bit numbers, rounded half up. */
static int32_t high_product_16(int32_t a, int32_t b) {
    return (a * b + (1 << 14)) >> 15;
}

static int32_t saturating_left_16(int32_t value, int32_t by) {
    int64_t shifted = (int64_t)value * ((int64_t)1 << by);
    return shifted > 32767 ? 32767 : shifted < -32768 ? -32768 : (int32_t)shifted;
}

typedef struct {
    int32_t multiplier; /* of 16 bits */
    int32_t shift;
} short_factor;

static bool short_factor_of(preparation *at, double real, short_factor *found) {
    factor whole;
    if (!factors_of(at, real, &whole)) return false;
    bool large = whole.multiplier >= INT32_MAX - (1 << 15);
    found->multiplier = large ? 32767 : (whole.multiplier + (1 << 15)) >> 16;
    found->shift = whole.shift;
    return found->shift >= -15 || unsupported(at, "scales too far apart for HARD_SWISH");
}

/* x * relu6(x + 3) / 6 in 16 bits: x on a scale 128 times finer, times a share that goes from 0 at -3 to 1 at +3. */
static int32_t hard_swish(int32_t real, short_factor to_output, short_factor to_share) {
    int32_t fine = real * 128;
    int32_t share = fine;
    if (to_share.shift > 0) share = saturating_left_16(share, to_share.shift - 1);
    share = high_product_16(share, to_share.multiplier);
    if (to_share.shift > 0) share = saturating_left_16(share, 1);
    if (to_share.shift < 0) share = divide_by_power(share, -to_share.shift);
    share = (share + (1 << 15)) >> 1;
    return divide_by_power(share * high_product_16(fine, to_output.multiplier) / (1 << 15), -to_output.shift);
}

static bool prepare_hard_swish(preparation *at) {
    tensor input, output;
    short_factor to_output, to_share;
    lookup *it = claim_lookup(at, &input, &output);
    if (it == NULL) return false;
    float fine_scale = (1.0f / 128.0f) * input.scale;
    if (!short_factor_of(at, (double)fine_scale / (double)output.scale, &to_output)) return false;
    if (!short_factor_of(at, (double)fine_scale / (double)(3.0f / 32768.0f), &to_share)) return false;
    if (to_output.shift > 0) return unsupported(at, "an output scale too small for HARD_SWISH");
    for (int32_t value = -128; value < 128; value++) {
        int32_t answer = hard_swish(value - input.zero_point, to_output, to_share) + output.zero_point;
        it->answers[value + 128] = (int8_t)saturated(answer);
    }
    return true;
}
#endif

const kernel HARD_SWISH = {{"HARD_SWISH", 117, 1, 1}, prepare_hard_swish, run};
const kernel LEAKY_RELU = {{"LEAKY_RELU", 98, 1, 2}, prepare_leaky_relu, run};
const kernel LOGISTIC = {{"LOGISTIC", 14, 1, 3}, prepare_logistic, run};
const kernel RELU = {{"RELU", 19, 1, 3}, prepare_relu, run};
const kernel RELU6 = {{"RELU6", 21, 1, 3}, prepare_relu6, run};
const kernel TANH = {{"TANH", 28, 1, 3}, prepare_tanh, run};
