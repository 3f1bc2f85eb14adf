// Products of row-major matrices, for training, where both operands may change from step to step.
#ifndef CKERNELS_GEMM_H
#define CKERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// The arithmetic of a product.
typedef enum ck_precision {
    CK_PRECISION_F32 = 0,   // fp32 products and sums
    CK_PRECISION_BF16 = 1,  // operands rounded to bf16, products summed in fp32
} ck_precision;

// A row-major matrix in memory, F32 or BF16, with `stride` elements from row to row; read as its transpose if
// `transposed`.
typedef struct ck_operand {
    ck_type type;
    const void *data;
    int64_t stride;
    bool transposed;
} ck_operand;

// C [m, n] = alpha A [m, k] B [k, n] + bias, or C += that if `accumulate`. The sizes are those after transposition:
// the forward pass of a linear layer is a = x [m, k], b = W [n, k] transposed; its input's gradient a = dy, b = W as it
// lies; its weights' gradient a = dy transposed, b = x as it lies.
typedef struct ck_product {
    ck_precision precision;
    int64_t m, n, k;
    ck_operand a, b;
    float alpha;
    const float *bias;  // [n], or NULL
    ck_type c_type;     // F32, or BF16 (rounded once, at the end; with `accumulate` the sum is)
    void *c;
    int64_t c_stride;
    bool accumulate;
} ck_product;

// Bytes of scratch memory that any product needs on a pool of `threads` threads: one area serves them all, one after
// another.
size_t ck_gemm_scratch_bytes(int threads);

// Computes the product. `scratch` is aligned to 64 bytes. Every element of C is one sum over k in a fixed order: its
// bits do not depend on the threads, nor on the other rows and columns. Operands may not overlap C.
void ck_gemm(ck_pool *pool, const ck_product *product, void *scratch);

#endif
