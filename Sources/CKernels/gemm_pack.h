// Packing operands and finishing results: what the matrix products do to each element once, for any instruction set.
// The file that includes this one has included lanes.h under its target attribute; where it defines CK_PAIRS, it says
// how floats become pairs of bf16 (`pairs_along`, `pairs_across`).
#ifndef CKERNELS_GEMM_PACK_H
#define CKERNELS_GEMM_PACK_H

#include "gemm_kernels.h"

typedef int16_t ck_half_words __attribute__((vector_size(32), aligned(2), may_alias));
typedef int32_t ck_pair_words __attribute__((vector_size(8), aligned(4), may_alias));
typedef int32_t ck_quad __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t ck_octet __attribute__((vector_size(32), aligned(4), may_alias));

// Bits of floats, with the nearest bf16 (ties to even, NaN quiet) in the upper halves; the lower ones are rubbish.
CK_INLINE ck_words nearest_bf16(ck_words bits) {
    ck_words rounded = bits + 0x7fff + ((bits >> 16) & 1);
    ck_words is_nan = (bits & 0x7fffffff) > 0x7f800000;
    return (is_nan & (bits | 0x400000)) | (~is_nan & rounded);
}

CK_INLINE ck_words load_words(const void *source) { return *(const ck_words *)source; }

CK_INLINE ck_words widened(const void *source) {
    return __builtin_convertvector(*(const ck_half_words *)source, ck_words) << 16;
}

CK_INLINE void store_halves(void *destination, ck_words upper) {
    *(ck_half_words *)destination = __builtin_convertvector(upper >> 16, ck_half_words);
}

// What makes one packed vector out of memory, known to the compiler.
typedef enum ck_recipe {
    FLOATS_OF_F32,
    FLOATS_OF_BF16,
    ROUNDED_OF_F32,
    PAIRS_OF_F32,
    PAIRS_OF_BF16,
} ck_recipe;

CK_INLINE ck_recipe recipe_of(const ck_gemm_strips *strips) {
    if (strips->format == CK_GEMM_PAIRS) return strips->type == CK_F32 ? PAIRS_OF_F32 : PAIRS_OF_BF16;
    if (strips->type == CK_BF16) return FLOATS_OF_BF16;
    return strips->format == CK_GEMM_FLOATS ? FLOATS_OF_F32 : ROUNDED_OF_F32;
}

CK_INLINE int recipe_bytes(ck_recipe recipe) { return recipe == FLOATS_OF_BF16 || recipe == PAIRS_OF_BF16 ? 2 : 4; }

CK_INLINE bool makes_pairs(ck_recipe recipe) { return recipe == PAIRS_OF_F32 || recipe == PAIRS_OF_BF16; }

// Sixteen elements, each by itself.
CK_INLINE ck_words sixteen(ck_recipe recipe, const unsigned char *source) {
    if (recipe == FLOATS_OF_BF16) return widened(source);
    if (recipe == ROUNDED_OF_F32) return nearest_bf16(load_words(source)) & (int32_t)0xffff0000;
    return load_words(source);
}

// Sixteen steps of one lane from where k is contiguous.
CK_INLINE ck_words steps_along(ck_recipe recipe, const unsigned char *source) {
#ifdef CK_PAIRS
    if (recipe == PAIRS_OF_BF16) return load_words(source);
    if (recipe == PAIRS_OF_F32) return pairs_along(load_words(source), load_words(source + 64));
#endif
    return sixteen(recipe, source);
}

// The same, where only `count` elements are left; zeros follow.
CK_INLINE ck_words steps_along_part(ck_recipe recipe, const unsigned char *source, int64_t count) {
    unsigned char filled[128] = {0};
    memcpy(filled, source, (size_t)(count * recipe_bytes(recipe)));
    return steps_along(recipe, filled);
}

