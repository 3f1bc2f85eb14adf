// Between the drivers of quantization (quantization.c) and the kernels of each instruction set.
#ifndef CKERNELS_QUANTIZATION_KERNELS_H
#define CKERNELS_QUANTIZATION_KERNELS_H

#include "include/quantization.h"

// The bits are the same for every instruction set.
typedef struct ck_grid_kernels {
    // One row.
    void (*quantize_row)(ck_grid grid, const float *w, int64_t columns, uint8_t *codes, float *scales, uint8_t *zeros);
    void (*search_bounds)(ck_grid grid, const float *w, int64_t columns, const float *hessian, int steps,
                          int grid_steps, float *bounds);
    void (*gptq_row)(const ck_gptq_block *block, int64_t row);
} ck_grid_kernels;

extern const ck_grid_kernels ck_grids_portable;
#if defined(__x86_64__)
extern const ck_grid_kernels ck_grids_avx2, ck_grids_avx512;
#endif

#endif
