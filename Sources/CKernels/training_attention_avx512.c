// Training's attention with AVX-512 without bf16 instructions.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 6
#define CK_TILE_COLUMNS 4
#define CK_PAIRS 0
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#include "training_attention_backward.h"
#include "training_attention_forward.h"

#pragma clang attribute pop

const ck_train_attention_kernels ck_train_attention_avx512 = {forward, backward, gather};

#endif
