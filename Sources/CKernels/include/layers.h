// The parts of a transformer layer that work row by row.
#ifndef CKERNELS_LAYERS_H
#define CKERNELS_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "thread_pool.h"

// y[i] = weight * x[i] / sqrt(mean(x[i]²) + epsilon) for each of `rows` rows of `size` floats, with row strides
// ldx and ldy. x and y may be the same. Sums in fp32 with a fixed order.
void ck_rms_norm(ck_pool *pool, const float *x, int64_t ldx, const float *weight, float epsilon, int64_t rows,
                 int64_t size, float *y, int64_t ldy);

// Rotates the halves of each head by the angles of its row's position (the "rotate half" convention of
// transformers): with h = head_dim / 2, x[j], x[j+h] = x[j] c[j] - x[j+h] s[j], x[j+h] c[j] + x[j] s[j].
// x: rows of `heads` heads of head_dim floats, row stride ldx. cosines and sines: [positions, h], row positions[i]
// for row i.
void ck_rope(ck_pool *pool, float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim,
             const float *cosines, const float *sines, const int32_t *positions);

// y[i, j] = silu(gate[i, j]) * up[i, j]; silu(v) = v / (1 + exp(-v)). Row strides ldg (of gate and up) and ldy.
void ck_swiglu(ck_pool *pool, const float *gate, const float *up, int64_t ldg, int64_t rows, int64_t size,
               float *y, int64_t ldy);

// y += x, `count` floats.
void ck_add(ck_pool *pool, const float *x, float *y, int64_t count);

// Replaces each row by its softmax; the row's maximum is taken out first.
void ck_softmax(ck_pool *pool, float *x, int64_t ldx, int64_t rows, int64_t size);

// The index of the largest of `count` floats, the first of equals; NaN is never chosen unless all are.
int64_t ck_argmax(const float *x, int64_t count);

// log(sum(exp(x))) of `count` floats, without overflow, summed in double.
double ck_log_sum_exp(const float *x, int64_t count);

// exp of `count` floats as the kernels above compute it: within 2 units in the last place, 0 below -87.3.
void ck_exp(const float *x, float *y, int64_t count);

#endif
