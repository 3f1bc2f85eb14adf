// Attention of one tile of queries, written once over vectors of 16 floats. A file for an instruction set
// includes this one and says:
//   CK_TILE_ROWS, CK_TILE_COLUMNS   the register tile: rows times vectors of sums
//   CK_PAIR_FLOATS                  how a pair of bf16 is kept in queries and probabilities: as it is, in the
//                                   place of 1 float, for instructions that take pairs, or as 2 floats
//   multiply_add(a, b, sum)         a b + sum, fused where the instruction set can
//   multiply_pairs(a, b, sum)       the same of both halves of bf16 pairs (CK_PAIR_FLOATS == 1 only)
//   store_pairs(destination, v)     16 floats as 8 bf16 pairs (CK_PAIR_FLOATS == 1 only)
//
// A row's arithmetic never depends on the rows beside it: each score is one sum along head_dim, and maxima,
// sums and results go on from key tile to key tile by position. What a row does not see counts as probability
// 0.
#ifndef CKERNELS_ATTENTION_TILE_H
#define CKERNELS_ATTENTION_TILE_H

#include <stdbool.h>

#include "attention_kernels.h"
#include "attention_lanes.h"

typedef int32_t __attribute__((may_alias)) ck_word;

// With this many register tiles or fewer a chunk waits for memory rather than for arithmetic.
#define CK_FETCHING_TILES 4

// The rows of one register tile and the key tile before them.
typedef struct row_tile {
    const ck_query_tile *tile;
    int64_t row;
    int rows;
    int64_t base;             // position of the key tile's first key
    int first_block;          // blocks that any of the rows sees
    int end_block;
    const unsigned char *blocks[CK_TILE_BLOCKS];
    const unsigned char *next_blocks[CK_TILE_BLOCKS];  // of the key tile after it, or any
    int first_fetch, end_fetch;  // this register tile's share, in CK_TILE_COLUMNS parts, of early fetches
    const float *q;           // [rows][padded head_dim]
    float *scores;            // [rows][CK_KEY_TILE], then the probabilities
    float *results;           // [rows][padded head_dim]
    ck_floats *denominators;  // [rows], in 16 lanes
    float *maxima;            // [rows], of the scores times log2(e)
    float rescale[CK_LANES];  // what older results are multiplied by
} row_tile;

// Sums of R rows and C vectors go on by one step: an element of each row's `a`, or a pair, times the vectors.
CK_INLINE void accumulate(int R, int C, bool pairs, ck_floats sums[][CK_TILE_COLUMNS],
                          const ck_words *vectors, const float *a, int64_t pitch) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        const float *element = a + r * pitch;
#pragma clang loop unroll(full)
        for (int c = 0; c < C; c++) {
            if (!pairs) {
                sums[r][c] = multiply_add((ck_floats)vectors[c], all_lanes(*element), sums[r][c]);
#if CK_PAIR_FLOATS == 1
            } else {
                ck_words two = all_words(*(const ck_word *)(const void *)element);
                sums[r][c] = multiply_pairs(two, vectors[c], sums[r][c]);
#else
            } else {
                ck_floats low = (ck_floats)(vectors[c] << 16);
                ck_floats high = (ck_floats)(vectors[c] & (int32_t)0xffff0000);
                sums[r][c] = multiply_add(low, all_lanes(element[0]), sums[r][c]);
                sums[r][c] = multiply_add(high, all_lanes(element[1]), sums[r][c]);
#endif
            }
        }
    }
}

CK_INLINE int step_floats(bool pairs) { return pairs ? CK_PAIR_FLOATS : 1; }

// Arithmetic and memory should work at the same time, so each step asks for a share of the next key tile: for
// the second-level cache, since the first has no room for it. All of it at once would only fill the queues.
CK_INLINE void fetch_early(const row_tile *rows, const unsigned char *const *blocks, int64_t offset) {
    for (int part = rows->first_fetch; part < rows->end_fetch; part++) {
        __builtin_prefetch(blocks[part] + offset, 0, 2);
    }
}

CK_INLINE void fetch_early_values(const row_tile *rows, const unsigned char *values) {
    for (int part = rows->first_fetch; part < rows->end_fetch; part++) {
        __builtin_prefetch(values + part * 64, 0, 2);
    }
}

