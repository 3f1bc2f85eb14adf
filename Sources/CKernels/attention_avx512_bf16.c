// Attention with AVX-512 and VDPBF16PS, which multiplies pairs of bf16 and adds in fp32.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(                                                               \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 6
#define CK_TILE_COLUMNS 4
#define CK_PAIR_FLOATS 1
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

CK_INLINE ck_floats multiply_pairs(ck_words a, ck_words b, ck_floats sum) {
    return (ck_floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

CK_INLINE void store_pairs(float *destination, ck_floats v) {
    _mm256_storeu_si256((__m256i *)(void *)destination, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}

#include "attention_tile.h"

#pragma clang attribute pop

const ck_attention_kernels ck_attention_avx512_bf16 = {attend_f32, attend_bf16};

#endif
