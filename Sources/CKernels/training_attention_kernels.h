// Between the driver of training's attention (training_attention.c) and the kernels of each instruction set.
#ifndef CKERNELS_TRAINING_ATTENTION_KERNELS_H
#define CKERNELS_TRAINING_ATTENTION_KERNELS_H

#include "include/training_attention.h"

// A row is one query's head. Forward: rows of a piece, unless a group has more heads, and the keys whose scores
// are held at a time. Key tiles begin at multiples of it, so that no bit of a row depends on its piece.
#define CK_FORWARD_ROWS 512
#define CK_FORWARD_KEYS 128
// Backward: the tile in which probabilities are computed again. Gradients of a key are summed from row tile to
// row tile and those of a query from key tile to key tile, both in ascending order.
#define CK_BACKWARD_ROWS 96
#define CK_BACKWARD_KEYS 64
// Rows in the largest register tile of any instruction set.
#define CK_MOST_TILE_ROWS 6

// Heads of one sequence that read the same kv head, [head, head + heads); rows are ordered by query, then head.
typedef struct ck_attention_piece {
    const ck_train_attention *attention;
    int64_t start, length;  // the sequence's rows in the matrices
    int64_t head, heads;
    int64_t first_query, queries;  // forward only: which of the sequence
    float *scratch;                // of this thread, 64-byte aligned
} ck_attention_piece;

// What the backward pass reads and writes beside ck_train_attention.
typedef struct ck_attention_gradients {
    const void *dout;
    int64_t dout_stride;
    void *dq, *dk, *dv;
    int64_t dq_stride, dk_stride, dv_stride;
} ck_attention_gradients;

static inline int64_t ck_whole(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

// Floats of one key tile's gradients: first of keys, then of values, each [head_dim][CK_BACKWARD_KEYS].
static inline int64_t ck_key_gradient_floats(int64_t head_dim) { return 2 * head_dim * CK_BACKWARD_KEYS; }

// Floats of scratch memory of a thread: queries, results, denominators and maxima of the rows; a key tile as it
// lies, its keys and its values; and the scores of one register tile.
static inline int64_t ck_forward_floats(int64_t head_dim, int64_t rows) {
    int64_t dim = ck_whole(head_dim, 16);
    return ck_whole(rows, 2) * (2 * dim + 16) + ck_whole(rows, 16) + 3 * CK_FORWARD_KEYS * dim +
           CK_MOST_TILE_ROWS * CK_FORWARD_KEYS;
}

// Rows: queries and output gradients, each also transposed, query gradients, log-sums and D. A key tile: as it
// lies, keys, values, and keys by dimension; its gradients and a transpose of them. A tile: scores, products of
// output gradients and values, and the forms of what comes of them; and a row tile in pairs.
static inline int64_t ck_backward_floats(int64_t head_dim, int64_t rows) {
    int64_t dim = ck_whole(head_dim, 16), whole_rows = ck_whole(rows, CK_BACKWARD_ROWS);
    return whole_rows * (5 * dim + 2) + 5 * CK_BACKWARD_KEYS * dim + ck_key_gradient_floats(dim) +
           4 * CK_BACKWARD_ROWS * CK_BACKWARD_KEYS + CK_BACKWARD_ROWS * dim;
}

typedef struct ck_train_attention_kernels {
    void (*forward)(const ck_attention_piece *piece);
    // Writes dq of the piece, and either dk and dv, or, for every key tile, this piece's part of them to `parts`.
    void (*backward)(const ck_attention_piece *piece, const ck_attention_gradients *gradients, float *parts);
    // Sums `count` parts, `part_floats` apart, of the key tile's gradients and writes them to dk and dv.
    void (*gather)(const ck_attention_piece *piece, const ck_attention_gradients *gradients, int64_t key,
                   const float *parts, int64_t count, int64_t part_floats);
} ck_train_attention_kernels;

extern const ck_train_attention_kernels ck_train_attention_portable;
#if defined(__x86_64__)
extern const ck_train_attention_kernels ck_train_attention_avx2, ck_train_attention_avx512,
    ck_train_attention_avx512_bf16;
#endif

#endif