// Scores of R rows with the keys of C blocks.
CK_INLINE void score(int R, int C, bool pairs, bool fetch, const row_tile *rows, int block) {
    int64_t steps = pairs ? rows->tile->head_dim / 2 : rows->tile->head_dim;
    int64_t pitch = ck_padded_dim(rows->tile->head_dim);
    ck_floats sums[CK_TILE_ROWS][CK_TILE_COLUMNS];
    const unsigned char *keys[CK_TILE_COLUMNS];
#pragma clang loop unroll(full)
    for (int c = 0; c < C; c++) {
        keys[c] = rows->blocks[block + c];
        for (int r = 0; r < R; r++) sums[r][c] = all_lanes(0);
    }
    const float *q = rows->q;
    for (int64_t step = 0; step < steps; step++) {
        ck_words vectors[CK_TILE_COLUMNS];
#pragma clang loop unroll(full)
        for (int c = 0; c < C; c++) {
            vectors[c] = *(const ck_words *)(const void *)(keys[c] + step * 64);
            // The values are as many bytes as the keys, and next.
        }
        if (fetch) fetch_early(rows, rows->next_blocks + block, step * 64);
        accumulate(R, C, pairs, sums, vectors, q + step * step_floats(pairs), pitch);
    }
    for (int r = 0; r < R; r++) {
        float *scores = rows->scores + r * CK_KEY_TILE + block * CK_LANES;
        for (int c = 0; c < C; c++) store(scores + c * CK_LANES, sums[r][c]);
    }
}

// Adds probabilities times values to results, for C vectors of dimensions from `dimension` on.
CK_INLINE void weigh(int R, int C, bool pairs, bool fetch, const row_tile *rows, int64_t column,
                     int64_t dimension) {
    int64_t head_dim = rows->tile->head_dim, pitch = ck_padded_dim(head_dim);
    int64_t steps = pairs ? CK_KV_BLOCK / 2 : CK_KV_BLOCK;
    ck_floats sums[CK_TILE_ROWS][CK_TILE_COLUMNS];
    float *results = rows->results + column;
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
        for (int c = 0; c < C; c++) sums[r][c] = load(results + r * pitch + c * CK_LANES) * rows->rescale[r];
    }
    for (int block = rows->first_block; block < rows->end_block; block++) {
        const unsigned char *values = rows->blocks[block] + rows->tile->values_offset + 4 * dimension;
        const unsigned char *next = rows->next_blocks[block] + rows->tile->values_offset + 4 * dimension;
        const float *p = rows->scores + block * steps * step_floats(pairs);
        for (int64_t step = 0; step < steps; step++) {
            ck_words vectors[CK_TILE_COLUMNS];
#pragma clang loop unroll(full)
            for (int c = 0; c < C; c++) {
                const unsigned char *source = values + step * 4 * head_dim + c * 64;
                // A head of fewer than 16 dimensions is the only one that has no whole vector.
                if (C == 1 && head_dim < CK_LANES) {
                    vectors[c] = (ck_words)load_part(source, head_dim, 0);
                } else {
                    vectors[c] = *(const ck_words *)(const void *)source;
                }
            }
            if (fetch) fetch_early_values(rows, next + step * 4 * head_dim);
            accumulate(R, C, pairs, sums, vectors, p + step * step_floats(pairs), CK_KEY_TILE);
        }
    }
    for (int r = 0; r < R; r++) {
        for (int c = 0; c < C; c++) store(results + r * pitch + c * CK_LANES, sums[r][c]);
    }
}

// The keys of this tile that a row sees, [first, end); none if end <= first.
typedef struct seen_keys {
    int64_t first, end;
} seen_keys;

CK_INLINE seen_keys keys_seen(const ck_query_tile *tile, int64_t row, int64_t base) {
    int64_t position = tile->position + row / tile->heads;
    int64_t end = position - base + 1, first = tile->window > 0 ? end - tile->window : 0;
    return (seen_keys){first > 0 ? first : 0, end < CK_KEY_TILE ? end : CK_KEY_TILE};
}

