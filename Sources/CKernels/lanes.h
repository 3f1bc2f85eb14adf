// Vectors of 16 floats, in the compiler's own notation: whatever the instruction set, one of them is 1, 2 or
// 4 registers, and the same operations in the same order give the same bits. Files for an instruction set
// include this one under its target attribute.
#ifndef CKERNELS_LANES_H
#define CKERNELS_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

// A product and a sum stay two operations, each rounded, wherever they are not written as one.
#pragma STDC FP_CONTRACT OFF

// Vectors pass through inlined functions only, so that it does not matter how a call would pass them.
#pragma clang diagnostic ignored "-Wpsabi"

#define CK_INLINE static inline __attribute__((always_inline))

#define CK_LANES 16
// Loads and stores through pointers to these may have any alignment and alias anything.
typedef float ck_floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ck_words __attribute__((vector_size(64), aligned(4), may_alias));

CK_INLINE ck_floats load(const void *source) { return *(const ck_floats *)source; }

CK_INLINE void store(void *destination, ck_floats value) { *(ck_floats *)destination = value; }

CK_INLINE ck_floats all_lanes(float value) { return value - (ck_floats){0}; }

CK_INLINE ck_words all_words(int32_t value) { return value - (ck_words){0}; }

// The first `count` lanes, which is fewer than 16; `others` in the rest.
CK_INLINE ck_floats load_part(const void *source, int64_t count, float others) {
    ck_floats value = all_lanes(others);
    memcpy(&value, source, (size_t)count * sizeof(float));
    return value;
}

CK_INLINE void store_part(void *destination, int64_t count, ck_floats value) {
    memcpy(destination, &value, (size_t)count * sizeof(float));
}

// Lane by lane `yes` where the mask is all ones, else `no`.
CK_INLINE ck_floats choose(ck_words mask, ck_floats yes, ck_floats no) {
    return (ck_floats)((mask & (ck_words)yes) | (~mask & (ck_words)no));
}

// NaN in `a` is not taken.
CK_INLINE ck_floats larger(ck_floats a, ck_floats b) { return choose(a > b, a, b); }

// Folds halves upon each other: 8, 4, 2, 1.
CK_INLINE float sum_of_lanes(ck_floats v) {
    float f[CK_LANES];
    memcpy(f, &v, sizeof f);
    for (int width = CK_LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) f[i] += f[i + width];
    }
    return f[0];
}

CK_INLINE float largest_lane(ck_floats v) {
    float f[CK_LANES];
    memcpy(f, &v, sizeof f);
    for (int width = CK_LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) f[i] = f[i + width] > f[i] ? f[i + width] : f[i];
    }
    return f[0];
}

CK_INLINE int any_lane(ck_words mask) { return __builtin_reduce_or(mask) != 0; }

// Adding 1.5 * 2^23 leaves an integer, rounded half to even, in the low bits.
#define CK_ROUNDING 12582912.0f

// value * 2^n, n being in the low bits of `rounded`: the exponent of a result that is neither subnormal nor
// infinite is added to as an integer.
CK_INLINE ck_floats scaled(ck_floats value, ck_floats rounded) {
    return (ck_floats)((ck_words)value + ((ck_words)rounded << 23));
}

// e^x = 2^n e^r with n = round(x / ln 2): ln 2 comes in two parts, the first short enough that n times it is
// exact (Cody and Waite), and e^r - 1 - r is r² times a polynomial fitted on |r| <= ln 2 / 2 with a relative
// error of 3e-9. Results below 2^-126 become 0. NaN stays NaN.
CK_INLINE ck_floats exponential(ck_floats x) {
    ck_floats rounded = x * 1.44269504f + CK_ROUNDING;
    ck_floats n = rounded - CK_ROUNDING;
    ck_floats r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    ck_floats p = r * 0x1.6a2434p-10f + 0x1.1239e2p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    ck_floats y = scaled((p * (r * r) + r) + 1.0f, rounded);
    y = choose(x < -87.3365f, all_lanes(0), y);
    y = choose(x > 0x1.62e42ep6f, all_lanes(INFINITY), y);
    return choose(x == x, y, x);
}

#endif
