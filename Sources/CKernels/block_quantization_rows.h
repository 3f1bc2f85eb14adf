// Block-wise quantization, written once over vectors of 16 elements. An instruction set's file defines `lookup_16` and
// then includes this one.
#ifndef CKERNELS_BLOCK_QUANTIZATION_ROWS_H
#define CKERNELS_BLOCK_QUANTIZATION_ROWS_H

#include "block_quantization_kernels.h"
#include "training_layers_lanes.h"

typedef uint8_t ck_bytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t ck_half_bytes __attribute__((vector_size(8), aligned(1), may_alias));
typedef uint16_t ck_byte_pairs __attribute__((vector_size(16), aligned(2), may_alias));

#define CK_SIGN_BIT ((int32_t)0x80000000)

// What code i and code i + 1 are divided by, as bitsandbytes rounds the middles of the codebook's values.
static const float nf4_thresholds[15] = {
    -0.8480964004993439f,   -0.6106329262256622f,  -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
    -0.13791173323988914f,  -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,   0.2035212516784668f,
    0.2920137718319893f,    0.3893125355243683f,   0.5016634166240692f,  0.6427869200706482f,   0.8614784181118011f,
};

// The largest magnitude. Among bits without a sign NaN is the largest.
CK_INLINE float largest_magnitude(bool bf16, const void *source, int64_t count) {
    ck_words most = {0};
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) {
        most = __builtin_elementwise_max(most, (ck_words)load_as(bf16, source, i, CK_LANES, 0) & ~CK_SIGN_BIT);
    }
    if (i < count) {
        most = __builtin_elementwise_max(most, (ck_words)load_as(bf16, source, i, count - i, 0) & ~CK_SIGN_BIT);
    }
    int32_t largest = __builtin_reduce_max(most);
    float value;
    memcpy(&value, &largest, sizeof value);
    return value;
}

// NaN, which zeros times an infinite inverse are too, gets code 0.
CK_INLINE ck_bytes nf4_codes(ck_floats value) {
    ck_words code = {0};
    for (int i = 0; i < 15; i++) code -= value > nf4_thresholds[i];
    return __builtin_convertvector(code, ck_bytes);
}

CK_INLINE void nf4_quantize_block(bool bf16, const void *source, int64_t count, uint8_t *codes, float *scale) {
    *scale = largest_magnitude(bf16, source, count);
    float inverse = 1 / *scale;
    uint8_t bytes[CK_NF4_BLOCK];
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) {
        *(ck_bytes *)(bytes + i) = nf4_codes(load_as(bf16, source, i, CK_LANES, 0) * inverse);
    }
    if (i < count) *(ck_bytes *)(bytes + i) = nf4_codes(load_as(bf16, source, i, count - i, 0) * inverse);
    // An odd element has the code of 0 beside it.
    if (count % 2 != 0) bytes[count] = 7;
    for (int64_t pair = 0; pair < (count + 1) / 2; pair++) {
        codes[pair] = (uint8_t)(bytes[2 * pair] << 4 | bytes[2 * pair + 1]);
    }
}

CK_INLINE void nf4_quantize_blocks(bool bf16, const void *source, int64_t count, uint8_t *codes, float *scales) {
    int64_t i = 0;
    for (; i + CK_NF4_BLOCK <= count; i += CK_NF4_BLOCK) {
        nf4_quantize_block(bf16, element(bf16, source, i), CK_NF4_BLOCK, codes + i / 2, scales + i / CK_NF4_BLOCK);
    }
    if (i == count) return;
    nf4_quantize_block(bf16, element(bf16, source, i), count - i, codes + i / 2, scales + i / CK_NF4_BLOCK);
}

static void nf4_quantize(bool bf16, const void *source, int64_t count, uint8_t *codes, float *scales) {
    CK_FOR_EACH_1(nf4_quantize_blocks, bf16, source, count, codes, scales);
}

// The values of 16 codes in 8 bytes, the high half of each first.
CK_INLINE ck_floats nf4_values(ck_floats table, const uint8_t *codes) {
    ck_byte_pairs pairs = __builtin_convertvector(*(const ck_half_bytes *)codes, ck_byte_pairs);
    ck_bytes order = (ck_bytes)(pairs >> 4 | (pairs & 15) << 8);
    return lookup_16(table, __builtin_convertvector(order, ck_words));
}

// Values that need no rounding any more.
CK_INLINE void store_exact(bool bf16, void *row, int64_t index, ck_floats value) {
    void *destination = (void *)element(bf16, row, index);
    if (!bf16) store(destination, value);
    else *(ck_half_words *)destination = __builtin_convertvector((ck_unsigned_words)value >> 16, ck_half_words);
}

