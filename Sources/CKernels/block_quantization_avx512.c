// Block-wise quantization with AVX-512.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"

// Lane by lane the table's lane `index`, which is below 16.
CK_INLINE ck_floats lookup_16(ck_floats table, ck_words index) {
    return (ck_floats)_mm512_permutexvar_ps((__m512i)index, (__m512)table);
}

#include "block_quantization_rows.h"

#pragma clang attribute pop

const ck_block_kernels ck_blocks_avx512 = CK_BLOCK_KERNELS;

#endif
