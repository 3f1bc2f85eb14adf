// Training's attention with AVX2.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "lanes.h"

// A vector is two registers: 12 of the 16 for sums.
#define CK_TILE_ROWS 6
#define CK_TILE_COLUMNS 1
#define CK_PAIRS 0
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#include "training_attention_backward.h"
#include "training_attention_forward.h"

#pragma clang attribute pop

const ck_train_attention_kernels ck_train_attention_avx2 = {forward, backward, gather};

#endif
