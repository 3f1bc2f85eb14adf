// Products with the tile registers of AMX, which take BF16 and 8-bit weights as they lie in their panels: 16 steps
// of 16 columns are a tile. Here blocks have 16 rows, packed one after the other as tiles want them.
//
// Not exercised on machines without AMX: there the tests leave it out. A row's sums grow along k one after the
// other as everywhere (Intel's manual, TDPBF16PS), so a row does not depend on its neighbors here either.

#if defined(__x86_64__)

#include <immintrin.h>

#include "linear_kernels.h"

#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(                                                                                  \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,amx-tile,"  \
                          "amx-bf16,amx-int8"))),                                                              \
    apply_to = function)

#include "linear_rows.h"

#define TILE_STEPS 16

// The shapes of the tiles, as LDTILECFG reads them.
typedef struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

// Tiles 0 to 2 are sums, one for each vector of columns; 3 is activations, 4 to 6 are weights.
static void shape_tiles(int rows, int steps) {
    _Alignas(64) tile_shapes shapes = {.palette = 1};
    for (int v = 0; v < 3; v++) {
        shapes.rows[v] = (uint8_t)rows;
        shapes.row_bytes[v] = 64;
        shapes.rows[4 + v] = (uint8_t)steps;
        shapes.row_bytes[4 + v] = 64;
    }
    shapes.rows[3] = (uint8_t)rows;
    shapes.row_bytes[3] = (uint16_t)(4 * steps);
    _tile_loadconfig(&shapes);
}

// Loads or stores the sums of V vectors of columns.
#define CK_TILE_SUMS(operation, sums, pitch)                                       \
    operation(0, sums, (size_t)(pitch) * 4);                                       \
    if (width > 16) operation(1, sums + 16, (size_t)(pitch) * 4);                  \
    if (width > 32) operation(2, sums + 32, (size_t)(pitch) * 4)

// `count` times as many steps as the tiles are shaped for, on sums that are in the tiles.
#define CK_TILE_PRODUCTS(operation, count, steps)                                  \
    for (int64_t i = 0; i < (count); i++) {                                        \
        _tile_loadd(3, row, (size_t)tile->row_bytes);                              \
        _tile_loadd(4, weights, (size_t)width * 4);                                \
        operation(0, 3, 4);                                                        \
        if (width > 16) {                                                          \
            _tile_loadd(5, weights + 64, (size_t)width * 4);                       \
            operation(1, 3, 5);                                                    \
        }                                                                          \
        if (width > 32) {                                                          \
            _tile_loadd(6, weights + 128, (size_t)width * 4);                      \
            operation(2, 3, 6);                                                    \
        }                                                                          \
        row += 4 * (steps);                                                        \
        weights += 4 * (steps) * width;                                            \
    }

static void multiply_bf16(const ck_tile *tile) {
    const int width = tile->width;
    const int64_t steps = (tile->count + 1) / 2;
    const unsigned char *row = tile->rows_packed, *weights = tile->weights;
    for (int r = 0; r < tile->rows && !tile->continues; r++) {
        memset(tile->sums + r * tile->pitch, 0, sizeof(float) * (size_t)width);
    }
    if (steps >= TILE_STEPS) {
        shape_tiles(tile->rows, TILE_STEPS);
        CK_TILE_SUMS(_tile_loadd, tile->sums, tile->pitch);
        CK_TILE_PRODUCTS(_tile_dpbf16ps, steps / TILE_STEPS, TILE_STEPS)
        CK_TILE_SUMS(_tile_stored, tile->sums, tile->pitch);
    }
    const int rest = (int)(steps % TILE_STEPS);
    if (rest > 0) {
        shape_tiles(tile->rows, rest);
        CK_TILE_SUMS(_tile_loadd, tile->sums, tile->pitch);
        CK_TILE_PRODUCTS(_tile_dpbf16ps, 1, rest)
        CK_TILE_SUMS(_tile_stored, tile->sums, tile->pitch);
    }
    _tile_release();
}

// Adds the corrections for the zero points to a group's integer sums, and the scaled result to the sums of all.
static void end_group(const ck_tile *tile, int64_t g, int32_t products[CK_MAX_BLOCK][CK_PANEL]) {
    for (int r = 0; r < tile->rows; r++) {
        int32_t correction = tile->row_corrections[g * tile->rows + r];
        float row_scale = tile->row_scales[g * tile->rows + r], *sums = tile->sums + r * tile->pitch;
        for (int c = 0; c < tile->width; c++) {
            int32_t zero = tile->zeros == NULL ? 1 : tile->zeros[g * tile->width + c];
            float scale = tile->scales[g * tile->width + c] * row_scale;
            float before = g == 0 && !tile->continues ? 0 : sums[c];
            sums[c] = __builtin_fmaf((float)(products[r][c] + correction * zero), scale, before);
        }
    }
}

