// The products in plain C: what all other kernels are compared with, and what runs where there is no better.

#include "linear_kernels.h"
#include "linear_rows.h"

#define CK_WIDEN_VECTORS 1
#include "linear_widen.h"

#pragma STDC FP_CONTRACT OFF

typedef float (*element_reader)(const unsigned char *weights, int64_t k, int width, int column);

CK_INLINE float f32_at(const unsigned char *weights, int64_t k, int width, int column) {
    float value;
    memcpy(&value, weights + 4 * (k * width + column), sizeof value);
    return value;
}

CK_INLINE float bf16_at(const unsigned char *weights, int64_t k, int width, int column) {
    uint16_t word;
    memcpy(&word, weights + 4 * (k / 2 * width + column) + 2 * (k % 2), sizeof word);
    return float_of((uint32_t)word << 16);
}

CK_INLINE float f16_at(const unsigned char *weights, int64_t k, int width, int column) {
    float value;
    ck_to_f32(CK_F16, weights + 2 * (k * width + column), &value, 1);
    return value;
}

// `read` is known where this is used, so that nothing is called in the loop.
CK_INLINE void multiply_floats(const ck_tile *tile, element_reader read) {
    const float *rows = (const float *)(const void *)tile->rows_packed;
    for (int r = 0; r < tile->rows; r++) {
        float *sums = tile->sums + r * tile->pitch;
        if (!tile->continues) memset(sums, 0, sizeof(float) * (size_t)tile->width);
        for (int64_t k = 0; k < tile->count; k++) {
            float x = rows[k * tile->rows + r];
            for (int c = 0; c < tile->width; c++) sums[c] += x * read(tile->weights, k, tile->width, c);
        }
    }
}

static void multiply_f32(const ck_tile *tile) { multiply_floats(tile, f32_at); }
static void multiply_bf16(const ck_tile *tile) { multiply_floats(tile, bf16_at); }
static void multiply_f16(const ck_tile *tile) { multiply_floats(tile, f16_at); }

CK_INLINE int32_t int8_at(const unsigned char *weights, int64_t k, int width, int column) {
    return weights[4 * (k / 4 * width + column) + k % 4];
}

CK_INLINE int32_t int4_at(const unsigned char *weights, int64_t k, int width, int column) {
    uint8_t pair = weights[4 * (k / 8 * width + column) + k % 4];
    return k % 8 < 4 ? pair & 15 : pair >> 4;
}

typedef int32_t (*code_reader)(const unsigned char *weights, int64_t k, int width, int column);

// Integer sums of a group, then two roundings: of the product of the scales and of the sum. Every other instruction
// set does the same, and so has the same bits.
CK_INLINE void multiply_codes(const ck_tile *tile, code_reader read) {
    const int8_t *rows = (const int8_t *)tile->rows_packed;
    for (int r = 0; r < tile->rows; r++) {
        float *sums = tile->sums + r * tile->pitch;
        if (!tile->continues) memset(sums, 0, sizeof(float) * (size_t)tile->width);
        for (int64_t start = 0, g = 0; start < tile->count; start += tile->group, g++) {
            int64_t end = smaller(start + tile->group, tile->count);
            int32_t correction = tile->row_corrections[g * tile->rows + r], products[CK_PANEL];
            for (int c = 0; c < tile->width; c++) {
                products[c] = tile->zeros == NULL ? correction : correction * tile->zeros[g * tile->width + c];
            }
            for (int64_t k = start; k < end; k++) {
                int32_t x = rows[4 * (k / 4 * tile->rows + r) + k % 4];
                for (int c = 0; c < tile->width; c++) products[c] += x * read(tile->weights, k, tile->width, c);
            }
            for (int c = 0; c < tile->width; c++) {
                float scale = tile->scales[g * tile->width + c] * tile->row_scales[g * tile->rows + r];
                sums[c] = __builtin_fmaf((float)products[c], scale, sums[c]);
            }
        }
    }
}

static void multiply_int8(const ck_tile *tile) { multiply_codes(tile, int8_at); }
static void multiply_int4(const ck_tile *tile) { multiply_codes(tile, int4_at); }

// The compiler's own conversion would be a call for each number.
CK_INLINE void store_f16(ck_float16 values, unsigned char *to) {
    float numbers[16];
    memcpy(numbers, &values, sizeof numbers);
    ck_from_f32(CK_F16, numbers, to, 16);
}

static void widen(const ck_widening *widening) { widen_panel(widening, store_bf16_pairs, store_f16); }

const ck_linear_kernels ck_linear_portable = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {multiply_f32, multiply_bf16, multiply_f16, multiply_int8, multiply_int4},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = widen,
};
