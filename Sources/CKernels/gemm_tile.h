// The register tile of the matrix products, for any instruction set. The file that includes this one has included
// lanes.h and gemm_pack.h under its target attribute and says how many rows (CK_TILE_ROWS, in steps of CK_ROW_STEP) and
// vectors of 16 columns (CK_TILE_VECTORS) its registers hold, and how to `multiply_add` and, where it defines CK_PAIRS,
// to `multiply_pairs_add`.
#ifndef CKERNELS_GEMM_TILE_H
#define CKERNELS_GEMM_TILE_H

#include "gemm_kernels.h"

// Some pairs of cache lines of the memory that comes next, while there is any left.
CK_INLINE void fetch_ahead(ck_gemm_ahead *ahead) {
    for (ahead->due += ahead->rate; ahead->due >= 128; ahead->due -= 128) {
        if (ahead->at >= ahead->end) {
            if (ahead->rows == 0) return;
            ahead->rows--;
            ahead->end += ahead->pitch;
            ahead->at = ahead->end - ahead->width;
        }
        __builtin_prefetch(ahead->at, 0, 2);
        __builtin_prefetch(ahead->at + 64, 0, 2);
        ahead->at += 128;
    }
}

CK_INLINE void fetch_c(int R, const ck_gemm_tile *tile) {
    for (int r = 0; r < R; r++) {
        for (int line = 0; line < tile->c_lines; line++) {
            __builtin_prefetch(tile->c + r * tile->c_pitch + line * 64, 1, 3);
        }
    }
}

// One step: every row's element times all columns.
CK_INLINE void add_step(int R, int V, bool pairs, const uint32_t *a, const float *b,
                        ck_floats sums[CK_TILE_ROWS][CK_TILE_VECTORS]) {
    ck_floats columns[CK_TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) columns[v] = load(b + v * CK_LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        ck_words row = all_words((int32_t)a[r]);
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
#ifdef CK_PAIRS
            if (pairs) {
                sums[r][v] = multiply_pairs_add(row, (ck_words)columns[v], sums[r][v]);
                continue;
            }
#endif
            sums[r][v] = multiply_add((ck_floats)row, columns[v], sums[r][v]);
        }
    }
}

CK_INLINE void multiply_tile(int R, int V, bool pairs, const ck_gemm_tile *tile) {
    ck_floats sums[CK_TILE_ROWS][CK_TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) sums[r][v] = (ck_floats){0};
    }
    fetch_c(R, tile);
    const uint32_t *a = tile->a;
    const float *b = tile->b;
    int64_t steps = tile->steps;
    for (; steps >= CK_GEMM_LOOK; steps -= CK_GEMM_LOOK) {
        fetch_ahead(tile->ahead);
#pragma clang loop unroll(full)
        for (int i = 0; i < CK_GEMM_LOOK; i++) add_step(R, V, pairs, a + i * R, b + i * V * CK_LANES, sums);
        a += CK_GEMM_LOOK * R;
        b += CK_GEMM_LOOK * V * CK_LANES;
    }
    for (; steps > 0; steps--) {
        add_step(R, V, pairs, a, b, sums);
        a += R;
        b += V * CK_LANES;
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) store(tile->sums + r * CK_GEMM_MAX_COLUMNS + v * CK_LANES, sums[r][v]);
    }
}

// A whole tile is the usual case; at the lower and right edges are those of fewer rows or columns.
CK_INLINE void multiply_rows(int V, bool pairs, const ck_gemm_tile *tile) {
    if (tile->rows == CK_TILE_ROWS) {
        multiply_tile(CK_TILE_ROWS, V, pairs, tile);
    } else if (CK_TILE_ROWS > 2 * CK_ROW_STEP && tile->rows == 2 * CK_ROW_STEP) {
        multiply_tile(CK_TILE_ROWS > 2 * CK_ROW_STEP ? 2 * CK_ROW_STEP : 1, V, pairs, tile);
    } else {
        multiply_tile(CK_ROW_STEP, V, pairs, tile);
    }
}

CK_INLINE void multiply_columns(bool pairs, const ck_gemm_tile *tile) {
    if (tile->columns == CK_TILE_VECTORS * CK_LANES) {
        multiply_rows(CK_TILE_VECTORS, pairs, tile);
    } else {
        multiply_rows(1, pairs, tile);
    }
}

static void multiply_f32(const ck_gemm_tile *tile) { multiply_columns(false, tile); }

#ifdef CK_PAIRS
static void multiply_pairs(const ck_gemm_tile *tile) { multiply_columns(true, tile); }
#endif

#endif
