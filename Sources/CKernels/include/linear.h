// Matrix products with packed weights: y = x Wᵀ + bias, W [n, k] as `nn.Linear` keeps it.
#ifndef CKERNELS_LINEAR_H
#define CKERNELS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// How packed weights are kept, and with it the arithmetic.
typedef enum ck_weight_format {
    CK_WEIGHT_F32 = 0,   // fp32 products
    CK_WEIGHT_BF16 = 1,  // activations rounded to bf16, products summed in fp32
    CK_WEIGHT_F16 = 2,   // fp32 products of widened weights
    CK_WEIGHT_I8 = 3,    // 8-bit weights in groups along k; activations quantized by row and group to 8 bits
    CK_WEIGHT_I4 = 4,    // 4-bit weights likewise
} ck_weight_format;

// A weight matrix in the layout the kernels read: one memory area, made by `ck_weights_layout` and filled by
// `ck_weights_pack...`. The layout is the same for every instruction set of an architecture.
typedef struct ck_weights {
    ck_weight_format format;
    int64_t n;           // out features
    int64_t k;           // in features
    int64_t group;       // elements of k that share a scale (I8, I4): 32, 64 or 128, nothing else; 0 otherwise
    size_t bytes;        // of the whole area
    size_t scales_offset;  // within the area, of the scales (I8, I4)
    size_t zeros_offset;   // within the area, of the zero points (I4)
    bool asymmetric;       // whether a zero point that is not 8 was packed (I4); packing sets it
    unsigned char *data;   // 64-byte aligned, owned by the caller
} ck_weights;

// The layout of a matrix; `data` is NULL. `group` is ignored for F32, BF16 and F16.
ck_weights ck_weights_layout(ck_weight_format format, int64_t n, int64_t k, int64_t group);

// Packs rows [row, row + count) of W from a row-major matrix of `type` (F32, BF16, F16, F8_E4M3) with `stride`
// elements a row, converting or quantizing by group as the format asks. I8: scale = max|w| / 127, code =
// w * (127 / max|w|). I4: codes 0...15 with zero point 8; with e the value of largest magnitude (of two, the negative
// one), scale = e / -8, code = min(15, 8 + w * (-8 / e)). Codes are rounded half to even; a group below 1e-35 becomes
// zeros, and one with infinities or NaN gets a scale that is not finite. May be called for several sources, so that
// q, k and v become one matrix; rows that share a panel may come from different calls, but not from calls at the same
// time.
void ck_weights_pack(ck_pool *pool, ck_weights *weights, int64_t row, int64_t count, ck_type type,
                     const void *source, int64_t stride);

// Packs rows that are quantized already: codes as bytes, row-major [count, k], signed for I8 and 0...15 for I4;
// scales [count, groups] and, for I4, zero points [count, groups] (NULL: 8), groups = ceil(k / group).
void ck_weights_pack_codes(ck_pool *pool, ck_weights *weights, int64_t row, int64_t count, const void *codes,
                           const float *scales, const uint8_t *zeros);

// Row `row` as k floats, as the products see it: an embedding lookup in tied weights.
void ck_weights_row(const ck_weights *weights, int64_t row, float *destination);

// Bytes of scratch memory that a product with up to `m` rows needs, over all of the pool's threads.
size_t ck_linear_scratch_bytes(const ck_weights *weights, int64_t m, int threads);

// y [m, n] (row stride ldy) = x [m, k] (row stride ldx) Wᵀ + bias (NULL: none), or y += that if `accumulate`.
// A row of y depends on its row of x alone, bit by bit: not on m, the other rows, or the threads.
void ck_linear(ck_pool *pool, const ck_weights *weights, const float *x, int64_t m, int64_t ldx,
               const float *bias, float *y, int64_t ldy, bool accumulate, void *scratch);

#endif
