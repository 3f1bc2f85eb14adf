// The optimizers, written once over vectors of 16 elements. An instruction set's file defines `lookup` and then
// includes this one.
#ifndef CKERNELS_OPTIMIZERS_ELEMENTS_H
#define CKERNELS_OPTIMIZERS_ELEMENTS_H

#include "optimizers_kernels.h"
#include "training_layers_lanes.h"

// torch's kernels fuse where this does. Without such an instruction it is a call for each lane.
CK_INLINE ck_floats fused(ck_floats a, ck_floats b, ck_floats sum) { return __builtin_elementwise_fma(a, b, sum); }

// Calls `vector(step, i, count)` for all vectors of the elements, the last of which may be short.
#define CK_EACH_VECTOR(vector, step, begin, end)                                      \
    do {                                                                              \
        int64_t i = begin;                                                            \
        for (; i + CK_LANES <= end; i += CK_LANES) vector(step, i, CK_LANES);         \
        if (i < end) vector(step, i, end - i);                                        \
    } while (0)

CK_INLINE ck_floats gradient_at(const ck_update *update, int64_t i, int64_t count) {
    return load_as(false, update->gradients, i, count, 0) * update->gradient_factor;
}

CK_INLINE void set_parameters(const ck_update *update, int64_t i, int64_t count, ck_floats p) {
    store_as(false, update->parameters, i, count, p);
    if (update->copy == NULL) return;
    if (update->copy_type == CK_BF16) store_as(true, update->copy, i, count, p);
    if (update->copy_type == CK_F32) store_as(false, update->copy, i, count, p);
}

// m += (1 - beta1) (g - m), from the nearer end as torch's lerp.
CK_INLINE ck_floats first_moment(const ck_step *step, ck_floats m, ck_floats g) {
    bool is_near_m = step->rest1 < 0.5f;
    ck_floats weight = all_lanes(is_near_m ? step->rest1 : step->rest1 - 1.0f);
    return fused(weight, g - m, is_near_m ? m : g);
}

CK_INLINE ck_floats second_moment(const ck_step *step, ck_floats v, ck_floats g) {
    return fused(g * step->rest2, g, v * step->beta2);
}

CK_INLINE ck_floats adamw_parameters(const ck_step *step, ck_floats p, ck_floats m, ck_floats v) {
    ck_floats denominator = __builtin_elementwise_sqrt(v) / step->root + step->epsilon;
    return p * step->kept + (m * step->step_size) / denominator;
}

CK_INLINE void adamw_vector(const ck_step *step, int64_t i, int64_t count) {
    const ck_update *update = step->update;
    ck_floats g = gradient_at(update, i, count);
    ck_floats m = first_moment(step, load_as(false, step->m, i, count, 0), g);
    ck_floats v = second_moment(step, load_as(false, step->v, i, count, 0), g);
    store_as(false, step->m, i, count, m);
    store_as(false, step->v, i, count, v);
    ck_floats p = load_as(false, update->parameters, i, count, 0);
    set_parameters(update, i, count, adamw_parameters(step, p, m, v));
}

static void adamw(const ck_step *step, int64_t begin, int64_t end) { CK_EACH_VECTOR(adamw_vector, step, begin, end); }

typedef uint8_t ck_bytes __attribute__((vector_size(16), aligned(1), may_alias));

CK_INLINE ck_words load_codes(const uint8_t *codes, int64_t count) {
    ck_bytes bytes = {0};
    if (count == CK_LANES) bytes = *(const ck_bytes *)codes;
    else memcpy(&bytes, codes, (size_t)count);
    return __builtin_convertvector(bytes, ck_words);
}

CK_INLINE void store_codes(uint8_t *codes, int64_t count, ck_words values) {
    ck_bytes bytes = __builtin_convertvector(values, ck_bytes);
    if (count == CK_LANES) *(ck_bytes *)codes = bytes;
    else memcpy(codes, &bytes, (size_t)count);
}

#define CK_SIGN_BIT ((int32_t)0x80000000)

