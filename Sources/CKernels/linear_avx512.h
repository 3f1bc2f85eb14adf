// What the AVX-512 kernels share: tiles of 1 to 8 rows and 1 to 3 vectors of 16 columns, each compiled of its own.
#ifndef CKERNELS_LINEAR_AVX512_H
#define CKERNELS_LINEAR_AVX512_H

#include "linear_rows.h"

CK_INLINE void begin_tile(int R, int V, const ck_tile *tile, __m512 sums[8][3]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) {
            sums[r][v] = tile->continues ? _mm512_loadu_ps(tile->sums + r * tile->pitch + v * 16)
                                         : _mm512_setzero_ps();
        }
    }
}

CK_INLINE void end_tile(int R, int V, const ck_tile *tile, __m512 sums[8][3]) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < V; v++) _mm512_storeu_ps(tile->sums + r * tile->pitch + v * 16, sums[r][v]);
    }
}

// Defines the function name(tile), which calls kernel(R, V, tile) with R and V known to the compiler.
#define CK_TILE_CASE(kernel, R)                              \
    case R:                                                  \
        if (tile->width == 48) {                             \
            kernel(R, 3, tile);                              \
        } else if (tile->width == 32) {                      \
            kernel(R, 2, tile);                              \
        } else {                                             \
            kernel(R, 1, tile);                              \
        }                                                    \
        break;

#define CK_TILES(linkage, name, kernel)                      \
    linkage void name(const ck_tile *tile) {                 \
        switch (tile->rows) {                                \
            CK_TILE_CASE(kernel, 1)                          \
            CK_TILE_CASE(kernel, 2)                          \
            CK_TILE_CASE(kernel, 3)                          \
            CK_TILE_CASE(kernel, 4)                          \
            CK_TILE_CASE(kernel, 5)                          \
            CK_TILE_CASE(kernel, 6)                          \
            CK_TILE_CASE(kernel, 7)                          \
            CK_TILE_CASE(kernel, 8)                          \
        }                                                    \
    }

#endif
