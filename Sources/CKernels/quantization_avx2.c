// Quantization by groups with AVX2.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "lanes.h"
#include "quantization_rows.h"

#pragma clang attribute pop

const ck_grid_kernels ck_grids_avx2 = CK_GRID_KERNELS;

#endif