// The largest magnitude of a whole number of vectors. Among bits without a sign NaN is the largest: a block with one
// gets NaN for a scale, and is seen to be lost.
CK_INLINE float largest_magnitude(const float *values, int64_t count) {
    ck_words most = {0};
    for (int64_t i = 0; i < count; i += CK_LANES) {
        ck_words bits = (ck_words)load(values + i) & ~CK_SIGN_BIT;
        most = __builtin_elementwise_max(most, bits);
    }
    int32_t largest = __builtin_reduce_max(most);
    float value;
    memcpy(&value, &largest, sizeof value);
    return value;
}

// A code's distance from that of 0 is the number of its magnitude, of which only 1 is not among the first 128.
CK_INLINE ck_floats signed_values(const ck_dynamic_codes *codes, ck_words code) {
    ck_words number = code - CK_SIGNED_ZERO, negative = number >> 31;
    number = (number ^ negative) - negative;
    ck_words value = lookup(codes->signed_values + CK_SIGNED_ZERO, 128, number & 127);
    value = (ck_words)choose(number == 128, all_lanes(1), (ck_floats)value);
    return (ck_floats)(value ^ (negative & CK_SIGN_BIT));
}

CK_INLINE ck_floats unsigned_values(const ck_dynamic_codes *codes, ck_words code) {
    return (ck_floats)lookup(codes->unsigned_values, 256, code);
}

// The number of the nearest magnitude, up to the rounding of a step's fraction; the last one for NaN.
CK_INLINE ck_words nearest_magnitudes(const ck_magnitudes *magnitudes, ck_floats value) {
    ck_floats x = (ck_floats)((ck_words)value & ~CK_SIGN_BIT);
    ck_words octave = ((ck_words)x >> 23) - CK_LOWEST_EXPONENT;
    octave = __builtin_elementwise_min(__builtin_elementwise_max(octave, all_words(0)), all_words(CK_OCTAVES - 1));
    ck_floats border = (ck_floats)lookup(magnitudes->borders, CK_OCTAVES, octave);
    ck_words decade = lookup(magnitudes->decades, CK_OCTAVES, octave) - (x > border);
    ck_floats slope = (ck_floats)lookup(magnitudes->slopes, CK_DECADES, decade);
    ck_floats intercept = (ck_floats)lookup(magnitudes->intercepts, CK_DECADES, decade);
    ck_floats last = (ck_floats)lookup(magnitudes->last, CK_DECADES, decade);
    ck_floats number = x * slope + intercept;
    number = choose(number < last, number, last);
    return (ck_words)(number + CK_ROUNDING) & 0x1ff;
}

// There is one code more above that of 0 than below it.
CK_INLINE ck_words signed_codes(const ck_dynamic_codes *codes, ck_floats value) {
    ck_words magnitude = nearest_magnitudes(&codes->signed_magnitudes, value);
    ck_words negative = (ck_words)value >> 31;
    ck_words least = -__builtin_elementwise_min(magnitude, all_words(CK_SIGNED_ZERO));
    return all_words(CK_SIGNED_ZERO) + ((negative & least) | (~negative & magnitude));
}

CK_INLINE ck_words unsigned_codes(const ck_dynamic_codes *codes, ck_floats value) {
    return nearest_magnitudes(&codes->unsigned_magnitudes, value);
}

// Codes and scale of a block's states. Those of a block that has no normal number count as 0.
CK_INLINE void set_states(bool is_signed, const ck_dynamic_codes *codes, const float *values, int64_t count,
                          uint8_t *state_codes, float *scale) {
    float most = largest_magnitude(values, (count + CK_LANES - 1) / CK_LANES * CK_LANES);
    *scale = most < 0x1p-126f ? 0 : most;
    float inverse = most < 0x1p-126f ? 0 : 1 / most;
    for (int64_t i = 0; i < count; i += CK_LANES) {
        ck_floats value = load(values + i) * inverse;
        store_codes(state_codes + i, lanes_left(count - i),
                    is_signed ? signed_codes(codes, value) : unsigned_codes(codes, value));
    }
}

