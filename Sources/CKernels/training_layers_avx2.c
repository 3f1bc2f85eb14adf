// Training's row-wise layers with AVX2.

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "training_layers_instances.h"
#pragma clang attribute pop

const ck_train_kernels ck_train_avx2 = CK_TRAIN_KERNELS;

#endif