// Part of a block; the products of the codebook and the scale, rounded, are the block's own table.
CK_INLINE void nf4_dequantize_block(bool bf16, const uint8_t *codes, float scale, int64_t count, void *destination,
                                    int64_t at) {
    ck_floats table = load(ck_nf4_codebook()) * scale;
    if (bf16) table = from_bf16(to_bf16(table));
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) {
        store_exact(bf16, destination, at + i, nf4_values(table, codes + i / 2));
    }
    if (i == count) return;
    uint8_t last[CK_LANES / 2] = {0};
    memcpy(last, codes + i / 2, (size_t)(count - i + 1) / 2);
    store_as(bf16, destination, at + i, count - i, nf4_values(table, last));
}

CK_INLINE void nf4_dequantize_blocks(bool bf16, const uint8_t *codes, const float *scales, int64_t start,
                                     int64_t count, void *destination) {
    int64_t end = start + count;
    for (int64_t i = start; i < end;) {
        int64_t block = i / CK_NF4_BLOCK, block_end = (block + 1) * CK_NF4_BLOCK;
        int64_t part = (block_end < end ? block_end : end) - i;
        if (part == CK_NF4_BLOCK) {
            nf4_dequantize_block(bf16, codes + i / 2, scales[block], CK_NF4_BLOCK, destination, i - start);
        } else {
            nf4_dequantize_block(bf16, codes + i / 2, scales[block], part, destination, i - start);
        }
        i += part;
    }
}

static void nf4_dequantize(bool bf16, const uint8_t *codes, const float *scales, int64_t start, int64_t count,
                           void *destination) {
    CK_FOR_EACH_1(nf4_dequantize_blocks, bf16, codes, scales, start, count, destination);
}

// Half to even; what is beyond 127 by its inverse's rounding is 127, and NaN 0.
CK_INLINE ck_bytes int8_codes(ck_floats value) {
    value = choose(value == value, value, all_lanes(0));
    value = choose(value > 127.0f, all_lanes(127), choose(value < -127.0f, all_lanes(-127), value));
    ck_words rounded = (ck_words)(value + CK_ROUNDING);
    return __builtin_convertvector(rounded & 255, ck_bytes);
}

CK_INLINE float int8_quantize_row(bool bf16, const void *source, int64_t columns, int8_t *codes) {
    float most = largest_magnitude(bf16, source, columns), inverse = 127 / most;
    int64_t i = 0;
    for (; i + CK_LANES <= columns; i += CK_LANES) {
        *(ck_bytes *)(codes + i) = int8_codes(load_as(bf16, source, i, CK_LANES, 0) * inverse);
    }
    if (i < columns) {
        ck_bytes bytes = int8_codes(load_as(bf16, source, i, columns - i, 0) * inverse);
        memcpy(codes + i, &bytes, (size_t)(columns - i));
    }
    return most / 127;
}

static float int8_quantize(bool bf16, const void *source, int64_t columns, int8_t *codes) {
    return bf16 ? int8_quantize_row(true, source, columns, codes) : int8_quantize_row(false, source, columns, codes);
}

typedef int8_t ck_signed_bytes __attribute__((vector_size(16), aligned(1), may_alias));

CK_INLINE void int8_dequantize_row(bool bf16, const int8_t *codes, float scale, int64_t columns, void *destination) {
    for (int64_t i = 0; i < columns; i += CK_LANES) {
        ck_signed_bytes bytes = {0};
        int64_t count = lanes_left(columns - i);
        if (count == CK_LANES) bytes = *(const ck_signed_bytes *)(codes + i);
        else memcpy(&bytes, codes + i, (size_t)count);
        ck_floats values = __builtin_convertvector(__builtin_convertvector(bytes, ck_words), ck_floats) * scale;
        if (count == CK_LANES) store_as(bf16, destination, i, CK_LANES, values);
        else store_as(bf16, destination, i, count, values);
    }
}

static void int8_dequantize(bool bf16, const int8_t *codes, float scale, int64_t columns, void *destination) {
    CK_FOR_EACH_1(int8_dequantize_row, bf16, codes, scale, columns, destination);
}

#define CK_BLOCK_KERNELS                                                                                        \
    {                                                                                                           \
        .nf4_quantize = nf4_quantize, .nf4_dequantize = nf4_dequantize, .int8_quantize = int8_quantize,         \
        .int8_dequantize = int8_dequantize,                                                                     \
    }

#endif
