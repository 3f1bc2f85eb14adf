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
    CK_WEIGHT_F8 = 5,    // 8-bit floats (E4M3) with a scale for each row; the products are those of BF16
} ck_weight_format;

// A weight matrix in the layout the kernels read: one memory area, made by `ck_weights_layout` and filled by
// `ck_weights_pack...`. The layout is the same for every instruction set of an architecture.
typedef struct ck_weights {
    ck_weight_format format;
    int64_t n;           // out features
    int64_t k;           // in features
    // The arithmetic, which `ck_weights_layout` sets to the format's own: I8, I4 and F8 may be changed to F32, BF16 or
    // F16 then, before anything is packed. A weight is dequantized in fp32 and rounded to that type where it is used,
    // and the products have the bits of those with a matrix stored in that type.
    ck_weight_format products;
    // Elements of k that share a scale: 32, 64 or 128 where activations are quantized, too; otherwise a multiple of
    // 8 or at least k, or any number with `group_of`. All of k for F8; 0 for formats without scales.
    int64_t group;
    // [k], owned by the caller: the group of each element of k, where groups are not made of neighbors; or NULL. Not
    // where activations are quantized.
    const int32_t *group_of;
    size_t bytes;        // of the whole area
    size_t scales_offset;  // within the area, of the scales (I8, I4, F8)
    size_t zeros_offset;   // within the area, of the zero points (I8, I4)
    bool asymmetric;       // whether a zero point that is not 8 (I4) or 128 (I8) was packed; packing sets it
    unsigned char *data;   // 64-byte aligned, owned by the caller
} ck_weights;

// The layout of a matrix; `data` is NULL. `group` is ignored for formats without groups.
ck_weights ck_weights_layout(ck_weight_format format, int64_t n, int64_t k, int64_t group);

// Packs rows [row, row + count) of W from a row-major matrix of `type` (F32, BF16, F16, F8_E4M3) with `stride`
// elements a row, converting or quantizing by group as the format asks. I8: scale = max|w| / 127, code =
// w * (127 / max|w|). I4: codes 0...15 with zero point 8; with e the value of largest magnitude (of two, the negative
// one), scale = e / -8, code = min(15, 8 + w * (-8 / e)). Codes are rounded half to even; a group below 1e-35 becomes
// zeros, and one with infinities or NaN gets a scale that is not finite. F8: by row, scale = max|w| / 448, code =
// w / scale. May be called for several sources, so that q, k and v become one matrix; rows that share a panel may come
// from different calls, but not from calls at the same time. Groups of I8 and I4 have 32, 64 or 128 neighbors here.
void ck_weights_pack(ck_pool *pool, ck_weights *weights, int64_t row, int64_t count, ck_type type,
                     const void *source, int64_t stride);

// Packs rows that are quantized already: codes as bytes, row-major [count, k], signed for I8, 0...15 for I4, E4M3 for
// F8; scales [count, groups], groups = ceil(k / group), 1 for F8; and, for I8 and I4, zero points [count, groups]
// (NULL: 8, 128), which for I8 are 128 more than the signed code that means zero. A row of F8 with a NaN is all NaN.
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
