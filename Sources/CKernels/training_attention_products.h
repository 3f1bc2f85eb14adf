// Products of small matrices for training's attention, and the packing of what they multiply. A matrix in
// registers gets R rows times C vectors of sums; for each step of the sums, elements of the left operand are
// spread over vectors and multiplied with vectors of the right one.
//   left operands:   [rows][steps] floats, or pairs of bf16 in the place of a float
//   right operands:  vectors by step; packed ones in blocks of 16 columns, [column / 16][step][16]
// An instruction set's file says what CK_TILE_ROWS (even), CK_TILE_COLUMNS and multiply_add are, and defines
// CK_PAIRS as 1 if it has multiply_pairs, store_pairs, joined and interleaved for bf16; others get floats of bf16
// precision.
#ifndef CKERNELS_TRAINING_ATTENTION_PRODUCTS_H
#define CKERNELS_TRAINING_ATTENTION_PRODUCTS_H

#include <stdbool.h>

#include "attention_lanes.h"
#include "training_attention_kernels.h"

#define CK_APART static __attribute__((noinline))

typedef int32_t __attribute__((may_alias)) ck_word;
// Sixteen bf16.
typedef uint16_t ck_halves __attribute__((vector_size(32), aligned(2), may_alias));

typedef struct tile_product {
    int64_t rows;     // even
    int64_t columns;  // vectors
    int64_t steps;
    const float *a;
    int64_t a_pitch;
    const float *b;
    int64_t b_step, b_column;  // from step to step, and from vector to vector
    float *c;
    int64_t c_pitch;
} tile_product;

