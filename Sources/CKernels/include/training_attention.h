// Causal self-attention of packed sequences, forward and backward by recomputation (Dao et al., arXiv:2205.14135),
// with grouped queries: scores are never held beyond a tile.
#ifndef CKERNELS_TRAINING_ATTENTION_H
#define CKERNELS_TRAINING_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// Rows [starts[i], starts[i + 1]) are sequence i, which sees nothing of the others. q, k, v and out are matrices of
// `type` (F32: fp32 arithmetic; BF16: operands and probabilities rounded to bf16, sums in fp32) with a head's head_dim
// elements side by side; query head h reads kv head h / (heads / kv_heads). head_dim is even, up to 256. With
// `window` > 0 a token sees the last `window` tokens of its sequence only, itself included.
typedef struct ck_train_attention {
    ck_type type;
    int64_t heads, kv_heads, head_dim, window;
    float scale;
    const int64_t *starts;  // [sequences + 1], ascending, starts[0] = 0
    int64_t sequences;
    const void *q, *k, *v;
    int64_t q_stride, k_stride, v_stride;
    void *out;  // softmax(q Kᵀ scale) V
    int64_t out_stride;
    float *log_sums;  // [heads, rows]: log(sum(exp(scores * scale))), written forward, read backward
} ck_train_attention;

// Bytes of scratch memory for either pass on `threads` threads; `longest` is the longest sequence.
size_t ck_train_attention_scratch_bytes(const ck_train_attention *attention, int64_t longest, int threads);

void ck_train_attention_forward(ck_pool *pool, const ck_train_attention *attention, void *scratch);

// From out's gradient dout (same type): dq, dk, dv (same type, overwritten; they may not be q, k, v themselves).
// Every element is summed in a fixed order, whatever the threads.
void ck_train_attention_backward(ck_pool *pool, const ck_train_attention *attention, const void *dout,
                                 int64_t dout_stride, void *dq, int64_t dq_stride, void *dk, int64_t dk_stride,
                                 void *dv, int64_t dv_stride, void *scratch);

#endif
