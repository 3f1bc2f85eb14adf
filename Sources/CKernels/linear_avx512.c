// Products with AVX-512: fp32 arithmetic, and beside it VDPBF16PS for BF16 weights. The 8 x 48 tile takes 24 of the
// 32 registers for sums and 3 for weights; activations are broadcast from memory.

#if defined(__x86_64__)

#include <immintrin.h>

#include "linear_kernels.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#define CK_VECTOR_BYTES 64
#include "linear_float.h"
#include "linear_avx512.h"

#define CK_WIDEN_VECTORS 3
#include "linear_widen.h"

CK_INLINE ck_float_tile float_tile(const ck_tile *tile, int bytes) {
    return (ck_float_tile){
        .rows = (const float *)(const void *)tile->rows_packed, .rows_pitch = tile->rows,
        .weights = tile->weights, .weights_pitch = tile->width * bytes, .count = tile->count,
        .sums = tile->sums, .pitch = tile->pitch, .continues = tile->continues,
        .ahead = tile->ahead, .ahead_step = tile->ahead_step,
    };
}

CK_INLINE void f32(int R, int V, const ck_tile *tile) {
    ck_float_tile floats = float_tile(tile, 4);
    tile_f32(R, V, &floats);
}

CK_INLINE void f16(int R, int V, const ck_tile *tile) {
    ck_float_tile floats = float_tile(tile, 2);
    tile_f16(R, V, &floats);
}

CK_INLINE void widened_bf16(int R, int V, const ck_tile *tile) {
    ck_float_tile floats = float_tile(tile, 4);
    tile_bf16(R, V, &floats);
}

CK_TILES(, ck_multiply_f32_avx512, f32)
CK_TILES(, ck_multiply_f16_avx512, f16)
CK_TILES(static, multiply_widened_bf16, widened_bf16)

CK_INLINE void store_f16(ck_float16 values, unsigned char *to) {
    typedef _Float16 ck_half16 __attribute__((vector_size(32), aligned(2), may_alias));
    *(ck_half16 *)(void *)to = __builtin_convertvector(values, ck_half16);
}

static void widen(const ck_widening *widening) { widen_panel(widening, store_bf16_pairs, store_f16); }

#pragma clang attribute pop
#pragma clang attribute push(                                                                                      \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16"))),             \
    apply_to = function)

CK_INLINE void bf16_pairs(int R, int V, const ck_tile *tile) {
    __m512 sums[8][3];
    begin_tile(R, V, tile, sums);
    const unsigned char *weights = tile->weights;
    const unsigned char *ahead = tile->ahead;
    const int *rows = (const int *)(const void *)tile->rows_packed;
    for (int64_t steps = (tile->count + 1) / 2; steps > 0; steps--) {
        __m512bh w[3];
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            CK_FETCH(ahead + v * 64);
            w[v] = (__m512bh)_mm512_load_si512(weights + v * 64);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(rows[r]);
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], w[v], x);
        }
        weights += V * 64;
        ahead += tile->ahead_step;
        rows += R;
    }
    end_tile(R, V, tile, sums);
}

CK_TILES(static, multiply_bf16, bf16_pairs)

// The conversion takes subnormal numbers for zeros, as the products do with what is stored so.
CK_INLINE void store_converted_pairs(ck_float16 first, ck_float16 second, unsigned char *to) {
    const __m512i alternate = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                               22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i words = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
    _mm512_store_si512(to, _mm512_permutexvar_epi16(alternate, words));
}