// The largest score of a row, after scores that it does not see became -infinity.
CK_INLINE float largest_score(const row_tile *rows, int r, seen_keys seen) {
    static const int32_t numbers[CK_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    float *scores = rows->scores + r * CK_KEY_TILE;
    ck_floats most = all_lanes(-INFINITY);
    for (int64_t block = rows->first_block; block < rows->end_block; block++) {
        int64_t at = block * CK_LANES;
        ck_floats s = load(scores + at);
        if (at < seen.first || at + CK_LANES > seen.end) {
            ck_words lane = *(const ck_words *)(const void *)numbers + (int32_t)at;
            s = choose(lane >= (int32_t)seen.first & lane < (int32_t)seen.end, s, all_lanes(-INFINITY));
            store(scores + at, s);
        }
        most = larger(s, most);
    }
    return largest_lane(most);
}

// A row's probabilities, not yet divided by their sum, in the place of its scores.
CK_INLINE void exponentiate(bool pairs, const row_tile *rows, int r, float factor, float most) {
    float *scores = rows->scores + r * CK_KEY_TILE;
    ck_floats sum = all_lanes(0);
    for (int64_t block = rows->first_block; block < rows->end_block; block++) {
        ck_floats s = load(scores + block * CK_LANES);
        ck_floats p = power_of_two(multiply_add(s, all_lanes(factor), all_lanes(-most)));
        sum += p;
        if (!pairs) {
            store(scores + block * CK_LANES, p);
        } else {
#if CK_PAIR_FLOATS == 1
            store_pairs(scores + block * (CK_LANES / 2), p);
#else
            store(scores + block * CK_LANES, rounded_to_bf16(p));
#endif
        }
    }
    rows->denominators[r] = multiply_add(rows->denominators[r], all_lanes(rows->rescale[r]), sum);
}

// Turns scores into probabilities, raises the rows' maxima, and says by how much older sums shrink.
CK_INLINE void soften(bool pairs, row_tile *rows) {
    float factor = rows->tile->scale * 1.44269504f;
    float most[CK_LANES] = {0}, change[CK_LANES] = {0};
    for (int r = 0; r < rows->rows; r++) {
        seen_keys seen = keys_seen(rows->tile, rows->row + r, rows->base);
        float largest = largest_score(rows, r, seen) * factor;
        if (!(largest > rows->maxima[r])) largest = rows->maxima[r];
        // As long as a row has seen nothing its maximum is -infinity, of which no difference can be taken.
        most[r] = largest > -INFINITY ? largest : 0;
        change[r] = rows->maxima[r] - most[r];
        rows->maxima[r] = largest;
    }
    store(rows->rescale, power_of_two(load(change)));
    for (int r = 0; r < rows->rows; r++) exponentiate(pairs, rows, r, factor, most[r]);
}

CK_INLINE void attend_rows(int R, bool pairs, row_tile *rows) {
    int block = rows->first_block;
    for (; block + CK_TILE_COLUMNS <= rows->end_block; block += CK_TILE_COLUMNS) {
        if (rows->first_fetch < rows->end_fetch) {
            score(R, CK_TILE_COLUMNS, pairs, true, rows, block);
        } else {
            score(R, CK_TILE_COLUMNS, pairs, false, rows, block);
        }
    }
    for (; block < rows->end_block; block++) score(R, 1, pairs, false, rows, block);
    soften(pairs, rows);
    int64_t head_dim = rows->tile->head_dim, column = 0;
    for (; column + CK_TILE_COLUMNS * CK_LANES <= head_dim; column += CK_TILE_COLUMNS * CK_LANES) {
        if (rows->first_fetch < rows->end_fetch) {
            weigh(R, CK_TILE_COLUMNS, pairs, true, rows, column, column);
        } else {
            weigh(R, CK_TILE_COLUMNS, pairs, false, rows, column, column);
        }
    }
    for (; column < head_dim; column += CK_LANES) {
        // The last vector of an odd head_dim reaches back, so that it does not read beyond the row.
        int64_t last = head_dim > CK_LANES ? head_dim - CK_LANES : 0;
        weigh(R, 1, pairs, false, rows, column, column < last ? column : last);
    }
}

CK_INLINE void attend_some_rows(bool pairs, row_tile *rows) {
    switch (rows->rows) {
    case 1: attend_rows(1, pairs, rows); break;
    case 2: attend_rows(2, pairs, rows); break;
#if CK_TILE_ROWS > 2
    case 3: attend_rows(3, pairs, rows); break;
    case 4: attend_rows(4, pairs, rows); break;
#endif
#if CK_TILE_ROWS > 4
    case 5: attend_rows(5, pairs, rows); break;
    case 6: attend_rows(6, pairs, rows); break;
#endif
    }
}

CK_INLINE void prepare_queries(bool pairs, const ck_query_tile *tile, float *q) {
    int64_t pitch = ck_padded_dim(tile->head_dim);
    for (int64_t row = 0; row < tile->queries * tile->heads; row++, q += pitch) {
        const float *source = tile->q + row / tile->heads * tile->ldq + row % tile->heads * tile->head_dim;
        for (int64_t at = 0; at < tile->head_dim; at += CK_LANES) {
            int64_t left = tile->head_dim - at;
            ck_floats v = left < CK_LANES ? load_part(source + at, left, 0) : load(source + at);
            if (!pairs) {
                store(q + at, v);
            } else {
#if CK_PAIR_FLOATS == 1
                store_pairs(q + at / 2, v);
#else
                store(q + at, rounded_to_bf16(v));
#endif
            }
        }
    }
}

CK_INLINE void finish(const ck_query_tile *tile, const float *results, const ck_floats *denominators) {
    int64_t head_dim = tile->head_dim, pitch = ck_padded_dim(head_dim);
    for (int64_t row = 0; row < tile->queries * tile->heads; row++, results += pitch) {
        float *out = tile->out + row / tile->heads * tile->ldo + row % tile->heads * head_dim;
        float sum = sum_of_lanes(denominators[row]);
        if (head_dim < CK_LANES) {
            store_part(out, head_dim, load(results) / sum);
            continue;
        }
        for (int64_t column = 0; column < head_dim; column += CK_LANES) {
            int64_t dimension = column + CK_LANES <= head_dim ? column : head_dim - CK_LANES;
            store(out + dimension, load(results + column) / sum);
        }
    }
}

// Sets the blocks of the key tile that the register tile sees. False: none.
CK_INLINE bool see(row_tile *rows) {
    seen_keys first = keys_seen(rows->tile, rows->row, rows->base);
    seen_keys last = keys_seen(rows->tile, rows->row + rows->rows - 1, rows->base);
    if (last.end <= 0 || first.first >= CK_KEY_TILE) return false;
    rows->first_block = (int)(first.first / CK_KV_BLOCK);
    rows->end_block = (int)((last.end + CK_KV_BLOCK - 1) / CK_KV_BLOCK);
    return true;
}

// Finds the blocks of the key tile at rows->base and of the one after it. Blocks before `start`, which no
// query of the tile sees, may have been given back: their numbers mean nothing.
CK_INLINE void find_blocks(row_tile *rows, int64_t start, int64_t end) {
    const ck_query_tile *tile = rows->tile;
    const int32_t *numbers = tile->block_table + rows->base / CK_KV_BLOCK;
    int64_t first = start > rows->base ? (start - rows->base) / CK_KV_BLOCK : 0;
    for (int64_t i = first; i < CK_TILE_BLOCKS && rows->base + i * CK_KV_BLOCK < end; i++) {
        int64_t later = rows->base + CK_KEY_TILE + i * CK_KV_BLOCK < end ? i + CK_TILE_BLOCKS : i;
        rows->blocks[i] = tile->blocks + (size_t)numbers[i] * tile->block_bytes;
        rows->next_blocks[i] = tile->blocks + (size_t)numbers[later] * tile->block_bytes;
    }
}

CK_INLINE void attend(bool pairs, const ck_query_tile *tile) {
    int64_t count = tile->queries * tile->heads, pitch = ck_padded_dim(tile->head_dim);
    float *q = tile->scratch;
    float *results = q + CK_ATTENTION_ROWS * pitch;
    ck_floats *denominators = (ck_floats *)(void *)(results + CK_ATTENTION_ROWS * pitch);
    float *scores = (float *)(void *)(denominators + CK_ATTENTION_ROWS);
    float *maxima = scores + CK_MAX_TILE_ROWS * CK_KEY_TILE;
    prepare_queries(pairs, tile, q);
    memset(results, 0, (size_t)(count * pitch) * sizeof(float));
    memset(denominators, 0, (size_t)count * sizeof(ck_floats));
    for (int64_t row = 0; row < count; row++) maxima[row] = -INFINITY;

    int64_t end = tile->position + tile->queries;
    int64_t start = tile->window > 0 ? tile->position - tile->window + 1 : 0;
    if (start < 0) start = 0;
    int64_t tiles = (count + CK_TILE_ROWS - 1) / CK_TILE_ROWS;
    int64_t fetches = tiles <= CK_FETCHING_TILES ? CK_TILE_COLUMNS : 0;
    row_tile rows = {.tile = tile, .scores = scores};
    for (rows.base = start / CK_KEY_TILE * CK_KEY_TILE; rows.base < end; rows.base += CK_KEY_TILE) {
        find_blocks(&rows, start, end);
        for (int64_t i = 0; i < tiles; i++) {
            rows.row = count * i / tiles;
            rows.rows = (int)(count * (i + 1) / tiles - rows.row);
            rows.first_fetch = (int)(fetches * i / tiles);
            rows.end_fetch = (int)(fetches * (i + 1) / tiles);
            rows.q = q + rows.row * pitch;
            rows.results = results + rows.row * pitch;
            rows.denominators = denominators + rows.row;
            rows.maxima = maxima + rows.row;
            if (see(&rows)) attend_some_rows(pairs, &rows);
        }
    }
    finish(tile, results, denominators);
}

static void attend_f32(const ck_query_tile *tile) { attend(false, tile); }

static void attend_bf16(const ck_query_tile *tile) { attend(true, tile); }

#endif
