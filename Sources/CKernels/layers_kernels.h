// Between the drivers of the row-wise layers (layers.c) and the kernels of each instruction set.
#ifndef CKERNELS_LAYERS_KERNELS_H
#define CKERNELS_LAYERS_KERNELS_H

#include <stdint.h>

// Each works on one row. The bits are the same for every instruction set.
typedef struct ck_layer_kernels {
    void (*rms_norm)(const float *x, const float *weight, float epsilon, int64_t size, float *y);
    void (*rope)(float *x, int64_t heads, int64_t half, const float *cosines, const float *sines);
    void (*swiglu)(const float *gate, const float *up, int64_t size, float *y);
    void (*add)(const float *x, float *y, int64_t count);
    void (*softmax)(float *x, int64_t size);
    int64_t (*argmax)(const float *x, int64_t count);
    double (*log_sum_exp)(const float *x, int64_t count);
    void (*exp)(const float *x, float *y, int64_t count);
} ck_layer_kernels;

extern const ck_layer_kernels ck_layers_portable;
#if defined(__x86_64__)
extern const ck_layer_kernels ck_layers_avx2, ck_layers_avx512;
#endif

#endif