// One group, whose weights are bytes. `shaped` is the number of steps the tiles have, which changes at the end of k
// at most.
static void multiply_group(const ck_tile *tile, int64_t g, const unsigned char *weights, int64_t steps,
                           int *shaped) {
    const int width = tile->width;
    const unsigned char *row = tile->rows_packed + g * tile->group;
    int32_t products[CK_MAX_BLOCK][CK_PANEL] = {0};
    while (steps > 0) {
        const int some = steps < TILE_STEPS ? (int)steps : TILE_STEPS;
        if (*shaped != some) shape_tiles(tile->rows, some);
        *shaped = some;
        CK_TILE_SUMS(_tile_loadd, products[0], CK_PANEL);
        CK_TILE_PRODUCTS(_tile_dpbsud, steps / some, some)
        CK_TILE_SUMS(_tile_stored, products[0], CK_PANEL);
        steps %= some;
    }
    end_group(tile, g, products);
}

static void clear_if_empty(const ck_tile *tile) {
    for (int r = 0; r < tile->rows && tile->count == 0 && !tile->continues; r++) {
        memset(tile->sums + r * tile->pitch, 0, sizeof(float) * (size_t)tile->width);
    }
}

static void multiply_int8(const ck_tile *tile) {
    clear_if_empty(tile);
    int shaped = 0;
    for (int64_t g = 0; g * tile->group < tile->count; g++) {
        int64_t start = g * tile->group, steps = (smaller(tile->group, tile->count - start) + 3) / 4;
        multiply_group(tile, g, tile->weights + start * tile->width, steps, &shaped);
    }
    _tile_release();
}

// The codes of a group are unpacked first: for 16 rows that is soon paid for.
static void multiply_int4(const ck_tile *tile) {
    clear_if_empty(tile);
    _Alignas(64) uint8_t codes[128 * CK_PANEL];
    int shaped = 0;
    const int64_t line = 4 * tile->width;
    for (int64_t g = 0; g * tile->group < tile->count; g++) {
        int64_t start = g * tile->group, pairs = (smaller(tile->group, tile->count - start) + 7) / 8;
        const unsigned char *packed = tile->weights + start / 2 * tile->width;
        for (int64_t s = 0; s < pairs; s++) {
            for (int64_t i = 0; i < line; i++) {
                codes[2 * s * line + i] = packed[s * line + i] & 15;
                codes[(2 * s + 1) * line + i] = packed[s * line + i] >> 4;
            }
        }
        multiply_group(tile, g, codes, 2 * pairs, &shaped);
    }
    _tile_release();
}

// Rows as they come, in bf16; an odd k gets a zero.
static void pack_rows_bf16(const ck_block *block) {
    for (int r = 0; r < block->rows; r++) {
        unsigned char *packed = block->packed + r * block->row_bytes;
        const float *x = block->x + r * block->stride + block->from;
        ck_from_f32(CK_BF16, x, packed + 2 * block->from, block->end - block->from);
        if (block->end % 2 != 0) memset(packed + 2 * block->end, 0, 2);
    }
}

static void pack_rows_codes(const ck_block *block) {
    ck_int8_span span;
    memset(span.scales, 0, sizeof span.scales);
    for (int64_t at = block->from; at < block->end; at += CK_SPAN) {
        int64_t count = smaller(CK_SPAN, block->end - at);
        quantize_int8(block->x + at, block->stride, block->rows, count, block->group, &span);
        store_scales(block, at, count, &span);
        for (int r = 0; r < block->rows; r++) {
            memcpy(block->packed + r * block->row_bytes + at, span.codes[r], (size_t)((count + 7) / 8 * 8));
        }
    }
}

#pragma clang attribute pop

const ck_linear_kernels ck_linear_amx = {
    .block_rows = {8, 16, 8, 16, 16},
    .row_major = {false, true, false, true, true},
    .packed_bytes = {4, 2, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16, pack_rows_f32, pack_rows_codes, pack_rows_codes},
    .multiply = {ck_multiply_f32_avx512, multiply_bf16, ck_multiply_f16_avx512, multiply_int8, multiply_int4},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = ck_widen_avx512_bf16,
};

#endif
