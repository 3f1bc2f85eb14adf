// Attention over a paged cache of keys and values (Kwon et al., arXiv:2309.06180), with an online softmax
// (Milakov and Gimelshein, arXiv:1805.02867) and grouped queries (Ainslie et al., arXiv:2305.13245).
#ifndef CKERNELS_ATTENTION_H
#define CKERNELS_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// Tokens in a block of the cache.
#define CK_KV_BLOCK 16

// The shape of one layer's cache. `type` is F32 or BF16; BF16 rounds keys, values, queries and probabilities
// to bf16 and sums in fp32. head_dim is even.
typedef struct ck_kv_layout {
    ck_type type;
    int64_t kv_heads;
    int64_t head_dim;
} ck_kv_layout;

// Bytes of one block of one layer, keys and values together, a multiple of 64. Within a block, by kv head:
// keys [head_dim/2][16 tokens][2] (BF16) or [head_dim][16] (F32), then values [8 token pairs][head_dim][2]
// (BF16) or [16][head_dim] (F32), so that both products read whole vectors.
size_t ck_kv_block_bytes(ck_kv_layout layout);

// Stores rows of keys and values, each [rows, kv_heads * head_dim] floats with row stride ld, in the slots
// slots[i] = block * 16 + offset. `cache` is block 0 of the layer, blocks following each other. When offset 0
// of a block is written, the rest of the block is cleared, so that no stale NaN reaches a product with zero;
// the slots of a block therefore come in ascending order.
void ck_kv_store(ck_pool *pool, ck_kv_layout layout, void *cache, const float *keys, const float *values,
                 int64_t ld, int64_t rows, const int32_t *slots);

// One sequence's part of a step: its `query_count` newest tokens, rows [query_start, query_start +
// query_count) of the batch, attend to the `context` tokens cached so far, these newest ones included.
typedef struct ck_sequence {
    int64_t query_start;
    int64_t query_count;
    int64_t context;
    const int32_t *block_table;  // block number of each 16 tokens
} ck_sequence;

// Bytes of scratch memory for `threads` threads.
size_t ck_attention_scratch_bytes(ck_kv_layout layout, int64_t heads, int threads);

// out [rows, heads * head_dim] = softmax(q Kᵀ scale) V, causal; row strides ldq and ldo; scale > 0. heads is
// a multiple of kv_heads; query head h reads kv head h / (heads / kv_heads). With `window` > 0 a token at
// position p sees positions above p - window only; blocks that lie wholly before every query's window are not
// read, whatever their numbers are. A row depends on its query and on the keys and values that it sees alone,
// bit by bit: not on how many queries come at once, nor on the other sequences or the threads. (Only a value
// that is not finite may spoil rows up to 127 positions before it, which give it the weight 0.)
void ck_attention(ck_pool *pool, ck_kv_layout layout, const void *cache, const ck_sequence *sequences,
                  int64_t sequence_count, const float *q, int64_t ldq, int64_t heads, float scale,
                  int64_t window, float *out, int64_t ldo, void *scratch);

#endif
