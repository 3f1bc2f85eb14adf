// Forward and backward passes of what works row by row in training. Activations are F32 or BF16 (`type`), sums are
// fp32 in a fixed order: the bits never depend on the threads. Strides count elements.
#ifndef CKERNELS_TRAINING_LAYERS_H
#define CKERNELS_TRAINING_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// Rows of `groups` neighboring vectors of `size` elements, each normalized by itself: groups = 1 for a layer's norm,
// the number of heads for Qwen3's. y = weight * x / sqrt(mean(x²) + epsilon). x is of x_type, y of y_type.
// inverse_rms: [rows, groups], kept for the way back.
typedef struct ck_norm {
    int64_t rows, groups, size;
    const float *weight;  // [size]
    float epsilon;
    ck_type x_type;
    const void *x;
    int64_t x_stride;
    float *inverse_rms;
} ck_norm;

void ck_train_rms_norm(ck_pool *pool, const ck_norm *norm, ck_type y_type, void *y, int64_t y_stride);

// From dy (dy_type): dx (dx_type) = or += (`accumulate`) the gradient by x, and weight_gradient [size] += the gradient by
// the weight (NULL: frozen). dx may be dy's memory if the types and strides agree. Sources: STYLE's formula; Zhang and
// Sennrich, arXiv:1910.07467.
void ck_train_rms_norm_backward(ck_pool *pool, const ck_norm *norm, ck_type dy_type, const void *dy, int64_t dy_stride,
                                ck_type dx_type, void *dx, int64_t dx_stride, bool accumulate,
                                float *weight_gradient);

// Rotates heads in place as ck_rope does (halves layout), `type` elements; `inverse` turns back, which is the backward
// pass. cosines and sines: [positions, head_dim / 2], row positions[i] for row i.
void ck_train_rope(ck_pool *pool, ck_type type, void *x, int64_t x_stride, int64_t rows, int64_t heads,
                   int64_t head_dim, const float *cosines, const float *sines, const int32_t *positions, bool inverse);

// y = silu(gate) * up, all of `type`; gate and up have row stride `stride`, y has y_stride.
void ck_train_swiglu(ck_pool *pool, ck_type type, const void *gate, const void *up, int64_t stride, int64_t rows,
                     int64_t size, void *y, int64_t y_stride);

// Replaces gate and up by their gradients, given dy.
void ck_train_swiglu_backward(ck_pool *pool, ck_type type, void *gate, void *up, int64_t stride, int64_t rows,
                              int64_t size, const void *dy, int64_t dy_stride);

// destination row i (d_type) = table row ids[i] (t_type), `size` elements. The ids are within the table.
void ck_train_gather(ck_pool *pool, ck_type t_type, const void *table, int64_t table_stride, const int32_t *ids,
                     int64_t rows, int64_t size, ck_type d_type, void *destination, int64_t stride);

// table_gradient row ids[i] += dy row i (dy_type), in the order of the rows.
void ck_train_scatter_add(ck_pool *pool, const int32_t *ids, int64_t rows, int64_t size, ck_type dy_type,
                          const void *dy, int64_t dy_stride, float *table_gradient, int64_t table_stride);

// Rows of logits (fp32) of a language model and their targets. For each row with target >= 0: log_probs[i] = logit of
// the target - log(sum(exp)), and the row in `gradients` (g_type: F32 or BF16; it may be the logits' own memory) becomes
// coefficient[i] * d log_prob / d logits = coefficient[i] * (onehot - softmax). Rows with target < 0 get 0 and zeros.
// With `gradients` NULL only log_probs are computed; with `coefficients` NULL they count as 1. `correct` (NULL or
// [rows]) is whether the target has the largest logit (the first of equals); `means` (NULL or [rows]) the mean logit.
void ck_train_cross_entropy(ck_pool *pool, const float *logits, int64_t stride, int64_t rows, int64_t vocabulary,
                            const int32_t *targets, const float *coefficients, float *log_probs, uint8_t *correct,
                            float *means, ck_type g_type, void *gradients, int64_t gradients_stride);

// y[i, j] (y_type) = or += x[i, j] (x_type) * row_factors[i] (NULL: 1) * column_factors[j] (NULL: 1) * factor.
void ck_train_scale(ck_pool *pool, ck_type x_type, const void *x, int64_t x_stride, int64_t rows, int64_t columns,
                    float factor, const float *row_factors, const float *column_factors, ck_type y_type, void *y,
                    int64_t y_stride, bool accumulate);

// sums[j] += sum over rows i of x[i, j] * y[i, j] (y NULL: of x[i, j]), rows in order: a bias's gradient, a DoRA
// magnitude's.
void ck_train_column_sums(ck_pool *pool, ck_type type, const void *x, int64_t x_stride, const void *y,
                          int64_t y_stride, int64_t rows, int64_t columns, float *sums);

// Dropout of `type` elements: y = x / (1 - probability) where a bit stream says so, else 0. The stream is a function of
// `seed` and the element's index row * columns + column alone (a counter-based generator, Philox 4x32-10, Salmon et
// al., SC 2011), so that the backward pass is the same call on the gradient. With `accumulate` y += that.
void ck_train_dropout(ck_pool *pool, ck_type type, const void *x, int64_t x_stride, int64_t rows, int64_t columns,
                      float probability, uint64_t seed, void *y, int64_t y_stride, bool accumulate);

// Gaussian (mean 0, `deviation`) and uniform [-bound, bound) fp32 numbers of the same kind of stream, for drawing
// weights: element i is a function of seed and i alone.
void ck_train_normal(ck_pool *pool, uint64_t seed, float deviation, float *y, int64_t count);
void ck_train_uniform(ck_pool *pool, uint64_t seed, float bound, float *y, int64_t count);

// Sums in double of all elements' squares, chunk by chunk in a fixed order; not finite if an element is not.
double ck_train_sum_of_squares(ck_pool *pool, ck_type type, const void *x, int64_t count);

// norms[i] = sqrt(sum over j of (x[i, j])²) in double, of rows of `type`.
void ck_train_row_norms(ck_pool *pool, ck_type type, const void *x, int64_t stride, int64_t rows, int64_t columns,
                        float *norms);

// destination = source, of other types, rows with strides.
void ck_train_convert(ck_pool *pool, ck_type s_type, const void *source, int64_t s_stride, int64_t rows,
                      int64_t columns, ck_type d_type, void *destination, int64_t d_stride);

#endif
