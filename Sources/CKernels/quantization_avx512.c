// Quantization by groups with AVX-512.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"
#include "quantization_rows.h"

#pragma clang attribute pop

const ck_grid_kernels ck_grids_avx512 = CK_GRID_KERNELS;

#endif
