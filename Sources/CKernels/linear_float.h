// Products of F32, F16 and widened BF16 weights for any instruction set with fused multiply-add: the file that
// includes this one says in CK_VECTOR_BYTES how wide its registers are. The compiler's vector types stand for them.
#ifndef CKERNELS_LINEAR_FLOAT_H
#define CKERNELS_LINEAR_FLOAT_H

#include "linear_rows.h"

#define CK_LANES (CK_VECTOR_BYTES / 4)

typedef float ck_floats __attribute__((vector_size(CK_VECTOR_BYTES), aligned(4), may_alias));
typedef uint32_t ck_words __attribute__((vector_size(CK_VECTOR_BYTES), aligned(4), may_alias));
typedef _Float16 ck_halves __attribute__((vector_size(CK_VECTOR_BYTES / 2), aligned(2), may_alias));

CK_INLINE ck_floats load_f32(const unsigned char *weights) { return *(const ck_floats *)(const void *)weights; }

CK_INLINE ck_floats load_f16(const unsigned char *weights) {
    return __builtin_convertvector(*(const ck_halves *)(const void *)weights, ck_floats);
}

CK_INLINE ck_floats multiply_add(ck_floats a, float b, ck_floats sum) {
    ck_floats all = b - (ck_floats){0};
    return __builtin_elementwise_fma(a, all, sum);
}

// A tile of R rows and V vectors of columns, in registers. `rows` steps by `rows_pitch` and `weights` by
// `weights_pitch` bytes from one element of k to the next.
typedef struct ck_float_tile {
    const float *rows;
    int64_t rows_pitch;
    const unsigned char *weights;
    int64_t weights_pitch;
    int64_t count;
    float *sums;
    int64_t pitch;
    bool continues;
    const unsigned char *ahead;  // as in ck_tile, for AVX-512 only
    int64_t ahead_step;
} ck_float_tile;

CK_INLINE void begin_sums(int R, int V, const ck_float_tile *tile, ck_floats sums[8][4]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            const float *from = tile->sums + r * tile->pitch + v * CK_LANES;
            sums[r][v] = tile->continues ? *(const ck_floats *)(const void *)from : (ck_floats){0};
        }
    }
}

CK_INLINE void end_sums(int R, int V, const ck_float_tile *tile, ck_floats sums[8][4]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            *(ck_floats *)(void *)(tile->sums + r * tile->pitch + v * CK_LANES) = sums[r][v];
        }
    }
}

CK_INLINE void add_products(int R, int V, const float *rows, const ck_floats weights[4], ck_floats sums[8][4]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) sums[r][v] = multiply_add(weights[v], rows[r], sums[r][v]);
    }
}

// Only where a row of a panel is one vector's business: else each line would be asked for several times.
CK_INLINE void prefetch_weights(int lines, const ck_float_tile *tile, int64_t k) {
    for (int line = 0; CK_LANES == 16 && line < lines; line++) {
        CK_FETCH(tile->ahead + k * tile->ahead_step + line * 64);
    }
}

CK_INLINE void tile_f32(int R, int V, const ck_float_tile *tile) {
    ck_floats sums[8][4], weights[4];
    begin_sums(R, V, tile, sums);
    for (int64_t k = 0; k < tile->count; k++) {
        const unsigned char *at = tile->weights + k * tile->weights_pitch;
        prefetch_weights(3, tile, k);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) weights[v] = load_f32(at + v * CK_VECTOR_BYTES);
        add_products(R, V, tile->rows + k * tile->rows_pitch, weights, sums);
    }
    end_sums(R, V, tile, sums);
}

CK_INLINE void tile_f16(int R, int V, const ck_float_tile *tile) {
    ck_floats sums[8][4], weights[4];
    begin_sums(R, V, tile, sums);
    for (int64_t k = 0; k < tile->count; k++) {
        const unsigned char *at = tile->weights + k * tile->weights_pitch;
        prefetch_weights(2, tile, k);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) weights[v] = load_f16(at + v * CK_VECTOR_BYTES / 2);
        add_products(R, V, tile->rows + k * tile->rows_pitch, weights, sums);
    }
    end_sums(R, V, tile, sums);
}

// Pairs of bf16: the first of a pair is the low half of a word.
CK_INLINE void tile_bf16(int R, int V, const ck_float_tile *tile) {
    ck_floats sums[8][4], weights[4];
    begin_sums(R, V, tile, sums);
    for (int64_t k = 0; k < tile->count; k += 2) {
        const unsigned char *at = tile->weights + k / 2 * tile->weights_pitch;
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            weights[v] = (ck_floats)(*(const ck_words *)(const void *)(at + v * CK_VECTOR_BYTES) << 16);
        }
        add_products(R, V, tile->rows + k * tile->rows_pitch, weights, sums);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            weights[v] = (ck_floats)(*(const ck_words *)(const void *)(at + v * CK_VECTOR_BYTES) & 0xffff0000);
        }
        add_products(R, V, tile->rows + (k + 1) * tile->rows_pitch, weights, sums);
    }
    end_sums(R, V, tile, sums);
}

// Defines name(tile), which calls kernel(R, V, tile) for every 4 rows (fewer at the end) and 16 columns: as much as
// 16 or 32 registers of a few numbers hold.
#define CK_FLOAT_TILES(name, kernel, bytes)                                                        \
    static void name(const ck_tile *tile) {                                                        \
        for (int c = 0; c < tile->width; c += CK_COLUMNS) {                                        \
            for (int r = 0; r < tile->rows; r += 4) {                                              \
                ck_float_tile floats = {                                                           \
                    .rows = (const float *)(const void *)tile->rows_packed + r,                    \
                    .rows_pitch = tile->rows, .weights = tile->weights + c * bytes,                \
                    .weights_pitch = tile->width * bytes, .count = tile->count,                    \
                    .sums = tile->sums + r * tile->pitch + c, .pitch = tile->pitch,                \
                    .continues = tile->continues,                                                  \
                };                                                                                 \
                switch (tile->rows - r) {                                                          \
                case 1: kernel(1, CK_COLUMNS / CK_LANES, &floats); break;                          \
                case 2: kernel(2, CK_COLUMNS / CK_LANES, &floats); break;                          \
                case 3: kernel(3, CK_COLUMNS / CK_LANES, &floats); break;                          \
                default: kernel(4, CK_COLUMNS / CK_LANES, &floats); break;                         \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

#endif