// A byte of E4M3 in the upper half of 16 bits, moved down by one behind its sign, is the half-precision number of
// 2^-8 times its value. So two of a word's four bytes are had at once, of 8 columns in a vector: elements 0 and 2 of
// each, or 1 and 3. The scales, times 2^8, stand twice in theirs.
CK_INLINE void widen_float8(const ck_widening *w, int V) {
    const __m512i keep = _mm512_set1_epi16((short)0xbf80);
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    // Elements 0 and 1 of each column are in the lower halves of the words of both vectors, 2 and 3 in the upper.
    const __m512i low_columns = _mm512_set_epi16(46, 14, 44, 12, 42, 10, 40, 8, 38, 6, 36, 4, 34, 2, 32, 0, 46, 14, 44,
                                                 12, 42, 10, 40, 8, 38, 6, 36, 4, 34, 2, 32, 0);
    const __m512i lower = _mm512_add_epi16(low_columns, _mm512_maskz_set1_epi16(0xffff0000, 16));
    const __m512i upper = _mm512_add_epi16(lower, _mm512_set1_epi16(1));
    __m512 scales[3][2];
    for (int v = 0; v < V; v++) {
        __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(w->scales + 16 * v), _mm512_set1_ps(256));
        scales[v][0] = _mm512_permutexvar_ps(twice, scale);
        scales[v][1] = _mm512_permutexvar_ps(_mm512_add_epi32(twice, _mm512_set1_epi32(8)), scale);
    }
    const unsigned char *from = w->weights;
    unsigned char *to = w->panel;
    for (int64_t k = 0; k < w->count; k += 4, from += 64 * V, to += 128 * V) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            __builtin_prefetch(from + 64 * v + CK_WIDEN_AHEAD);
            __m512i bytes = _mm512_load_si512(from + 64 * v);
            __m512i parts[2] = {_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 1), _mm512_srai_epi16(bytes, 1)};
            __m512i words[2];
#pragma clang loop unroll(full)
            for (int i = 0; i < 2; i++) {
                __m512i halves = _mm512_and_si512(parts[i], keep);
                __m512 low = _mm512_cvtph_ps(_mm512_castsi512_si256(halves));
                __m512 high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1));
                words[i] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(high, scales[v][1]),
                                                        _mm512_mul_ps(low, scales[v][0]));
            }
            _mm512_store_si512(to + 64 * v, _mm512_permutex2var_epi16(words[0], lower, words[1]));
            _mm512_store_si512(to + 64 * (V + v), _mm512_permutex2var_epi16(words[0], upper, words[1]));
        }
    }
}

void ck_widen_avx512_bf16(const ck_widening *widening) {
    if (widening->format != CK_WEIGHT_F8 || widening->products != CK_WEIGHT_BF16) {
        widen_panel(widening, store_converted_pairs, store_f16);
    } else if (widening->width == 48) {
        widen_float8(widening, 3);
    } else if (widening->width == 32) {
        widen_float8(widening, 2);
    } else {
        widen_float8(widening, 1);
    }
}

static void pack_rows_bf16(const ck_block *block) {
    _Alignas(64) uint16_t pairs[CK_MAX_BLOCK][CK_SPAN];
    for (int64_t at = block->from; at < block->end; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, block->end - at);
        for (int r = 0; r < block->rows; r++) {
            const float *x = block->x + r * block->stride + at;
            int64_t i = 0;
            for (; i + 32 <= count; i += 32) {
                __m512bh words = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
                _mm512_store_si512(pairs[r] + i, (__m512i)words);
            }
            if (i < count) {
                uint32_t rest = ~0u >> (32 - (count - i));
                __m512 low = _mm512_maskz_loadu_ps((__mmask16)rest, x + i);
                __m512 high = _mm512_maskz_loadu_ps((__mmask16)(rest >> 16), x + i + 16);
                _mm512_store_si512(pairs[r] + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
            }
        }
        interleave(pairs, CK_SPAN / 2, block->rows, (count + 1) / 2, block->packed + 2 * at * block->rows,
                   block->rows);
    }
}

#pragma clang attribute pop

const ck_linear_kernels ck_linear_avx512 = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {ck_multiply_f32_avx512, multiply_widened_bf16, ck_multiply_f16_avx512, ck_multiply_int8_avx2,
                 ck_multiply_int4_avx2},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = widen,
};

const ck_linear_kernels ck_linear_avx512_vnni = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {ck_multiply_f32_avx512, multiply_widened_bf16, ck_multiply_f16_avx512, ck_multiply_int8_vnni,
                 ck_multiply_int4_vnni},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = widen,
};

const ck_linear_kernels ck_linear_avx512_bf16 = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 2, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {ck_multiply_f32_avx512, multiply_bf16, ck_multiply_f16_avx512, ck_multiply_int8_vnni,
                 ck_multiply_int4_vnni},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = ck_widen_avx512_bf16,
};

#endif
