// Vectors of 16 elements of training's activations, which are F32 or BF16: loaded as floats, stored rounded. Whether
// they are BF16 is a constant wherever these are inlined.
#ifndef CKERNELS_TRAINING_LAYERS_LANES_H
#define CKERNELS_TRAINING_LAYERS_LANES_H

#include <stdbool.h>

#include "include/convert.h"
#include "lanes.h"

typedef uint32_t ck_unsigned_words __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint64_t ck_unsigned_longs __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t ck_half_words __attribute__((vector_size(32), aligned(2), may_alias));

// Eight lanes, which is as many doubles as there are bytes in a ck_floats.
typedef double ck_doubles __attribute__((vector_size(64)));
typedef float ck_half_floats __attribute__((vector_size(32)));

// Sums run in 64 lanes, so that additions do not wait for each other and a sum of n has a chain of n / 64.
#define CK_SUMS 4
#define CK_STRIDE (CK_SUMS * CK_LANES)

CK_INLINE float sum_of_all(const ck_floats sums[CK_SUMS]) {
    return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// Calls `f` with constants in place of what is asked first: one loop for each combination of element types.
#define CK_FOR_EACH_1(f, a, ...) ((a) ? f(true, __VA_ARGS__) : f(false, __VA_ARGS__))
#define CK_FOR_EACH_2(f, a, b, ...)                                                                             \
    ((a) ? ((b) ? f(true, true, __VA_ARGS__) : f(true, false, __VA_ARGS__))                                     \
         : ((b) ? f(false, true, __VA_ARGS__) : f(false, false, __VA_ARGS__)))
#define CK_FOR_EACH_3(f, a, b, c, ...)                                                                          \
    ((a) ? ((b) ? ((c) ? f(true, true, true, __VA_ARGS__) : f(true, true, false, __VA_ARGS__))                  \
                : ((c) ? f(true, false, true, __VA_ARGS__) : f(true, false, false, __VA_ARGS__)))               \
         : ((b) ? ((c) ? f(false, true, true, __VA_ARGS__) : f(false, true, false, __VA_ARGS__))                \
                : ((c) ? f(false, false, true, __VA_ARGS__) : f(false, false, false, __VA_ARGS__))))

// Element `index` of a row.
CK_INLINE const void *element(bool bf16, const void *row, int64_t index) {
    return (const char *)row + index * (bf16 ? 2 : 4);
}

CK_INLINE ck_floats from_bf16(ck_half_words halves) {
    return (ck_floats)(__builtin_convertvector(halves, ck_unsigned_words) << 16);
}

// To nearest, ties to even; NaN becomes quiet, so that it stays NaN without the lower half.
CK_INLINE ck_half_words to_bf16(ck_floats value) {
    ck_unsigned_words bits = (ck_unsigned_words)value;
    ck_unsigned_words rounded = bits + 0x7fff + (bits >> 16 & 1);
    ck_unsigned_words isnan = (ck_unsigned_words)(value != value);
    return __builtin_convertvector(((isnan & (bits | 0x400000)) | (~isnan & rounded)) >> 16, ck_half_words);
}

// `count` elements from `index` on, which is all 16 or fewer; `others` in the rest.
CK_INLINE ck_floats load_as(bool bf16, const void *row, int64_t index, int64_t count, float others) {
    const void *source = element(bf16, row, index);
    if (!bf16) return count == CK_LANES ? load(source) : load_part(source, count, others);
    if (count == CK_LANES) return from_bf16(*(const ck_half_words *)source);
    // Lanes without an element are put in as floats: `others` may be no BF16 number.
    uint16_t words[CK_LANES] = {0};
    memcpy(words, source, (size_t)count * sizeof *words);
    float floats[CK_LANES];
    store(floats, from_bf16(*(const ck_half_words *)words));
    return load_part(floats, count, others);
}

CK_INLINE void store_as(bool bf16, void *row, int64_t index, int64_t count, ck_floats value) {
    void *destination = (char *)row + index * (bf16 ? 2 : 4);
    if (!bf16) {
        if (count == CK_LANES) store(destination, value);
        else store_part(destination, count, value);
        return;
    }
    ck_half_words words = to_bf16(value);
    if (count == CK_LANES) *(ck_half_words *)destination = words;
    else memcpy(destination, &words, (size_t)count * sizeof(uint16_t));
}

// Lanes that are there: all, or at the end fewer.
CK_INLINE int64_t lanes_left(int64_t left) { return left < CK_LANES ? left : CK_LANES; }

CK_INLINE ck_doubles widened(ck_floats v, int half) {
    ck_half_floats part;
    memcpy(&part, (const char *)&v + half * (int)sizeof part, sizeof part);
    return __builtin_convertvector(part, ck_doubles);
}

CK_INLINE double sum_of_doubles(ck_doubles v) {
    double f[CK_LANES / 2];
    memcpy(f, &v, sizeof f);
    return ((f[0] + f[4]) + (f[2] + f[6])) + ((f[1] + f[5]) + (f[3] + f[7]));
}

#endif
