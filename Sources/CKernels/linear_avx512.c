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
            __builtin_prefetch(ahead + v * 64);
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
};

const ck_linear_kernels ck_linear_avx512_vnni = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {ck_multiply_f32_avx512, multiply_widened_bf16, ck_multiply_f16_avx512, ck_multiply_int8_vnni,
                 ck_multiply_int4_vnni},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
};

const ck_linear_kernels ck_linear_avx512_bf16 = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 2, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {ck_multiply_f32_avx512, multiply_bf16, ck_multiply_f16_avx512, ck_multiply_int8_vnni,
                 ck_multiply_int4_vnni},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
};

#endif
