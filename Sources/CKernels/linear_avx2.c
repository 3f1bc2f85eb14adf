// Products with AVX2, FMA and F16C. A tile is 4 rows by 16 columns: 8 of the 16 registers for sums.

#if defined(__x86_64__)

#include <immintrin.h>

#include "linear_kernels.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define CK_VECTOR_BYTES 32
#include "linear_float.h"

#define CK_WIDEN_VECTORS 1
#include "linear_widen.h"

CK_FLOAT_TILES(multiply_f32, tile_f32, 4)
CK_FLOAT_TILES(multiply_bf16, tile_bf16, 4)
CK_FLOAT_TILES(multiply_f16, tile_f16, 2)

// Four bytes of each of 4 columns times the same 4 bytes of a row, widened to 16 bits: the sums of pairs are exact.
// Each column has two partial sums side by side until its group ends.
CK_INLINE __m256i widened_weights(const unsigned char *weights) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
}

CK_INLINE __m256i widened_row(const unsigned char *row) {
    int four;
    memcpy(&four, row, sizeof four);
    return _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
}

// Adds the halves of 8 columns' sums, the correction for their zero points, and the scaled result to `sums`.
CK_INLINE void end_group(const ck_tile *tile, int64_t g, int r, int c, __m256i first, __m256i second, bool begins) {
    const int64_t column = g * tile->width + c;
    // hadd works in the two halves of a register alone, so the columns come out as 0 1 4 5 2 3 6 7.
    __m256i products = _mm256_permute4x64_epi64(_mm256_hadd_epi32(first, second), 0xd8);
    __m256i correction = _mm256_set1_epi32(tile->row_corrections[g * tile->rows + r]);
    if (tile->zeros != NULL) {
        __m128i zeros = _mm_loadl_epi64((const __m128i *)(const void *)(tile->zeros + column));
        correction = _mm256_mullo_epi32(correction, _mm256_cvtepu8_epi32(zeros));
    }
    __m256 whole = _mm256_cvtepi32_ps(_mm256_add_epi32(products, correction));
    __m256 row_scale = _mm256_set1_ps(tile->row_scales[g * tile->rows + r]);
    __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(tile->scales + column), row_scale);
    float *sums = tile->sums + r * tile->pitch + c;
    __m256 before = begins ? _mm256_setzero_ps() : _mm256_loadu_ps(sums);
    _mm256_storeu_ps(sums, _mm256_fmadd_ps(whole, scale, before));
}

// One group, R rows and 8 columns. `small` weights are pairs of codes.
CK_INLINE void int_group(int R, bool small, const ck_tile *tile, int64_t g, int r, int c) {
    __m256i products[4][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < R; i++) products[i][0] = products[i][1] = _mm256_setzero_si256();
    int64_t per_step = small ? 8 : 4, from = g * tile->group;
    int64_t begin = from / per_step, end = (smaller(from + tile->group, tile->count) + per_step - 1) / per_step;
    for (int64_t s = begin; s < end; s++) {
        const unsigned char *weights = tile->weights + (s * tile->width + c) * 4;
        __m256i first = widened_weights(weights), second = widened_weights(weights + 16);
        const unsigned char *rows = tile->rows_packed + (s * (per_step / 4) * tile->rows + r) * 4;
#pragma clang loop unroll(full)
        for (int half = 0; half < (small ? 2 : 1); half++) {
            __m256i a = first, b = second;
            if (small) {
                const __m256i mask = _mm256_set1_epi16(15);
                a = half == 0 ? _mm256_and_si256(first, mask) : _mm256_srli_epi16(first, 4);
                b = half == 0 ? _mm256_and_si256(second, mask) : _mm256_srli_epi16(second, 4);
            }
#pragma clang loop unroll(full)
            for (int i = 0; i < R; i++) {
                __m256i x = widened_row(rows + (half * tile->rows + i) * 4);
                products[i][0] = _mm256_add_epi32(products[i][0], _mm256_madd_epi16(a, x));
                products[i][1] = _mm256_add_epi32(products[i][1], _mm256_madd_epi16(b, x));
            }
        }
    }
    bool begins = g == 0 && !tile->continues;
#pragma clang loop unroll(full)
    for (int i = 0; i < R; i++) end_group(tile, g, r + i, c, products[i][0], products[i][1], begins);
}

CK_INLINE void int_tiles(bool small, const ck_tile *tile) {
    for (int64_t g = 0; g * tile->group < tile->count; g++) {
        for (int c = 0; c < tile->width; c += 8) {
            for (int r = 0; r < tile->rows; r += 4) {
                switch (tile->rows - r) {
                case 1: int_group(1, small, tile, g, r, c); break;
                case 2: int_group(2, small, tile, g, r, c); break;
                case 3: int_group(3, small, tile, g, r, c); break;
                default: int_group(4, small, tile, g, r, c); break;
                }
            }
        }
    }
    for (int r = 0; r < tile->rows && tile->count == 0 && !tile->continues; r++) {
        memset(tile->sums + r * tile->pitch, 0, sizeof(float) * (size_t)tile->width);
    }
}

void ck_multiply_int8_avx2(const ck_tile *tile) { int_tiles(false, tile); }
void ck_multiply_int4_avx2(const ck_tile *tile) { int_tiles(true, tile); }

CK_INLINE void store_f16(ck_float16 values, unsigned char *to) {
    typedef _Float16 ck_half16 __attribute__((vector_size(32), aligned(2), may_alias));
    *(ck_half16 *)(void *)to = __builtin_convertvector(values, ck_half16);
}

static void widen(const ck_widening *widening) { widen_panel(widening, store_bf16_pairs, store_f16); }

#pragma clang attribute pop

const ck_linear_kernels ck_linear_avx2 = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {multiply_f32, multiply_bf16, multiply_f16, ck_multiply_int8_avx2, ck_multiply_int4_avx2},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = widen,
};

#endif
