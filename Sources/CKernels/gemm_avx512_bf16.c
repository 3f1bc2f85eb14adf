// Matrix products with AVX-512 and VDPBF16PS, which multiplies pairs of bf16 and adds in fp32.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(                                                               \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 12
#define CK_ROW_STEP 4
#define CK_TILE_VECTORS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#define CK_PAIRS
CK_INLINE ck_floats multiply_pairs_add(ck_words a, ck_words b, ck_floats sum) {
    return (ck_floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

// Floats k...k+31 of one lane as 16 pairs.
CK_INLINE ck_words pairs_along(ck_words first, ck_words second) {
    return (ck_words)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

// Two elements of k of 16 lanes as their pairs.
CK_INLINE ck_words pairs_across(ck_words first, ck_words second) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (ck_words)_mm512_permutexvar_epi16(order, (__m512i)pairs_along(first, second));
}

#include "gemm_pack.h"
#include "gemm_tile.h"

#pragma clang attribute pop

const ck_gemm_kernels ck_gemm_avx512_bf16 = {
    .rows = CK_TILE_ROWS, .row_step = CK_ROW_STEP, .columns = CK_TILE_VECTORS * CK_LANES, .pairs = true,
    .pack = pack_strips, .multiply_f32 = multiply_f32, .multiply_pairs = multiply_pairs, .finish = finish_tile,
};

#endif
