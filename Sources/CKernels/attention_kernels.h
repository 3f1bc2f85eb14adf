// Between the driver of attention (attention.c) and the kernels of each instruction set.
#ifndef CKERNELS_ATTENTION_KERNELS_H
#define CKERNELS_ATTENTION_KERNELS_H

#include "include/attention.h"

// Query rows, a row being one query's head, that share a chunk: enough to use each key and value many times.
#define CK_ATTENTION_ROWS 128
// Keys whose scores are held at a time. Key tiles begin at multiples of it, so that a row meets the same
// tiles, and with them the same roundings, however many queries come along.
#define CK_KEY_TILE 128
#define CK_TILE_BLOCKS (CK_KEY_TILE / CK_KV_BLOCK)
// Rows in the largest register tile of any instruction set.
#define CK_MAX_TILE_ROWS 6

// Neighboring queries of one sequence and heads of one group, which read the same keys and values.
typedef struct ck_query_tile {
    int64_t head_dim;
    const unsigned char *blocks;  // this kv head in block 0 of the cache
    size_t block_bytes;
    size_t values_offset;  // of the values behind the keys
    const int32_t *block_table;
    int64_t position;  // of the first query
    int64_t queries;
    int64_t heads;
    int64_t window;  // 0: none
    float scale;
    const float *q;  // the first query's first head
    int64_t ldq;
    float *out;
    int64_t ldo;
    float *scratch;  // ck_attention_floats, 64-byte aligned
} ck_query_tile;

// A row of `head_dim` in whole vectors.
static inline int64_t ck_padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

// Floats of scratch memory: queries, results, denominators, maxima, and the scores of one register tile.
static inline int64_t ck_attention_floats(int64_t head_dim) {
    return CK_ATTENTION_ROWS * (2 * ck_padded_dim(head_dim) + 16 + 1) + CK_MAX_TILE_ROWS * CK_KEY_TILE;
}

typedef struct ck_attention_kernels {
    void (*attend_f32)(const ck_query_tile *tile);
    void (*attend_bf16)(const ck_query_tile *tile);
} ck_attention_kernels;

extern const ck_attention_kernels ck_attention_portable;
#if defined(__x86_64__)
extern const ck_attention_kernels ck_attention_avx2, ck_attention_avx512, ck_attention_avx512_bf16;
#endif

#endif