CK_INLINE void adamw_state_vector(const ck_step *step, int64_t i, int64_t count, float m_scale, float v_scale,
                                  float *m_values, float *v_values) {
    const ck_update *update = step->update;
    ck_floats m = signed_values(step->codes, load_codes(step->m_codes + i, count)) * m_scale;
    ck_floats v = unsigned_values(step->codes, load_codes(step->v_codes + i, count)) * v_scale;
    ck_floats g = gradient_at(update, i, count);
    m = first_moment(step, m, g);
    v = second_moment(step, v, g);
    store_as(false, m_values, 0, count, m);
    store_as(false, v_values, 0, count, v);
    ck_floats p = load_as(false, update->parameters, i, count, 0);
    set_parameters(update, i, count, adamw_parameters(step, p, m, v));
}

// The elements begin with a block of states.
static void adamw_8bit(const ck_step *step, int64_t begin, int64_t end) {
    for (int64_t start = begin; start < end; start += CK_STATE_BLOCK) {
        // Zeros are what the last block's missing elements count as.
        float m[CK_STATE_BLOCK] = {0}, v[CK_STATE_BLOCK] = {0};
        float *m_scale = &step->m[start / CK_STATE_BLOCK], *v_scale = &step->v[start / CK_STATE_BLOCK];
        int64_t count = end - start < CK_STATE_BLOCK ? end - start : CK_STATE_BLOCK, i = 0;
        for (; i + CK_LANES <= count; i += CK_LANES) {
            adamw_state_vector(step, start + i, CK_LANES, *m_scale, *v_scale, m + i, v + i);
        }
        if (i < count) adamw_state_vector(step, start + i, count - i, *m_scale, *v_scale, m + i, v + i);
        set_states(true, step->codes, m, count, step->m_codes + start, m_scale);
        set_states(false, step->codes, v, count, step->v_codes + start, v_scale);
    }
}

// Products and sums are fused as torch's are.
CK_INLINE void sgd_vector(const ck_step *step, int64_t i, int64_t count) {
    const ck_update *update = step->update;
    ck_floats p = load_as(false, update->parameters, i, count, 0), g = gradient_at(update, i, count);
    if (update->weight_decay != 0) g = fused(p, all_lanes(update->weight_decay), g);
    if (step->m != NULL) {
        if (!step->is_first) g = load_as(false, step->m, i, count, 0) * step->beta1 + g;
        store_as(false, step->m, i, count, g);
    }
    set_parameters(update, i, count, fused(g, all_lanes(step->step_size), p));
}

static void sgd(const ck_step *step, int64_t begin, int64_t end) { CK_EACH_VECTOR(sgd_vector, step, begin, end); }

CK_INLINE void lion_vector(const ck_step *step, int64_t i, int64_t count) {
    const ck_update *update = step->update;
    ck_floats g = gradient_at(update, i, count), m = load_as(false, step->m, i, count, 0);
    ck_floats direction = m * step->beta1 + g * step->rest1;
    // 0 stays 0, and NaN stays NaN.
    ck_floats sign = choose(direction > 0.0f, all_lanes(1), choose(direction < 0.0f, all_lanes(-1), direction));
    store_as(false, step->m, i, count, m * step->beta2 + g * step->rest2);
    ck_floats p = load_as(false, update->parameters, i, count, 0);
    set_parameters(update, i, count, p * step->kept + sign * step->step_size);
}

static void lion(const ck_step *step, int64_t begin, int64_t end) { CK_EACH_VECTOR(lion_vector, step, begin, end); }

CK_INLINE void moving_average_vector(const ck_step *step, int64_t i, int64_t count) {
    ck_floats p = load_as(false, step->update->parameters, i, count, 0);
    ck_floats average = load_as(false, step->m, i, count, 0);
    store_as(false, step->m, i, count, average * step->beta1 + p * step->rest1);
}

static void moving_average(const ck_step *step, int64_t begin, int64_t end) {
    CK_EACH_VECTOR(moving_average_vector, step, begin, end);
}

#define CK_OPTIMIZER_KERNELS                                                                                    \
    {                                                                                                           \
        .adamw = adamw, .adamw_8bit = adamw_8bit, .sgd = sgd, .lion = lion, .moving_average = moving_average,   \
    }

#endif
