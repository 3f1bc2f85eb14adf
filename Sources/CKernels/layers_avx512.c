// The row-wise layers with AVX-512.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#include "layers_rows.h"
#pragma clang attribute pop

const ck_layer_kernels ck_layers_avx512 = CK_LAYER_KERNELS;

#endif
