// Matrix products with AVX-512.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"

// 24 of the 32 registers are sums.
#define CK_TILE_ROWS 12
#define CK_ROW_STEP 4
#define CK_TILE_VECTORS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}

#include "gemm_pack.h"
#include "gemm_tile.h"

#pragma clang attribute pop

const ck_gemm_kernels ck_gemm_avx512 = {
    .rows = CK_TILE_ROWS, .row_step = CK_ROW_STEP, .columns = CK_TILE_VECTORS * CK_LANES,
    .pack = pack_strips, .multiply_f32 = multiply_f32, .finish = finish_tile,
};

#endif