// Sixteen steps of four lanes as quads, four lanes of a step each: quad q % 4, part q / 4, is of step q.
CK_INLINE void transpose_quads(const ck_words rows[4], ck_words quads[4]) {
    ck_words a = __builtin_shufflevector(rows[0], rows[1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    ck_words b = __builtin_shufflevector(rows[0], rows[1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    ck_words c = __builtin_shufflevector(rows[2], rows[3], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    ck_words d = __builtin_shufflevector(rows[2], rows[3], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    quads[0] = __builtin_shufflevector(a, c, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    quads[1] = __builtin_shufflevector(a, c, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    quads[2] = __builtin_shufflevector(b, d, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    quads[3] = __builtin_shufflevector(b, d, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

// Bytes in a row that are fetched ahead: rows are streams too short for the hardware to notice.
#define BYTES_AHEAD 512

// `blocks` times sixteen steps of four whole lanes.
CK_INLINE void pack_quads(ck_recipe recipe, const unsigned char *source, int64_t pitch, int64_t blocks, int32_t *packed,
                          int64_t width) {
    const int64_t bytes = recipe_bytes(recipe) * (makes_pairs(recipe) ? 32 : 16);
    for (; blocks > 0; blocks--, source += bytes, packed += 16 * width) {
        ck_words rows[4], quads[4];
#pragma clang loop unroll(full)
        for (int i = 0; i < 4; i++) {
            __builtin_prefetch(source + i * pitch + BYTES_AHEAD);
            if (bytes > 64) __builtin_prefetch(source + i * pitch + BYTES_AHEAD + 64);
            rows[i] = steps_along(recipe, source + i * pitch);
        }
        transpose_quads(rows, quads);
#pragma clang loop unroll(full)
        for (int q = 0; q < 4; q++) {
            ck_words v = quads[q];
            *(ck_quad *)(packed + q * width) = __builtin_shufflevector(v, v, 0, 1, 2, 3);
            *(ck_quad *)(packed + (q + 4) * width) = __builtin_shufflevector(v, v, 4, 5, 6, 7);
            *(ck_quad *)(packed + (q + 8) * width) = __builtin_shufflevector(v, v, 8, 9, 10, 11);
            *(ck_quad *)(packed + (q + 12) * width) = __builtin_shufflevector(v, v, 12, 13, 14, 15);
        }
    }
}

// The same at the edges: at most `count` elements of at most four lanes, of which `lanes` are in memory and `kept` in
// the strip.
CK_INLINE void pack_edge(ck_recipe recipe, const unsigned char *source, int64_t pitch, int64_t count, int64_t lanes,
                         int64_t kept, int32_t *packed, int64_t width) {
    ck_words rows[4], quads[4];
    for (int i = 0; i < 4; i++) {
        rows[i] = i < lanes ? steps_along_part(recipe, source + i * pitch, count) : (ck_words){0};
    }
    transpose_quads(rows, quads);
    int64_t steps = makes_pairs(recipe) ? (count + 1) / 2 : count;
    for (int64_t s = 0; s < steps; s++) {
        const int32_t *quad = (const int32_t *)&quads[s % 4] + s / 4 * 4;
        for (int64_t lane = 0; lane < kept; lane++) packed[s * width + lane] = quad[lane];
    }
}

// One strip of `width` lanes, of which `lanes` are in memory, each with its k in one row. A few steps of all lanes at a
// time, so that what is written stays in the first-level cache meanwhile.
CK_INLINE void pack_along(ck_recipe recipe, const ck_gemm_strips *strips, const unsigned char *source, int64_t lanes,
                          int64_t width, int32_t *packed) {
    const int64_t block = makes_pairs(recipe) ? 32 : 16, bytes = recipe_bytes(recipe);
    for (int64_t k = 0, count; k < strips->k; k += count) {
        int64_t blocks = (strips->k - k) / block;
        if (blocks > 8) blocks = 8;
        count = blocks > 0 ? blocks * block : strips->k - k;
        for (int64_t first = 0; first < width; first += 4) {
            const unsigned char *from = source + first * strips->pitch + k * bytes;
            if (blocks > 0 && first + 4 <= width && first + 4 <= lanes) {
                pack_quads(recipe, from, strips->pitch, blocks, packed + first, width);
                continue;
            }
            int64_t kept = width - first < 4 ? width - first : 4;
            for (int64_t at = 0; at < count; at += block) {
                int64_t some = count - at < block ? count - at : block;
                int64_t step = makes_pairs(recipe) ? at / 2 : at;
                pack_edge(recipe, from + at * bytes, strips->pitch, some, lanes - first, kept,
                          packed + step * width + first, width);
            }
        }
        packed += (makes_pairs(recipe) ? (count + 1) / 2 : count) * width;
    }
}

// At most 16 lanes of an element of k, or none past the end of k; zeros fill up.
CK_INLINE ck_words lanes_across(ck_recipe recipe, const unsigned char *source, int64_t lanes) {
    if (lanes >= 16) return sixteen(recipe, source);
    unsigned char filled[64] = {0};
    if (lanes > 0) memcpy(filled, source, (size_t)(lanes * recipe_bytes(recipe)));
    return sixteen(recipe, filled);
}

// One step of at most 16 lanes, from rows in which lanes are contiguous.
CK_INLINE ck_words step_across(ck_recipe recipe, const unsigned char *source, int64_t pitch, int64_t lanes, bool odd) {
#ifdef CK_PAIRS
    if (makes_pairs(recipe)) {
        bool rounds = recipe == PAIRS_OF_F32;
        ck_recipe each = rounds ? FLOATS_OF_F32 : FLOATS_OF_BF16;
        ck_words first = lanes_across(each, source, lanes);
        ck_words second = odd ? (ck_words){0} : lanes_across(each, source + pitch, lanes);
        return rounds ? pairs_across(first, second) : (((first >> 16) & 0xffff) | second);
    }
#endif
    return lanes_across(recipe, source, lanes);
}

// The first lanes, an even number of them.
CK_INLINE void store_lanes(int32_t *to, ck_words words, int64_t count) {
    if (count >= 16) {
        *(ck_words *)to = words;
        return;
    }
    ck_octet eight = __builtin_shufflevector(words, words, 0, 1, 2, 3, 4, 5, 6, 7);
    if (count & 8) {
        *(ck_octet *)to = eight;
        eight = __builtin_shufflevector(words, words, 8, 9, 10, 11, 12, 13, 14, 15);
        to += 8;
    }
    ck_quad four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3);
    if (count & 4) {
        *(ck_quad *)to = four;
        four = __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
        to += 4;
    }
    if (count & 2) *(ck_pair_words *)to = __builtin_shufflevector(four, four, 0, 1);
}

// Elements of k that are fetched ahead.
#define ROWS_AHEAD 16

// One step of a strip of `width` lanes, of which `lanes` are in memory.
CK_INLINE void pack_step(ck_recipe recipe, const unsigned char *source, int64_t pitch, int64_t lanes, bool odd,
                         int32_t *packed, int64_t width) {
    for (int64_t first = 0; first < width; first += 16) {
        const unsigned char *from = source + first * recipe_bytes(recipe);
        __builtin_prefetch(from + ROWS_AHEAD * pitch);
        if (makes_pairs(recipe)) __builtin_prefetch(from + (ROWS_AHEAD + 1) * pitch);
        store_lanes(packed + first, step_across(recipe, from, pitch, lanes - first, odd), width - first);
    }
}

// All strips: the rows of k are read from end to end, since a strip's share of one may be less than a cache line.
CK_INLINE void pack_across(ck_recipe recipe, const ck_gemm_strips *strips, int64_t width) {
    const int64_t block = makes_pairs(recipe) ? 2 : 1, bytes = recipe_bytes(recipe), pitch = strips->pitch;
    const int64_t lanes = strips->lanes, strip_bytes = strips->strip_bytes;
    for (int64_t k = 0, s = strips->first_step; k < strips->k; k += block, s++) {
        const unsigned char *source = strips->source + k * pitch;
        bool odd = k + block > strips->k;
        unsigned char *packed = strips->packed;
        int64_t lane = 0;
        // Vectors of 16 lanes reach beyond narrower strips, but not beyond the row.
        for (; lane + (width + 15) / 16 * 16 <= lanes; lane += width, packed += strip_bytes) {
            int32_t *to = (int32_t *)(void *)packed + s * width;
            pack_step(recipe, source + lane * bytes, pitch, 16 * 16, odd, to, width);
        }
        for (; lane < lanes; lane += width, packed += strip_bytes) {
            int64_t left = lanes - lane, some = width;
            if (left < width) some = (left + strips->step - 1) / strips->step * strips->step;
            int32_t *to = (int32_t *)(void *)packed + s * some;
            pack_step(recipe, source + lane * bytes, pitch, left, odd, to, some);
        }
    }
}

CK_INLINE void pack_by(ck_recipe recipe, const ck_gemm_strips *strips) {
    if (!strips->k_contiguous) {
        if (strips->width == CK_TILE_ROWS) {
            pack_across(recipe, strips, CK_TILE_ROWS);
        } else {
            pack_across(recipe, strips, CK_TILE_VECTORS * CK_LANES);
        }
        return;
    }
    unsigned char *packed = strips->packed;
    for (int64_t lane = 0; lane < strips->lanes; lane += strips->width, packed += strips->strip_bytes) {
        int64_t left = strips->lanes - lane, width = strips->width;
        if (left < width) width = (left + strips->step - 1) / strips->step * strips->step;
        int32_t *to = (int32_t *)(void *)packed + strips->first_step * width;
        const unsigned char *from = strips->source + lane * strips->pitch;
        // Widths that the compiler knows, for the usual strips.
        if (width == CK_TILE_ROWS) {
            pack_along(recipe, strips, from, left, CK_TILE_ROWS, to);
        } else if (width == CK_TILE_VECTORS * CK_LANES) {
            pack_along(recipe, strips, from, left, CK_TILE_VECTORS * CK_LANES, to);
        } else {
            pack_along(recipe, strips, from, left, width, to);
        }
    }
}

static void pack_strips(const ck_gemm_strips *strips) {
    switch (recipe_of(strips)) {
    case FLOATS_OF_F32: pack_by(FLOATS_OF_F32, strips); break;
    case FLOATS_OF_BF16: pack_by(FLOATS_OF_BF16, strips); break;
    case ROUNDED_OF_F32: pack_by(ROUNDED_OF_F32, strips); break;
#ifdef CK_PAIRS
    case PAIRS_OF_F32: pack_by(PAIRS_OF_F32, strips); break;
    case PAIRS_OF_BF16: pack_by(PAIRS_OF_BF16, strips); break;
#endif
    default: break;
    }
}

// Results.

// `count` columns, at most 16; the compiler sees where it is 16.
CK_INLINE void finish_columns(const ck_gemm_finish *finish, int r, int c, int count) {
    ck_floats value = load(finish->sums + r * CK_GEMM_MAX_COLUMNS + c) * finish->alpha;
    if (finish->bias != NULL) {
        value += count == 16 ? load(finish->bias + c) : load_part(finish->bias + c, count, 0);
    }
    if (finish->addend != NULL) {
        ck_recipe kind = finish->addend_type == CK_BF16 ? FLOATS_OF_BF16 : FLOATS_OF_F32;
        const unsigned char *addend = finish->addend + r * finish->addend_pitch + c * recipe_bytes(kind);
        value = (ck_floats)lanes_across(kind, addend, count) + value;
    }
    unsigned char *result = finish->result + r * finish->result_pitch;
    if (finish->result_type == CK_F32) {
        if (count == 16) {
            store(result + 4 * c, value);
        } else {
            store_part(result + 4 * c, count, value);
        }
        return;
    }
    ck_words words = nearest_bf16((ck_words)value);
    if (count == 16) {
        store_halves(result + 2 * c, words);
    } else {
        int16_t halves[16];
        store_halves(halves, words);
        memcpy(result + 2 * c, halves, (size_t)count * sizeof(int16_t));
    }
}

static void finish_tile(const ck_gemm_finish *finish) {
    for (int r = 0; r < finish->rows; r++) {
        int c = 0;
        for (; c + 16 <= finish->columns; c += 16) finish_columns(finish, r, c, 16);
        int left = finish->columns - c;
        // Half a vector is what a product of low rank leaves over.
        if (left == 8) {
            finish_columns(finish, r, c, 8);
        } else if (left > 0) {
            finish_columns(finish, r, c, left);
        }
    }
}

#endif
