// The row-wise layers with AVX2.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "layers_rows.h"
#pragma clang attribute pop

const ck_layer_kernels ck_layers_avx2 = CK_LAYER_KERNELS;

#endif