CK_INLINE void multiply_block(int R, int C, bool pairs, bool fresh, const tile_product *p, int64_t row,
                              int64_t column) {
    ck_floats sums[CK_TILE_ROWS][CK_TILE_COLUMNS];
    float *out = p->c + row * p->c_pitch + column * CK_LANES;
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int c = 0; c < C; c++) {
            sums[r][c] = fresh ? all_lanes(0) : load(out + r * p->c_pitch + c * CK_LANES);
        }
    }
    const float *a = p->a + row * p->a_pitch, *b = p->b + column * p->b_column;
    int64_t a_pitch = p->a_pitch, b_step = p->b_step, b_column = p->b_column;
    for (int64_t step = p->steps; step > 0; step--, a++, b += b_step) {
        ck_floats vectors[CK_TILE_COLUMNS];
#pragma clang loop unroll(full)
        for (int c = 0; c < C; c++) vectors[c] = load(b + c * b_column);
#pragma clang loop unroll(full)
        for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
            for (int c = 0; c < C; c++) {
#if CK_PAIRS
                if (pairs) {
                    ck_words two = all_words(*(const ck_word *)(const void *)(a + r * a_pitch));
                    sums[r][c] = multiply_pairs(two, (ck_words)vectors[c], sums[r][c]);
                    continue;
                }
#else
                (void)pairs;
#endif
                sums[r][c] = multiply_add(vectors[c], all_lanes(a[r * a_pitch]), sums[r][c]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
#pragma clang loop unroll(full)
        for (int c = 0; c < C; c++) store(out + r * p->c_pitch + c * CK_LANES, sums[r][c]);
    }
}

// Rows of sums below each other, so that the vectors of the right operand stay in the first-level cache.
CK_INLINE void multiply_columns(int C, bool pairs, bool fresh, const tile_product *p, int64_t column) {
    int64_t row = 0;
    for (; row + CK_TILE_ROWS <= p->rows; row += CK_TILE_ROWS) {
        multiply_block(CK_TILE_ROWS, C, pairs, fresh, p, row, column);
    }
#if CK_TILE_ROWS > 4
    if (row + 4 <= p->rows) {
        multiply_block(4, C, pairs, fresh, p, row, column);
        row += 4;
    }
#endif
#if CK_TILE_ROWS > 2
    if (row + 2 <= p->rows) multiply_block(2, C, pairs, fresh, p, row, column);
#endif
}

CK_INLINE void multiply(bool pairs, bool fresh, const tile_product *p) {
    int64_t column = 0;
    for (; column + CK_TILE_COLUMNS <= p->columns; column += CK_TILE_COLUMNS) {
        multiply_columns(CK_TILE_COLUMNS, pairs, fresh, p, column);
    }
#if CK_TILE_COLUMNS > 1
    switch (p->columns - column) {
    case 1: multiply_columns(1, pairs, fresh, p, column); break;
    case 2: multiply_columns(2, pairs, fresh, p, column); break;
    case 3: multiply_columns(3, pairs, fresh, p, column); break;
    }
#endif
}

CK_APART void set_floats(const tile_product *p) { multiply(false, true, p); }
CK_APART void add_floats(const tile_product *p) { multiply(false, false, p); }
#if CK_PAIRS
CK_APART void set_pairs(const tile_product *p) { multiply(true, true, p); }
CK_APART void add_pairs(const tile_product *p) { multiply(true, false, p); }
#endif

// c = a b
CK_INLINE void set_product(bool pairs, tile_product p) {
#if CK_PAIRS
    if (pairs) {
        set_pairs(&p);
        return;
    }
#endif
    (void)pairs;
    set_floats(&p);
}

// c += a b
CK_INLINE void add_product(bool pairs, tile_product p) {
#if CK_PAIRS
    if (pairs) {
        add_pairs(&p);
        return;
    }
#endif
    (void)pairs;
    add_floats(&p);
}

// Packing.

// Elements that take the place of a float in a sum's step.
CK_INLINE int64_t in_steps(bool pairs, int64_t count) { return pairs ? count / 2 : count; }

// Sixteen elements, or the first `count` and zeros, as floats.
CK_INLINE ck_floats load_elements(bool bf16, const void *source, int64_t count) {
    if (!bf16) return count < CK_LANES ? load_part(source, count, 0) : load(source);
    ck_halves halves = {0};
    if (count < CK_LANES) {
        memcpy(&halves, source, (size_t)count * sizeof(uint16_t));
    } else {
        halves = *(const ck_halves *)source;
    }
    return (ck_floats)(__builtin_convertvector(halves, ck_words) << 16);
}

CK_INLINE void store_elements(bool bf16, void *destination, int64_t count, ck_floats v) {
    if (!bf16) {
        if (count < CK_LANES) {
            store_part(destination, count, v);
        } else {
            store(destination, v);
        }
        return;
    }
    ck_words upper = (ck_words)rounded_to_bf16(v) >> 16 & 0xffff;
    ck_halves halves = __builtin_convertvector(upper, ck_halves);
    memcpy(destination, &halves, (size_t)(count < CK_LANES ? count : CK_LANES) * sizeof(uint16_t));
}

// `count` floats, in memory up to whole vectors, times `factor` as elements of the matrices' type.
CK_INLINE void write_row(bool bf16, const float *from, float factor, void *to, int64_t count) {
    unsigned char *bytes = to;
    for (int64_t at = 0; at < count; at += CK_LANES) {
        store_elements(bf16, bytes + at * (bf16 ? 2 : 4), count - at, load(from + at) * factor);
    }
}

// Row `row` of a matrix of the given type.
CK_INLINE const void *matrix_row(bool bf16, const void *matrix, int64_t row, int64_t stride, int64_t column) {
    return (const unsigned char *)matrix + (row * stride + column) * (bf16 ? 2 : 4);
}

// One row as a left operand along its dimensions, with zeros up to `words`, whole vectors.
CK_INLINE void copy_row(bool bf16, bool pairs, const void *from, int64_t dim, float *to, int64_t words) {
    if (bf16 && !pairs) {
        for (int64_t at = 0; at < dim; at += CK_LANES) {
            store(to + at, load_elements(true, (const uint16_t *)from + at, dim - at));
        }
        return;
    }
    // Rows of bf16 need not begin at whole words.
    const unsigned char *bytes = from;
    int64_t used = in_steps(pairs, dim), at = 0;
    for (; at + CK_LANES <= used; at += CK_LANES) memcpy(to + at, bytes + 4 * at, sizeof(ck_floats));
    if (at < words) store(to + at, load_part(bytes + 4 * at, used - at, 0));
}

// Of sixteen vectors, at `from` every `pitch` floats, the transpose.
CK_INLINE void transpose_block(const float *from, int64_t from_pitch, float *to, int64_t to_pitch) {
    ck_floats v[CK_LANES], w[CK_LANES];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) v[i] = load(from + i * from_pitch);
    // In each round lanes i of one vector and i - width of the other change places.
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        int j = i & ~1;
        w[i] = i & 1 ? __builtin_shufflevector(v[j], v[j + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13,
                                               29, 15, 31)
                     : __builtin_shufflevector(v[j], v[j + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12,
                                               28, 14, 30);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        int j = i & ~2;
        v[i] = i & 2 ? __builtin_shufflevector(w[j], w[j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14,
                                               15, 30, 31)
                     : __builtin_shufflevector(w[j], w[j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12,
                                               13, 28, 29);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        int j = i & ~4;
        w[i] = i & 4 ? __builtin_shufflevector(v[j], v[j + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28,
                                               29, 30, 31)
                     : __builtin_shufflevector(v[j], v[j + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24,
                                               25, 26, 27);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
        int j = i & ~8;
        v[i] = i & 8 ? __builtin_shufflevector(w[j], w[j + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27,
                                               28, 29, 30, 31)
                     : __builtin_shufflevector(w[j], w[j + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21,
                                               22, 23);
        store(to + i * to_pitch, v[i]);
    }
}

// The transpose of [rows][columns], both multiples of 16: `to` gets rows of `to_pitch` floats; or, as a right
// operand, blocks of 16 columns `to_block` apart whose rows follow each other.
CK_APART void transpose(const float *from, int64_t from_pitch, int64_t rows, int64_t columns, float *to,
                        int64_t to_pitch, int64_t to_block) {
    for (int64_t row = 0; row < rows; row += CK_LANES) {
        for (int64_t column = 0; column < columns; column += CK_LANES) {
            transpose_block(from + row * from_pitch + column, from_pitch,
                            to + row / CK_LANES * to_block + column * to_pitch, to_pitch);
        }
    }
}

// Pairs along rows of what is in pairs along columns: of [rows][words], [rows / 2][2 words]. Sixteen columns of the
// next two rows lie `step` behind, the next 16 columns `block`.
CK_APART void pair_rows(const float *from, int64_t pitch, int64_t rows, int64_t words, float *to, int64_t step,
                        int64_t block) {
    for (int64_t row = 0; row < rows; row += 2, from += 2 * pitch, to += step) {
        for (int64_t at = 0; at < words; at += CK_LANES) {
            ck_words a = (ck_words)load(from + at), b = (ck_words)load(from + pitch + at);
            ck_words even = (a & 0xffff) | b << 16, odd = (a >> 16 & 0xffff) | (b & (int32_t)0xffff0000);
            float *pairs = to + at / CK_LANES * 2 * block;
            store(pairs, (ck_floats)__builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                                            21, 6, 22, 7, 23));
            store(pairs + block, (ck_floats)__builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27,
                                                                    12, 28, 13, 29, 14, 30, 15, 31));
        }
    }
}

// A right operand of rows that are as they shall be: their blocks of 16 columns, `block` apart.
CK_APART void block_columns(const float *from, int64_t pitch, int64_t rows, int64_t columns, float *to,
                            int64_t block) {
    for (int64_t column = 0; column < columns; column += CK_LANES, to += block) {
        for (int64_t row = 0; row < rows; row++) store(to + row * CK_LANES, load(from + row * pitch + column));
    }
}

// The keys of a tile of `width` that a query sees, [first, end); none if end <= first.
typedef struct seen_keys {
    int64_t first, end;
} seen_keys;

CK_INLINE seen_keys keys_seen(int64_t query, int64_t window, int64_t base, int64_t width) {
    int64_t end = query - base + 1, first = window > 0 ? end - window : 0;
    return (seen_keys){first > 0 ? first : 0, end < width ? end : width};
}

// All ones in the lanes from key `at` on that are seen.
CK_INLINE ck_words seen_lanes(int64_t at, seen_keys seen) {
    static const int32_t numbers[CK_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ck_words lane = *(const ck_words *)(const void *)numbers + (int32_t)at;
    return lane >= (int32_t)seen.first & lane < (int32_t)seen.end;
}

#endif
