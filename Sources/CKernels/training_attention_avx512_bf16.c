// Training's attention with AVX-512 and VDPBF16PS, which multiplies pairs of bf16 and adds in fp32.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(                                                               \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 6
#define CK_TILE_COLUMNS 4
#define CK_PAIRS 1
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

CK_INLINE ck_floats multiply_pairs(ck_words a, ck_words b, ck_floats sum) {
    return (ck_floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

CK_INLINE void store_pairs(float *destination, ck_floats v) {
    _mm256_storeu_si256((__m256i *)(void *)destination, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}

// Both vectors as bf16, `first` in the lower half.
CK_INLINE ck_floats joined(ck_floats first, ck_floats second) {
    return (ck_floats)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}

// Pairs of one element of each half.
CK_INLINE ck_floats interleaved(ck_floats both) {
    typedef int16_t shorts __attribute__((vector_size(64)));
    shorts v = (shorts)both;
    return (ck_floats)__builtin_shufflevector(v, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9,
                                              25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

#include "training_attention_backward.h"
#include "training_attention_forward.h"

#pragma clang attribute pop

const ck_train_attention_kernels ck_train_attention_avx512_bf16 = {forward, backward, gather};

#endif
