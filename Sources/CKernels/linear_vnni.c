// Products of 8-bit and 4-bit weights with AVX-512 VNNI. VPDPBUSD multiplies unsigned by signed bytes and adds four
// products to a 32-bit sum; weights are the unsigned side, and what their zero point adds too much is where the sum
// of each group begins.

#if defined(__x86_64__)

#include <immintrin.h>

#include "linear_kernels.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(                                                                     \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))),       \
    apply_to = function)

#include "linear_avx512.h"

CK_INLINE void begin_group(int R, int V, const ck_tile *tile, int64_t g, __m512i products[8][3]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        __m512i correction = _mm512_set1_epi32(tile->row_corrections[g * R + r]);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            products[r][v] = correction;
            if (tile->zeros == NULL) continue;
            __m128i zeros = _mm_loadu_si128((const __m128i *)(const void *)(tile->zeros + (g * V + v) * 16));
            products[r][v] = _mm512_mullo_epi32(correction, _mm512_cvtepu8_epi32(zeros));
        }
    }
}

// The sums of groups stay in memory: the registers are full.
CK_INLINE void end_group(int R, int V, const ck_tile *tile, int64_t g, __m512i products[8][3]) {
    __m512 scales[3];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) scales[v] = _mm512_loadu_ps(tile->scales + (g * V + v) * 16);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        __m512 row_scale = _mm512_set1_ps(tile->row_scales[g * R + r]);
        float *sums = tile->sums + r * tile->pitch;
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            __m512 scale = _mm512_mul_ps(scales[v], row_scale), whole = _mm512_cvtepi32_ps(products[r][v]);
            _mm512_storeu_ps(sums + v * 16, _mm512_fmadd_ps(whole, scale, _mm512_loadu_ps(sums + v * 16)));
        }
    }
}

CK_INLINE void clear_sums(int R, int V, const ck_tile *tile) {
    for (int r = 0; r < R && !tile->continues; r++) {
        for (int v = 0; v < V; v++) _mm512_storeu_ps(tile->sums + r * tile->pitch + v * 16, _mm512_setzero_ps());
    }
}

CK_INLINE void add_products(int R, int V, const int *rows, const __m512i weights[3], __m512i products[8][3]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        __m512i x = _mm512_set1_epi32(rows[r]);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) products[r][v] = _mm512_dpbusd_epi32(products[r][v], weights[v], x);
    }
}

CK_INLINE void int8(int R, int V, const ck_tile *tile) {
    clear_sums(R, V, tile);
    const unsigned char *weights = tile->weights;
    const unsigned char *ahead = tile->ahead;
    const int *rows = (const int *)(const void *)tile->rows_packed;
    for (int64_t start = 0, g = 0; start < tile->count; start += tile->group, g++) {
        __m512i products[8][3], w[3];
        begin_group(R, V, tile, g, products);
        for (int64_t steps = (smaller(tile->group, tile->count - start) + 3) / 4; steps > 0; steps--) {
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) {
                CK_FETCH(ahead + v * 64);
                w[v] = _mm512_load_si512(weights + v * 64);
            }
            add_products(R, V, rows, w, products);
            weights += V * 64;
            ahead += tile->ahead_step;
            rows += R;
        }
        end_group(R, V, tile, g, products);
    }
}

// One vector of pairs of codes is two of the above.
CK_INLINE void int4(int R, int V, const ck_tile *tile) {
    clear_sums(R, V, tile);
    const unsigned char *weights = tile->weights;
    const unsigned char *ahead = tile->ahead;
    const int *rows = (const int *)(const void *)tile->rows_packed;
    const __m512i low = _mm512_set1_epi8(15);
    for (int64_t start = 0, g = 0; start < tile->count; start += tile->group, g++) {
        __m512i products[8][3], pairs[3], w[3];
        begin_group(R, V, tile, g, products);
        for (int64_t steps = (smaller(tile->group, tile->count - start) + 7) / 8; steps > 0; steps--) {
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) {
                CK_FETCH(ahead + v * 64);
                pairs[v] = _mm512_load_si512(weights + v * 64);
                w[v] = _mm512_and_si512(pairs[v], low);
            }
            add_products(R, V, rows, w, products);
#pragma clang loop unroll(full)
            for (int v = 0; v < V; v++) w[v] = _mm512_and_si512(_mm512_srli_epi16(pairs[v], 4), low);
            add_products(R, V, rows + R, w, products);
            weights += V * 64;
            ahead += tile->ahead_step;
            rows += 2 * R;
        }
        end_group(R, V, tile, g, products);
    }
}

CK_TILES(, ck_multiply_int8_vnni, int8)
CK_TILES(, ck_multiply_int4_vnni, int4)

#pragma clang attribute pop

#endif
