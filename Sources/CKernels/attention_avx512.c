// Attention with AVX-512 without bf16 instructions.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 6
#define CK_TILE_COLUMNS 4
#define CK_PAIR_FLOATS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#include "attention_tile.h"

#pragma clang attribute pop

const ck_attention_kernels ck_attention_avx512 = {attend_f32, attend_bf16};

#endif
