// Attention with AVX2.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "lanes.h"

// A vector is two registers: 8 of the 16 for sums.
#define CK_TILE_ROWS 4
#define CK_TILE_COLUMNS 1
#define CK_PAIR_FLOATS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#include "attention_tile.h"

#pragma clang attribute pop

const ck_attention_kernels ck_attention_avx2 = {attend_f32, attend_bf16};

#endif
