// From codes and 8-bit floats to the numbers that products take: a range of a panel is dequantized in fp32, rounded,
// and laid out as a panel of F32, BF16 or F16. The file that includes this one says in CK_WIDEN_VECTORS how many
// vectors of 16 columns its registers hold at a time. The arithmetic, and so the bits, are the same everywhere.
#ifndef CKERNELS_LINEAR_WIDEN_H
#define CKERNELS_LINEAR_WIDEN_H

#include "linear_rows.h"

// How far ahead of its use a panel to be widened is fetched, in bytes.
#define CK_WIDEN_AHEAD 1536

typedef uint8_t ck_zero16 __attribute__((vector_size(16), aligned(1), may_alias));

// Two elements of each of 16 columns as pairs of bf16, the first in the low half.
typedef void (*ck_store_pairs)(ck_float16 first, ck_float16 second, unsigned char *to);
// An element of each of 16 columns as fp16.
typedef void (*ck_store_halves)(ck_float16 values, unsigned char *to);

// No number here is a NaN with all bits set, which this would make a number: scales that are NaN have one kind.
CK_INLINE ck_int16 rounded_bf16(ck_float16 values) {
    ck_int16 bits = (ck_int16)values;
    return bits + 0x7fff + (bits >> 16 & 1);
}

CK_INLINE void store_bf16_pairs(ck_float16 first, ck_float16 second, unsigned char *to) {
    const ck_int16 high_half = (int32_t)0xffff0000 - (ck_int16){0};
    *(ck_int16 *)(void *)to = (rounded_bf16(first) >> 16 & 0xffff) | (rounded_bf16(second) & high_half);
}

// The scales of 16 columns' groups, and their zero points.
typedef struct ck_group_numbers {
    ck_float16 scales;
    ck_int16 zeros;
} ck_group_numbers;

CK_INLINE ck_group_numbers numbers_of_group(const ck_widening *w, int64_t group, int column) {
    int64_t at = group * w->width + column;
    ck_group_numbers numbers = {.scales = *(const ck_float16 *)(const void *)(w->scales + at)};
    numbers.zeros = w->zero - (ck_int16){0};
    if (w->zeros != NULL) {
        ck_zero16 zeros = *(const ck_zero16 *)(const void *)(w->zeros + at);
        numbers.zeros = __builtin_convertvector(zeros, ck_int16);
    }
    return numbers;
}

// Element `i` of the words' step: 8 codes of 4 bits, or 4 bytes.
CK_INLINE ck_float16 element(ck_weight_format format, ck_int16 words, int i, ck_group_numbers numbers) {
    if (format == CK_WEIGHT_F8) {
        // As in convert.c: the exponent and fraction, read as a float's, are the value times 2^-120.
        ck_float16 small = (ck_float16)((words << (24 - 8 * i)) >> 4 & (int32_t)0x87f00000);
        return small * 0x1p120f * numbers.scales;
    }
    int shift = format == CK_WEIGHT_I4 ? 8 * (i % 4) + 4 * (i / 4) : 8 * i;
    ck_int16 codes = words >> shift & (format == CK_WEIGHT_I4 ? 15 : 255);
    return __builtin_convertvector(codes - numbers.zeros, ck_float16) * numbers.scales;
}

CK_INLINE int step_length(ck_weight_format format) { return format == CK_WEIGHT_I4 ? 8 : 4; }

// One step of 16 columns. `k` counts from the beginning of the range.
CK_INLINE void widen_step(const ck_widening *w, ck_weight_format format, ck_weight_format products,
                          ck_store_pairs pairs, ck_store_halves halves, int64_t k, int column,
                          ck_group_numbers numbers) {
    const int length = step_length(format);
    const unsigned char *from = w->weights + (k / length * w->width + column) * 4;
    // Only where a load takes a whole line: else each would be asked for several times.
    if (CK_WIDEN_VECTORS == 3) __builtin_prefetch(from + CK_WIDEN_AHEAD);
    ck_int16 words = *(const ck_int16 *)(const void *)from;
    ck_float16 values[8];
#pragma clang loop unroll(full)
    for (int i = 0; i < length; i++) {
        if (w->group_of != NULL) {
            // Filling behind the end has any group.
            int64_t last = w->from + w->count - 1;
            numbers = numbers_of_group(w, w->group_of[smaller(w->from + k + i, last)], column);
        }
        values[i] = element(format, words, i, numbers);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < length; i++) {
        if (products == CK_WEIGHT_F32) {
            *(ck_float16 *)(void *)(w->panel + 4 * ((k + i) * w->width + column)) = values[i];
        } else if (products == CK_WEIGHT_F16) {
            halves(values[i], w->panel + 2 * ((k + i) * w->width + column));
        } else if (i % 2 == 0) {
            pairs(values[i], values[i + 1], w->panel + 4 * ((k + i) / 2 * w->width + column));
        }
    }
}

// V vectors of columns, group by group.
CK_INLINE void widen_columns(const ck_widening *w, ck_weight_format format, ck_weight_format products,
                             ck_store_pairs pairs, ck_store_halves halves, int V, int column) {
    const int length = step_length(format);
    for (int64_t k = 0; k < w->count;) {
        int64_t group = (w->from + k) / w->group, end = smaller((group + 1) * w->group - w->from, w->count);
        ck_group_numbers numbers[CK_WIDEN_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            numbers[v] = numbers_of_group(w, w->group_of != NULL ? 0 : group, column + 16 * v);
        }
        if (w->group_of != NULL) end = w->count;
        for (; k < end; k += length) {
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) {
                widen_step(w, format, products, pairs, halves, k, column + 16 * v, numbers[v]);
            }
        }
    }
}

CK_INLINE void widen_to(const ck_widening *w, ck_weight_format format, ck_weight_format products,
                        ck_store_pairs pairs, ck_store_halves halves) {
    int column = 0;
    for (; CK_WIDEN_VECTORS == 3 && column + 48 <= w->width; column += 48) {
        widen_columns(w, format, products, pairs, halves, CK_WIDEN_VECTORS, column);
    }
    for (; column < w->width; column += 16) widen_columns(w, format, products, pairs, halves, 1, column);
}

CK_INLINE void widen_format(const ck_widening *w, ck_weight_format format, ck_store_pairs pairs,
                            ck_store_halves halves) {
    switch (w->products) {
    case CK_WEIGHT_BF16: widen_to(w, format, CK_WEIGHT_BF16, pairs, halves); break;
    case CK_WEIGHT_F16: widen_to(w, format, CK_WEIGHT_F16, pairs, halves); break;
    default: widen_to(w, format, CK_WEIGHT_F32, pairs, halves); break;
    }
}

CK_INLINE void widen_panel(const ck_widening *w, ck_store_pairs pairs, ck_store_halves halves) {
    switch (w->format) {
    case CK_WEIGHT_I4: widen_format(w, CK_WEIGHT_I4, pairs, halves); break;
    case CK_WEIGHT_I8: widen_format(w, CK_WEIGHT_I8, pairs, halves); break;
    default: widen_format(w, CK_WEIGHT_F8, pairs, halves); break;
    }
}

#endif
