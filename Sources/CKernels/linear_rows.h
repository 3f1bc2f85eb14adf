// Packing, quantizing and finishing: the plain loops around the products. Each instruction set's file includes
// this one, so that the compiler makes that set's vector code of them; the arithmetic is the same everywhere, and
// so are the bits.
#ifndef CKERNELS_LINEAR_ROWS_H
#define CKERNELS_LINEAR_ROWS_H

#include <string.h>

#include "linear_kernels.h"

#define CK_INLINE static inline __attribute__((always_inline))

// Elements of k that are packed at a time: the temporaries of 16 rows stay in the first-level cache. A multiple of
// the largest group.
#define CK_SPAN 256

// Memory of any type, read as the words that packing moves around.
typedef uint32_t __attribute__((may_alias)) ck_dword;
typedef uint16_t __attribute__((may_alias)) ck_half_word;

CK_INLINE float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

CK_INLINE uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

CK_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Vectors that are wider than registers would be passed in another way; all these functions are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

// Sixteen numbers at a time, which each instruction set splits as its registers need.
typedef float ck_float16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ck_int16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int8_t ck_byte16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint32_t ck_dword8 __attribute__((vector_size(32), aligned(4), may_alias));

// Eight rows of eight dwords become eight columns.
CK_INLINE void transpose8(const ck_dword *in, int64_t pitch, ck_dword *out, int64_t width) {
    ck_dword8 a[8], b[8];
    for (int r = 0; r < 8; r++) a[r] = *(const ck_dword8 *)(in + r * pitch);
    for (int r = 0; r < 8; r += 2) {
        b[r] = __builtin_shufflevector(a[r], a[r + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[r + 1] = __builtin_shufflevector(a[r], a[r + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int r = 0; r < 8; r += 4) {
        for (int i = 0; i < 2; i++) {
            a[r + 2 * i] = __builtin_shufflevector(b[r + i], b[r + i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            a[r + 2 * i + 1] = __builtin_shufflevector(b[r + i], b[r + i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (int s = 0; s < 4; s++) {
        *(ck_dword8 *)(out + s * width) = __builtin_shufflevector(a[s], a[s + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(ck_dword8 *)(out + (s + 4) * width) = __builtin_shufflevector(a[s], a[s + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

// Element s of row r of [rows][pitch] goes to packed[s * width + r].
CK_INLINE void interleave(const void *rows_in, int64_t pitch, int rows, int64_t count, void *packed, int64_t width) {
    const ck_dword *in = rows_in;
    ck_dword *out = packed;
    int64_t done = 0;
    for (; rows == 8 && done + 8 <= count; done += 8) transpose8(in + done, pitch, out + done * width, width);
    for (int r = 0; r < rows; r++) {
        for (int64_t s = done; s < count; s++) out[s * width + r] = in[r * pitch + s];
    }
}

// At most 16 numbers, filled up with zeros.
CK_INLINE ck_float16 load_numbers(const float *x, int64_t count) {
    if (count >= 16) return *(const ck_float16 *)(const void *)x;
    float filled[16] = {0};
    memcpy(filled, x, (size_t)count * sizeof(float));
    return *(const ck_float16 *)(const void *)filled;
}

// The magnitude of the largest of `count` numbers, by their bits: there a NaN is above infinity, so it is found.
CK_INLINE float largest_magnitude(const float *x, int64_t count) {
    ck_int16 largest = {0};
    for (int64_t i = 0; i < count; i += 16) {
        largest = __builtin_elementwise_max(largest, (ck_int16)load_numbers(x + i, count - i) & 0x7fffffff);
    }
    return float_of((uint32_t)__builtin_reduce_max(largest));
}

// Adding 1.5 * 2^23 leaves an integer, rounded half to even, in the low bits; unlike a conversion this is defined
// for every number, and the limits make of the rest something harmless.
CK_INLINE ck_int16 rounded(ck_float16 values, int32_t low, int32_t high) {
    ck_int16 integers = (ck_int16)(values + 12582912.0f) - 0x4b400000;
    ck_int16 lows = low - (ck_int16){0}, highs = high - (ck_int16){0};
    return __builtin_elementwise_min(__builtin_elementwise_max(integers, lows), highs);
}

// A scale below this has no finite inverse; such a group is taken for zeros.
#define CK_TINY 1e-35f

// Groups in a span, at most.
#define CK_SPAN_GROUPS (CK_SPAN / 32)

// Some rows' numbers of one span, quantized to symmetric codes of -127...127 with code * scale near x, by row and
// group. A group with infinities or NaN gets a scale that is not finite, so that it spoils the results as it should.
typedef struct ck_int8_span {
    _Alignas(64) int8_t codes[CK_MAX_BLOCK][CK_SPAN];  // filled up with zeros to multiples of 16
    float scales[CK_MAX_BLOCK][CK_SPAN_GROUPS];
    int32_t sums[CK_MAX_BLOCK][CK_SPAN_GROUPS];  // of the codes
} ck_int8_span;

// Three passes, in each of which the groups wait for nothing that another one does.
CK_INLINE void quantize_int8(const float *x, int64_t stride, int rows, int64_t count, int64_t group,
                             ck_int8_span *span) {
    float inverses[CK_MAX_BLOCK][CK_SPAN_GROUPS];
    for (int r = 0; r < rows; r++) {
        for (int64_t start = 0, g = 0; start < count; start += group, g++) {
            span->scales[r][g] = largest_magnitude(x + r * stride + start, smaller(group, count - start));
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int g = 0; g < CK_SPAN_GROUPS; g++) {
            float largest = span->scales[r][g], inverse = 127 / largest, scale = largest / 127;
            inverses[r][g] = largest < CK_TINY ? 0 : inverse;
            span->scales[r][g] = largest < CK_TINY ? 0 : scale;
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int64_t start = 0, g = 0; start < count; start += group, g++) {
            const float *from = x + r * stride + start;
            int64_t length = smaller(group, count - start);
            ck_int16 sums = {0};
            for (int64_t i = 0; i < length; i += 16) {
                ck_int16 some = rounded(load_numbers(from + i, length - i) * inverses[r][g], -127, 127);
                *(ck_byte16 *)(void *)(span->codes[r] + start + i) = __builtin_convertvector(some, ck_byte16);
                sums += some;
            }
            span->sums[r][g] = __builtin_reduce_add(sums);
        }
    }
}

// Codes of 0...15 with (code - 8) * scale near x; the value of largest magnitude becomes -8 exactly.
CK_INLINE void quantize_int4(const float *x, int64_t count, uint8_t *codes, float *scale) {
    float largest = largest_magnitude(x, count);
    ck_float16 least = {0};
    for (int64_t i = 0; i < count; i += 16) {
        least = __builtin_elementwise_min(least, load_numbers(x + i, count - i));
    }
    float lowest = 0;
    for (int i = 0; i < 16; i++) lowest = least[i] < lowest ? least[i] : lowest;
    float extreme = lowest == -largest ? lowest : largest;
    bool tiny = largest < CK_TINY;
    float inverse = tiny ? 0 : -8 / extreme;
    *scale = tiny ? 0 : extreme / -8;
    for (int64_t i = 0; i < count; i += 16) {
        ck_int16 some = rounded(load_numbers(x + i, count - i) * inverse, -8, 7) + 8;
        *(ck_byte16 *)(void *)(codes + i) = __builtin_convertvector(some, ck_byte16);
    }
}

// Activations.

// The span after this one, row by row: each row is a stream too short for the hardware to notice.
CK_INLINE void prefetch_span(const ck_block *block, int row, int64_t at) {
    int64_t count = smaller(CK_SPAN, block->end - at - CK_SPAN);
    const float *x = block->x + row * block->stride + at + CK_SPAN;
    for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(x + i);
}

static inline void pack_rows_f32(const ck_block *block) {
    for (int64_t at = block->from; at < block->end; at += CK_SPAN) {
        interleave(block->x + at, block->stride, block->rows,
                   smaller(CK_SPAN, block->end - at),
                   block->packed + 4 * at * block->rows, block->rows);
    }
}

// Rounded to bf16, but kept as floats, for products without bf16 instructions. An odd k gets a zero.
static inline void pack_rows_bf16_floats(const ck_block *block) {
    uint32_t rounded_rows[CK_MAX_BLOCK][CK_SPAN];
    for (int64_t at = block->from; at < block->end; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, block->end - at);
        for (int r = 0; r < block->rows; r++) {
            const float *x = block->x + r * block->stride + at;
            for (int64_t i = 0; i < count; i++) {
                uint32_t bits = bits_of(x[i]);
                uint32_t nearest = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
                rounded_rows[r][i] = (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : nearest;
            }
            if (count % 2 != 0) rounded_rows[r][count] = 0;
        }
        interleave(rounded_rows[0], CK_SPAN, block->rows, (count + 1) / 2 * 2,
                   block->packed + 4 * at * block->rows, block->rows);
    }
}

CK_INLINE void store_scales(const ck_block *block, int64_t at, int64_t count, const ck_int8_span *span) {
    for (int64_t start = 0, g = 0; start < count; start += block->group, g++) {
        int64_t index = (at / block->group + g) * block->rows;
        for (int r = 0; r < block->rows; r++) {
            block->row_scales[index + r] = span->scales[r][g];
            block->row_corrections[index + r] = -block->zero_point * span->sums[r][g];
        }
    }
}

// Int8 by row and group. k is filled up with zero codes to a multiple of 8, which int4 weights come in.
static inline void pack_rows_int8(const ck_block *block) {
    ck_int8_span span;
    memset(span.scales, 0, sizeof span.scales);
    for (int64_t at = block->from; at < block->end; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, block->end - at);
        for (int r = 0; r < block->rows; r++) prefetch_span(block, r, at);
        quantize_int8(block->x + at, block->stride, block->rows, count, block->group, &span);
        store_scales(block, at, count, &span);
        interleave(span.codes, CK_SPAN / 4, block->rows, (count + 7) / 8 * 2, block->packed + at * block->rows,
                   block->rows);
    }
}

// Results.

CK_INLINE void finish_row(const float *restrict sums, const float *restrict bias, float *restrict y, int columns,
                          bool accumulate) {
    if (accumulate && bias != NULL) {
        for (int c = 0; c < columns; c++) y[c] += sums[c] + bias[c];
    } else if (accumulate) {
        for (int c = 0; c < columns; c++) y[c] += sums[c];
    } else if (bias != NULL) {
        for (int c = 0; c < columns; c++) y[c] = sums[c] + bias[c];
    } else {
        for (int c = 0; c < columns; c++) y[c] = sums[c];
    }
}

// A whole panel is worth loops of known length.
static inline void finish_sums(const ck_finish *finish) {
    for (int r = 0; r < finish->rows; r++) {
        const float *sums = finish->sums + r * CK_SUMS_PITCH;
        float *y = finish->y + r * finish->stride;
        if (finish->columns == CK_PANEL) {
            finish_row(sums, finish->bias, y, CK_PANEL, finish->accumulate);
        } else {
            finish_row(sums, finish->bias, y, finish->columns, finish->accumulate);
        }
    }
}

// Weights.

// The rows' elements [at, at + count) as codes of the panel (I8 with 128 added), and their scales. Elements after
// these are filling, which meets activations that are zero.
CK_INLINE void take_codes(const ck_weight_rows *rows, int64_t at, int64_t count, ck_int8_span *span) {
    const uint8_t flip = rows->format == CK_WEIGHT_I8 ? 0x80 : 0, mask = rows->format == CK_WEIGHT_I4 ? 15 : 0xff;
    int64_t groups = (rows->k + rows->group - 1) / rows->group, first = at / rows->group;
    for (int r = 0; r < rows->rows; r++) {
        const uint8_t *given = rows->codes + r * rows->stride + at;
        for (int64_t i = 0; i < count; i++) span->codes[r][i] = (int8_t)((given[i] & mask) ^ flip);
        for (int64_t g = first; g * rows->group < at + count; g++) {
            float scale = rows->code_scales[r * groups + g];
            // One kind of NaN, which no rounding of its bits turns into a number.
            rows->scales[g * rows->width + r] = scale == scale ? scale : __builtin_nanf("");
            if (rows->format == CK_WEIGHT_F8) continue;
            uint8_t middle = rows->format == CK_WEIGHT_I8 ? 128 : 8;
            rows->zeros[g * rows->width + r] = rows->code_zeros != NULL ? rows->code_zeros[r * groups + g] : middle;
        }
    }
}

// The products take the code of NaN for a number, so that the scale has to say it.
CK_INLINE void mark_nans(const ck_weight_rows *rows) {
    for (int r = 0; r < rows->rows; r++) {
        uint8_t largest = 0;
        for (int64_t i = 0; i < rows->k; i++) {
            uint8_t magnitude = rows->codes[r * rows->stride + i] & 0x7f;
            largest = magnitude > largest ? magnitude : largest;
        }
        if (largest == 0x7f) rows->scales[r] = __builtin_nanf("");
    }
}

// The scales of whole rows for 8-bit floats: the largest magnitude becomes the largest of these numbers.
CK_INLINE void scale_float8(const ck_weight_rows *rows) {
    float values[CK_SPAN];
    int64_t bytes = ck_type_bytes(rows->type);
    for (int r = 0; r < rows->rows; r++) {
        uint32_t largest = 0;
        for (int64_t at = 0; at < rows->k; at += CK_SPAN) {
            int64_t count = smaller(CK_SPAN, rows->k - at);
            ck_to_f32(rows->type, rows->source + (r * rows->stride + at) * bytes, values, count);
            uint32_t here = bits_of(largest_magnitude(values, count));
            largest = here > largest ? here : largest;
        }
        float scale = float_of(largest) / 448;
        rows->scales[r] = scale == scale ? scale : __builtin_nanf("");
    }
}

CK_INLINE void quantize_float8(const ck_weight_rows *rows, int r, float *values, int64_t count, uint8_t *codes) {
    float scale = rows->scales[r];
    for (int64_t i = 0; i < count; i++) values[i] = scale < CK_TINY ? 0 : values[i] / scale;
    ck_from_f32(CK_F8_E4M3, values, codes, count);
}

CK_INLINE void quantize_weights(const ck_weight_rows *rows, int64_t at, int64_t count, ck_int8_span *span) {
    float values[CK_MAX_BLOCK][CK_SPAN];
    int64_t bytes = ck_type_bytes(rows->type), first = at / rows->group;
    for (int r = 0; r < rows->rows; r++) {
        ck_to_f32(rows->type, rows->source + (r * rows->stride + at) * bytes, values[r], count);
    }
    if (rows->format == CK_WEIGHT_I8) {
        quantize_int8(values[0], CK_SPAN, rows->rows, count, rows->group, span);
        for (int r = 0; r < rows->rows; r++) {
            for (int i = 0; i < CK_SPAN; i++) span->codes[r][i] ^= (int8_t)0x80;
            for (int64_t g = 0; g * rows->group < count; g++) {
                rows->scales[(first + g) * rows->width + r] = span->scales[r][g];
                rows->zeros[(first + g) * rows->width + r] = 128;
            }
        }
        return;
    }
    for (int r = 0; r < rows->rows && rows->format == CK_WEIGHT_F8; r++) {
        quantize_float8(rows, r, values[r], count, (uint8_t *)span->codes[r]);
    }
    for (int r = 0; r < rows->rows && rows->format == CK_WEIGHT_I4; r++) {
        for (int64_t start = 0; start < count; start += rows->group) {
            int64_t index = (at + start) / rows->group * rows->width + r;
            quantize_int4(values[r] + start, smaller(rows->group, count - start), (uint8_t *)span->codes[r] + start,
                          rows->scales + index);
            rows->zeros[index] = 8;
        }
    }
}

static inline void pack_weights_int(const ck_weight_rows *rows) {
    ck_int8_span span = {0};
    if (rows->format == CK_WEIGHT_F8 && rows->codes == NULL && rows->k > 0) scale_float8(rows);
    for (int64_t at = 0; at < rows->k; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, rows->k - at), step = rows->format == CK_WEIGHT_I4 ? 8 : 4;
        if (rows->codes != NULL) {
            take_codes(rows, at, count, &span);
        } else {
            quantize_weights(rows, at, count, &span);
        }
        for (int r = 0; r < rows->rows; r++) {
            memset(span.codes[r] + count, 0, (size_t)(CK_SPAN - count));
            for (int64_t j = 0; j < CK_SPAN / 8 && step == 8; j++) {
                uint64_t eight;
                memcpy(&eight, span.codes[r] + 8 * j, 8);
                uint32_t four = (uint32_t)eight | (uint32_t)(eight >> 32) << 4;
                memcpy(span.codes[r] + 4 * j, &four, 4);
            }
        }
        interleave(span.codes, CK_SPAN / 4, rows->rows, (count + step - 1) / step,
                   rows->weights + 4 * (at / step) * rows->width, rows->width);
    }
    if (rows->format == CK_WEIGHT_F8 && rows->codes != NULL) mark_nans(rows);
}

// F32 as dwords and BF16 as pairs in dwords; F16 by halves.
static inline void pack_weights_float(const ck_weight_rows *rows) {
    static const ck_type types[] = {[CK_WEIGHT_F32] = CK_F32, [CK_WEIGHT_BF16] = CK_BF16, [CK_WEIGHT_F16] = CK_F16};
    ck_type type = types[rows->format];
    uint32_t words[CK_MAX_BLOCK][CK_SPAN];
    float values[CK_SPAN];
    int64_t bytes = ck_type_bytes(rows->type);
    for (int64_t at = 0; at < rows->k; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, rows->k - at);
        for (int r = 0; r < rows->rows; r++) {
            const unsigned char *source = rows->source + (r * rows->stride + at) * bytes;
            if (count % 2 != 0) words[r][count / 2] = 0;
            if (rows->type == type) {
                memcpy(words[r], source, (size_t)(count * bytes));
            } else {
                ck_to_f32(rows->type, source, values, count);
                ck_from_f32(type, values, words[r], count);
            }
        }
        if (type == CK_F16) {
            ck_half_word *out = (ck_half_word *)(void *)rows->weights + at * rows->width;
            for (int r = 0; r < rows->rows; r++) {
                const ck_half_word *halves = (const ck_half_word *)(const void *)words[r];
                for (int64_t i = 0; i < count; i++) out[i * rows->width + r] = halves[i];
            }
            continue;
        }
        int64_t step = type == CK_BF16 ? 2 : 1;
        interleave(words[0], CK_SPAN, rows->rows, (count + step - 1) / step,
                   rows->weights + 4 * (at / step) * rows->width, rows->width);
    }
}

static inline void pack_weight_rows(const ck_weight_rows *rows) {
    if (rows->format == CK_WEIGHT_I8 || rows->format == CK_WEIGHT_I4 || rows->format == CK_WEIGHT_F8) {
        pack_weights_int(rows);
    } else {
        pack_weights_float(rows);
    }
}

#endif
