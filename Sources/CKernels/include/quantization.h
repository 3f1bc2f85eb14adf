// Making weights of few bits: rounding by groups, and the column by column corrections of GPTQ. What is kept in 4 or 8
// bits to be multiplied with is in linear.h.
#ifndef CKERNELS_QUANTIZATION_H
#define CKERNELS_QUANTIZATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// How the codes of a group follow from its values.
typedef enum ck_grid_rule {
    // scale = 2 max|w| / (2^bits - 1), zero in the middle, which is 2^(bits - 1).
    CK_GRID_SYMMETRIC = 0,
    // From min(0, w) to max(0, w); the zero is a code of its own.
    CK_GRID_ASYMMETRIC = 1,
    // scale = max|w| / (2^(bits - 1) - 1): codes around the middle, as signed integers without the lowest one.
    CK_GRID_SIGNED = 2,
} ck_grid_rule;

// w = (code - zero) * scale; code = round half even(w / scale) + zero, within 0 and 2^bits - 1.
typedef struct ck_grid {
    ck_grid_rule rule;
    int bits;            // up to 8
    int64_t group;       // columns that share a scale; the last group of a row may have fewer
    ck_type scale_type;  // F32, BF16 or F16: scales are rounded to it before codes are chosen
    int least_zero;      // of the asymmetric rule: 0, or 1 for formats that cannot hold every zero
} ck_grid;

// Codes of w [rows, columns], rows `stride` floats apart. `codes` [rows, columns]; `scales` and `zeros` [rows, groups].
void ck_grid_quantize(ck_pool *pool, ck_grid grid, const float *w, int64_t rows, int64_t columns, int64_t stride,
                      uint8_t *codes, float *scales, uint8_t *zeros);

// The bound of |w| of each group, out of max|w| (1 - step / grid_steps) for `steps` steps from 0 on, with which the
// codes of the clipped values lead to the least error of the group's part of the output, e' H e. `hessian` holds for
// each group its [group, group] matrix of sums of products of inputs; `bounds` is [rows, groups]. Groups are of equal
// size, up to CK_GRID_MAX_SEARCH_GROUP.
#define CK_GRID_MAX_SEARCH_GROUP 1024

void ck_grid_search_bounds(ck_pool *pool, ck_grid grid, const float *w, int64_t rows, int64_t columns,
                           const float *hessian, int steps, int grid_steps, float *bounds);

// One block of GPTQ (Frantar et al., arXiv:2210.17323): quantizes columns [first, first + count) of w [rows, columns]
// one after another, spreading each one's error over the rest of the block.
typedef struct ck_gptq_block {
    ck_grid grid;
    const float *w;
    int64_t rows, columns;
    int64_t first, count;  // count is at most CK_GPTQ_MAX_BLOCK
    // The upper factor U of the inverse Hessian, H^-1 = U' U, [columns, columns].
    const float *factor;
    // Whether a group's scale sees what the block's columns before it have changed, or the values before the block.
    bool eager;
    uint8_t *codes;   // [rows, columns]
    float *scales;    // [rows, groups]
    uint8_t *zeros;   // [rows, groups]
    float *errors;    // [rows, count]: (w - its code's value) / U_ii, which corrects the columns behind the block
} ck_gptq_block;

#define CK_GPTQ_MAX_BLOCK 1024

void ck_gptq_quantize_block(ck_pool *pool, const ck_gptq_block *block);

// In place of a symmetric positive definite h [n, n], of which the upper triangle is read, the upper triangular U with
// h^-1 = U' U, zeros below. `scratch` is aligned to 64 bytes. Returns false, with h undefined, if h is not positive
// definite in the arithmetic of fp32.
bool ck_inverse_upper_factor(ck_pool *pool, float *h, int64_t n, void *scratch);
size_t ck_inverse_upper_factor_scratch_bytes(int64_t n, int threads);

// c [n, n] += alpha x' x for x [count, n] of F32 or BF16, the upper triangle only; some elements below it are written,
// too. `bf16` rounds x to bf16 first. `scratch` as for ck_gemm.
void ck_accumulate_gram(ck_pool *pool, ck_type type, const void *x, int64_t count, int64_t n, int64_t stride,
                        float alpha, bool bf16, float *c, void *scratch);
// Makes the lower triangle the upper one's mirror image.
void ck_mirror_upper(ck_pool *pool, float *c, int64_t n);

// sums [n] += the sum of |x| over the rows.
void ck_accumulate_magnitudes(ck_pool *pool, ck_type type, const void *x, int64_t count, int64_t n, int64_t stride,
                              double *sums);

#endif
