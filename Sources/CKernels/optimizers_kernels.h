// Between the drivers of the optimizers (optimizers.c) and the kernels of each instruction set.
#ifndef CKERNELS_OPTIMIZERS_KERNELS_H
#define CKERNELS_OPTIMIZERS_KERNELS_H

#include <stdbool.h>

#include "include/optimizers.h"
#include "optimizers_codes.h"

typedef struct ck_step ck_step;

// Updates the elements from `begin` to before `end`. The bits are the same for every instruction set.
typedef void (*ck_step_kernel)(const ck_step *step, int64_t begin, int64_t end);

// One step; each kernel uses the fields of its own. Scalars are computed in double and rounded once.
struct ck_step {
    ck_step_kernel kernel;
    const ck_update *update;
    float kept;           // 1 - learning rate * weight decay
    float step_size;      // of the parameters, negative
    float beta1, beta2;   // also momentum and decay
    float rest1, rest2;   // 1 - beta1, 1 - beta2
    float root;           // of 1 - beta2^t
    float epsilon;
    bool is_first;
    float *m, *v;  // states or their scales
    uint8_t *m_codes, *v_codes;
    const ck_dynamic_codes *codes;
};

typedef struct ck_optimizer_kernels {
    ck_step_kernel adamw, adamw_8bit, sgd, lion, moving_average;
} ck_optimizer_kernels;

extern const ck_optimizer_kernels ck_optimizers_portable;
#if defined(__x86_64__)
extern const ck_optimizer_kernels ck_optimizers_avx2, ck_optimizers_avx512;
#endif

#endif
