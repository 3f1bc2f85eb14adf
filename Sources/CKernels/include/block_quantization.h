// Weights of a frozen base in 4 or 8 bits, as QLoRA keeps them (Dettmers et al., arXiv:2305.14314): flat, row-major, in
// blocks of 64 elements that share a scale, the last block possibly short. Agrees with bitsandbytes.
#ifndef CKERNELS_BLOCK_QUANTIZATION_H
#define CKERNELS_BLOCK_QUANTIZATION_H

#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

#define CK_NF4_BLOCK 64
// Scales that share a scale of their own in double quantization.
#define CK_NF4_SCALES_BLOCK 256

// The 16 values of NF4, ascending.
const float *ck_nf4_codebook(void);

// codes [ceil(count / 2)]: the first of two elements in the high nibble; scales [ceil(count / 64)] = max |w| of the block.
// Code: the nearest value to w * (1 / scale) as bitsandbytes' thresholds have it.
void ck_nf4_quantize(ck_pool *pool, ck_type type, const void *source, int64_t count, uint8_t *codes, float *scales);

// value * scale, of elements [start, start + count); start is even. F32 or BF16.
void ck_nf4_dequantize(ck_pool *pool, const uint8_t *codes, const float *scales, int64_t start, int64_t count,
                       ck_type type, void *destination);

// Double quantization of scales: offset = their mean; codes [count] by the signed dynamic 8-bit code of (scale -
// offset) / block maximum; block_scales [ceil(count / 256)].
void ck_nf4_quantize_scales(const float *scales, int64_t count, uint8_t *codes, float *block_scales, float *offset);
void ck_nf4_dequantize_scales(const uint8_t *codes, const float *block_scales, float offset, int64_t count,
                              float *scales);

// 8 bits by row, as LLM.int8 keeps them: scale = max |row| / 127, codes rounded half to even.
void ck_int8_quantize_rows(ck_pool *pool, ck_type type, const void *source, int64_t rows, int64_t columns,
                           int8_t *codes, float *scales);
void ck_int8_dequantize_rows(ck_pool *pool, const int8_t *codes, const float *scales, int64_t rows, int64_t columns,
                             ck_type type, void *destination);

#endif
