// Between the drivers of the block-wise quantization (block_quantization.c) and the kernels of each instruction set.
#ifndef CKERNELS_BLOCK_QUANTIZATION_KERNELS_H
#define CKERNELS_BLOCK_QUANTIZATION_KERNELS_H

#include <stdbool.h>

#include "include/block_quantization.h"

// The bits are the same for every instruction set.
typedef struct ck_block_kernels {
    // `count` elements that begin with a block.
    void (*nf4_quantize)(bool bf16, const void *source, int64_t count, uint8_t *codes, float *scales);
    // Elements [start, start + count), start even; `codes` and `scales` are those of element 0.
    void (*nf4_dequantize)(bool bf16, const uint8_t *codes, const float *scales, int64_t start, int64_t count,
                           void *destination);
    // One row.
    float (*int8_quantize)(bool bf16, const void *source, int64_t columns, int8_t *codes);
    void (*int8_dequantize)(bool bf16, const int8_t *codes, float scale, int64_t columns, void *destination);
} ck_block_kernels;

extern const ck_block_kernels ck_blocks_portable;
#if defined(__x86_64__)
extern const ck_block_kernels ck_blocks_avx2, ck_blocks_avx512;
#endif

#endif
