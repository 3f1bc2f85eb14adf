// The backward pass over the rows of one piece: probabilities are computed again, tile by tile, and every tile
// adds to the gradients of its queries, keys and values (Dao et al., arXiv:2205.14135, algorithm 4):
//   P = exp(scale Q Kᵀ - L)    D = rowsum(dO * O)    dS = P * (dO Vᵀ - D)
//   dV = Pᵀ dO    dK = scale dSᵀ Q    dQ = scale dS K
// Gradients of keys and values are summed as their transposes, dOᵀ P and Qᵀ dS, so that no tile is transposed.
#ifndef CKERNELS_TRAINING_ATTENTION_BACKWARD_H
#define CKERNELS_TRAINING_ATTENTION_BACKWARD_H

#include "training_attention_products.h"

// Vectors of keys in a tile.
#define CK_BACKWARD_VECTORS (CK_BACKWARD_KEYS / CK_LANES)

// The forms of a row tile are CK_BACKWARD_ROWS * dim apart from those of the next, used in full or not.
typedef struct backward_state {
    const ck_attention_piece *piece;
    int64_t dim;    // head_dim in whole vectors
    int64_t words;  // a row as a left operand, in whole vectors
    int64_t rows;
    int64_t base;               // first key of the key tile
    float *q, *dout;            // of each row tile, left operands by dimension
    float *q_turned, *dout_turned;  // and by row
    float *dq;                  // [rows][dim]
    float *log_sums;            // [rows], times log2(e)
    float *d;                   // [rows], rowsum(dO * O)
    float *raw;                 // [CK_BACKWARD_KEYS][words]
    float *keys, *values;       // right operands by dimension
    float *keys_by_key;         // right operand by key
    float *turned;              // [CK_BACKWARD_KEYS][dim], of what is written
    float *sums;                // gradients of the key tile, if they are not parts of a sum
    float *scores, *slopes;     // [CK_BACKWARD_ROWS][CK_BACKWARD_KEYS]: S, then P; dO Vᵀ, then dS
    float *p_pairs, *ds_pairs;  // P and dS in pairs along rows
    float *ds_rows;             // dS in pairs along keys
    float *row_pairs;           // a row tile in pairs along rows
} backward_state;

CK_INLINE backward_state backward_areas(bool pairs, const ck_attention_piece *piece) {
    int64_t head_dim = piece->attention->head_dim, dim = ck_whole(head_dim, CK_LANES);
    int64_t rows = piece->length * piece->heads, whole_rows = ck_whole(rows, CK_BACKWARD_ROWS);
    int64_t key_tile = CK_BACKWARD_KEYS * dim, tile = CK_BACKWARD_ROWS * CK_BACKWARD_KEYS;
    backward_state state = {
        .piece = piece, .dim = dim, .words = ck_whole(in_steps(pairs, head_dim), CK_LANES), .rows = rows};
    state.q = piece->scratch;
    state.dout = state.q + whole_rows * dim;
    state.q_turned = state.dout + whole_rows * dim;
    state.dout_turned = state.q_turned + whole_rows * dim;
    state.dq = state.dout_turned + whole_rows * dim;
    state.log_sums = state.dq + whole_rows * dim;
    state.d = state.log_sums + whole_rows;
    state.raw = state.d + whole_rows;
    state.keys = state.raw + key_tile;
    state.values = state.keys + key_tile;
    state.keys_by_key = state.values + key_tile;
    state.turned = state.keys_by_key + key_tile;
    state.sums = state.turned + key_tile;
    state.scores = state.sums + ck_key_gradient_floats(dim);
    state.slopes = state.scores + tile;
    state.p_pairs = state.slopes + tile;
    state.ds_pairs = state.p_pairs + tile / 2;
    state.ds_rows = state.ds_pairs + tile / 2;
    state.row_pairs = state.ds_rows + tile / 2;
    return state;
}

// Sum of the products of two rows' elements.
CK_INLINE float dot(bool bf16, const void *a, const void *b, int64_t count) {
    ck_floats sum = all_lanes(0);
    int64_t bytes = bf16 ? 2 : 4;
    for (int64_t at = 0; at < count; at += CK_LANES) {
        ck_floats x = load_elements(bf16, (const unsigned char *)a + at * bytes, count - at);
        ck_floats y = load_elements(bf16, (const unsigned char *)b + at * bytes, count - at);
        sum = multiply_add(x, y, sum);
    }
    return sum_of_lanes(sum);
}

// Rows `from`, of which those from `count` to `whole` become zeros, as a left operand along rows.
CK_INLINE void turn_rows(bool pairs, const backward_state *state, float *from, int64_t count, int64_t whole,
                         float *to) {
    int64_t words = state->words, pitch = in_steps(pairs, CK_BACKWARD_ROWS);
    memset(from + count * words, 0, (size_t)((whole - count) * words) * sizeof(float));
    if (!pairs) {
        transpose(from, words, whole, words, to, pitch, CK_LANES);
        return;
    }
    pair_rows(from, words, whole, words, state->row_pairs, 2 * words, CK_LANES);
    transpose(state->row_pairs, 2 * words, whole / 2, 2 * words, to, pitch, CK_LANES);
}

CK_INLINE void pack_rows(bool bf16, bool pairs, const backward_state *state, const ck_attention_gradients *gradients,
                         int64_t first) {
    const ck_attention_piece *piece = state->piece;
    const ck_train_attention *attention = piece->attention;
    int64_t head_dim = attention->head_dim, all_rows = attention->starts[attention->sequences];
    int64_t count = state->rows - first < CK_BACKWARD_ROWS ? state->rows - first : CK_BACKWARD_ROWS;
    float *q = state->q + first * state->dim, *dout = state->dout + first * state->dim;
    for (int64_t row = 0; row < count; row++) {
        int64_t place = piece->start + (first + row) / piece->heads;
        int64_t head = piece->head + (first + row) % piece->heads, column = head * head_dim;
        const void *slope = matrix_row(bf16, gradients->dout, place, gradients->dout_stride, column);
        const void *out = matrix_row(bf16, attention->out, place, attention->out_stride, column);
        copy_row(bf16, pairs, matrix_row(bf16, attention->q, place, attention->q_stride, column), head_dim,
                 q + row * state->words, state->words);
        copy_row(bf16, pairs, slope, head_dim, dout + row * state->words, state->words);
        state->log_sums[first + row] = attention->log_sums[head * all_rows + place] * 1.44269504f;
        state->d[first + row] = dot(bf16, slope, out, head_dim);
    }
    // Rows of zeros up to whole vectors, or whole vectors of pairs, have probability 0.
    int64_t whole = ck_whole(count, pairs ? 2 * CK_LANES : CK_LANES);
    for (int64_t row = count; row < whole; row++) {
        state->log_sums[first + row] = INFINITY;
        state->d[first + row] = 0;
    }
    turn_rows(pairs, state, q, count, whole, state->q_turned + first * state->dim);
    turn_rows(pairs, state, dout, count, whole, state->dout_turned + first * state->dim);
}

// Copies the key tile's rows of a matrix, and zeros up to whole vectors of keys, which are returned.
CK_INLINE int64_t backward_copy(bool bf16, bool pairs, const backward_state *state, const void *matrix,
                                int64_t stride) {
    const ck_attention_piece *piece = state->piece;
    const ck_train_attention *attention = piece->attention;
    int64_t column = piece->head / (attention->heads / attention->kv_heads) * attention->head_dim;
    int64_t left = piece->length - state->base, count = left < CK_BACKWARD_KEYS ? left : CK_BACKWARD_KEYS;
    int64_t whole = ck_whole(count, CK_LANES);
    for (int64_t key = 0; key < count; key++) {
        const void *from = matrix_row(bf16, matrix, piece->start + state->base + key, stride, column);
        copy_row(bf16, pairs, from, attention->head_dim, state->raw + key * state->words, state->words);
    }
    memset(state->raw + count * state->words, 0, (size_t)((whole - count) * state->words) * sizeof(float));
    return whole;
}

CK_INLINE void pack_keys(bool bf16, bool pairs, const backward_state *state) {
    const ck_train_attention *attention = state->piece->attention;
    int64_t words = state->words, block = in_steps(pairs, CK_BACKWARD_KEYS) * CK_LANES;
    int64_t count = backward_copy(bf16, pairs, state, attention->v, attention->v_stride);
    transpose(state->raw, words, count, words, state->values, CK_LANES, words * CK_LANES);
    backward_copy(bf16, pairs, state, attention->k, attention->k_stride);
    transpose(state->raw, words, count, words, state->keys, CK_LANES, words * CK_LANES);
    if (pairs) {
        pair_rows(state->raw, words, count, words, state->keys_by_key, CK_LANES, block);
    } else {
        block_columns(state->raw, words, count, words, state->keys_by_key, block);
    }
}

// P and dS of 16 keys and two neighboring rows, the first of which is `row` of the piece and `in_tile` of its tile.
CK_INLINE void differentiate(bool bf16, bool pairs, const backward_state *state, int64_t row, int64_t in_tile,
                             int64_t vector, bool masked) {
    const ck_attention_piece *piece = state->piece;
    float factor = piece->attention->scale * 1.44269504f;
    ck_floats p[2], ds[2];
#pragma clang loop unroll(full)
    for (int r = 0; r < 2; r++) {
        int64_t at = (in_tile + r) * CK_BACKWARD_KEYS + vector * CK_LANES;
        ck_floats exponents =
            multiply_add(load(state->scores + at), all_lanes(factor), all_lanes(-state->log_sums[row + r]));
        p[r] = power_of_two(exponents);
        ds[r] = p[r] * (load(state->slopes + at) - state->d[row + r]);
        if (masked) {
            seen_keys seen = keys_seen((row + r) / piece->heads, piece->attention->window, state->base,
                                       CK_BACKWARD_KEYS);
            ck_words lanes = seen_lanes(vector * CK_LANES, seen);
            p[r] = choose(lanes, p[r], all_lanes(0));
            ds[r] = choose(lanes, ds[r], all_lanes(0));
        }
        if (pairs) continue;
        store(state->scores + at, bf16 ? rounded_to_bf16(p[r]) : p[r]);
        store(state->slopes + at, bf16 ? rounded_to_bf16(ds[r]) : ds[r]);
    }
#if CK_PAIRS
    if (!pairs) return;
    int64_t at = in_tile / 2 * CK_BACKWARD_KEYS + vector * CK_LANES;
    store(state->p_pairs + at, interleaved(joined(p[0], p[1])));
    ck_floats both = joined(ds[0], ds[1]);
    store(state->ds_pairs + at, interleaved(both));
    float *rows = state->ds_rows + (in_tile * CK_BACKWARD_KEYS + vector * CK_LANES) / 2;
    memcpy(rows, &both, sizeof both / 2);
    memcpy(rows + CK_BACKWARD_KEYS / 2, (const char *)&both + sizeof both / 2, sizeof both / 2);
#endif
}

// Keys of the tile that any of the rows sees, in whole pairs, [first, end); none if end <= first.
CK_INLINE seen_keys keys_met(const backward_state *state, int64_t first_row, int64_t last_row) {
    int64_t heads = state->piece->heads, window = state->piece->attention->window;
    int64_t last = last_row < state->rows ? last_row : state->rows - 1;
    seen_keys early = keys_seen(first_row / heads, window, state->base, CK_BACKWARD_KEYS);
    seen_keys late = keys_seen(last / heads, window, state->base, CK_BACKWARD_KEYS);
    return (seen_keys){early.first / 2 * 2, ck_whole(late.end, 2)};
}

// P and dS of `count` rows, `row` in the tile that begins with `tile`, and what they add to query gradients.
CK_INLINE void meet_rows(bool bf16, bool pairs, const backward_state *state, int64_t tile, int64_t row,
                         int64_t count, bool whole) {
    int64_t head_dim = state->piece->attention->head_dim, words = state->words;
    seen_keys seen = keys_met(state, tile + row, tile + row + count - 1);
    if (seen.end <= seen.first) return;
    int64_t first = seen.first / CK_LANES, end = (seen.end + CK_LANES - 1) / CK_LANES;
    int64_t at = row * CK_BACKWARD_KEYS + first * CK_LANES;
    tile_product product = {
        .rows = count, .columns = end - first, .steps = in_steps(pairs, head_dim), .a_pitch = words,
        .b_step = CK_LANES, .b_column = words * CK_LANES, .c_pitch = CK_BACKWARD_KEYS,
    };
    product.a = state->q + tile * state->dim + row * words;
    product.b = state->keys + first * words * CK_LANES;
    product.c = state->scores + at;
    set_product(pairs, product);
    product.a = state->dout + tile * state->dim + row * words;
    product.b = state->values + first * words * CK_LANES;
    product.c = state->slopes + at;
    set_product(pairs, product);
    for (int64_t r = row; r < row + count; r += 2) {
        for (int64_t vector = first; vector < end; vector++) {
            if (whole) {
                differentiate(bf16, pairs, state, tile + r, r, vector, false);
            } else {
                differentiate(bf16, pairs, state, tile + r, r, vector, true);
            }
        }
    }
    int64_t first_step = in_steps(pairs, seen.first), end_step = in_steps(pairs, seen.end);
    int64_t pitch = in_steps(pairs, CK_BACKWARD_KEYS);
    add_product(pairs, (tile_product){
        .rows = count, .columns = state->dim / CK_LANES, .steps = end_step - first_step,
        .a = (pairs ? state->ds_rows : state->slopes) + row * pitch + first_step, .a_pitch = pitch,
        .b = state->keys_by_key + first_step * CK_LANES, .b_step = CK_LANES, .b_column = pitch * CK_LANES,
        .c = state->dq + (tile + row) * state->dim, .c_pitch = state->dim,
    });
}

// What rows [first, end), even both, of the tile add to the gradients of some vectors of keys.
CK_INLINE void add_key_gradients(bool pairs, const backward_state *state, int64_t tile, int64_t first, int64_t end,
                                 int64_t vector, int64_t vectors, float *sums) {
    if (end <= first) return;
    int64_t step = in_steps(pairs, first), at = step * CK_BACKWARD_KEYS + vector * CK_LANES;
    int64_t head_dim = state->piece->attention->head_dim;
    tile_product product = {
        .rows = head_dim, .columns = vectors, .steps = in_steps(pairs, end - first),
        .a_pitch = in_steps(pairs, CK_BACKWARD_ROWS), .b_step = CK_BACKWARD_KEYS, .b_column = CK_LANES,
        .c_pitch = CK_BACKWARD_KEYS,
    };
    product.a = state->q_turned + tile * state->dim + step;
    product.b = (pairs ? state->ds_pairs : state->slopes) + at;
    product.c = sums + vector * CK_LANES;
    add_product(pairs, product);
    product.a = state->dout_turned + tile * state->dim + step;
    product.b = (pairs ? state->p_pairs : state->scores) + at;
    product.c = sums + head_dim * CK_BACKWARD_KEYS + vector * CK_LANES;
    add_product(pairs, product);
}

CK_INLINE int64_t between(int64_t low, int64_t value, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

// Meets the row tile that begins with `tile` with the key tile.
CK_INLINE void meet(bool bf16, bool pairs, const backward_state *state, int64_t tile, float *sums) {
    int64_t heads = state->piece->heads, window = state->piece->attention->window;
    int64_t left = state->rows - tile, used = left < CK_BACKWARD_ROWS ? left : CK_BACKWARD_ROWS;
    int64_t count = ck_whole(used, 2), last_key = state->base + CK_BACKWARD_KEYS - 1;
    bool whole = tile / heads >= last_key && (window <= 0 || (tile + used - 1) / heads < state->base + window);
    if (whole) {
        meet_rows(bf16, pairs, state, tile, 0, count, true);
        add_key_gradients(pairs, state, tile, 0, count, 0, CK_BACKWARD_VECTORS, sums);
        return;
    }
    for (int64_t row = 0; row < count; row += CK_TILE_ROWS) {
        int64_t some = count - row < CK_TILE_ROWS ? count - row : CK_TILE_ROWS;
        meet_rows(bf16, pairs, state, tile, row, some, false);
    }
    // Between the first and the last row that sees any of 16 keys, every row does, so that the tile has their
    // probabilities; a row more at either end is of the same pair, and has zeros.
    for (int64_t vector = 0; vector < CK_BACKWARD_VECTORS; vector++) {
        int64_t key = state->base + vector * CK_LANES;
        int64_t first = between(0, key * heads - tile, count) / 2 * 2, end = count;
        if (window > 0) end = ck_whole(between(0, (key + CK_LANES - 1 + window) * heads - tile, count), 2);
        add_key_gradients(pairs, state, tile, first, end, vector, 1, sums);
    }
}

// Writes the key tile's gradients, which `sums` has by dimension.
CK_INLINE void write_key_gradients(bool bf16, const ck_attention_piece *piece,
                                   const ck_attention_gradients *gradients, int64_t base, const float *sums,
                                   float *turned) {
    const ck_train_attention *attention = piece->attention;
    int64_t head_dim = attention->head_dim, dim = ck_whole(head_dim, CK_LANES);
    int64_t column = piece->head / (attention->heads / attention->kv_heads) * head_dim;
    int64_t count = piece->length - base < CK_BACKWARD_KEYS ? piece->length - base : CK_BACKWARD_KEYS;
    for (int values = 0; values < 2; values++) {
        // Rows behind the last dimension are of anything, and are not written.
        transpose(sums + values * head_dim * CK_BACKWARD_KEYS, CK_BACKWARD_KEYS, dim, CK_BACKWARD_KEYS, turned, dim,
                  CK_LANES);
        void *matrix = values ? gradients->dv : gradients->dk;
        int64_t stride = values ? gradients->dv_stride : gradients->dk_stride;
        for (int64_t key = 0; key < count; key++) {
            void *to = (void *)(uintptr_t)matrix_row(bf16, matrix, piece->start + base + key, stride, column);
            write_row(bf16, turned + key * dim, values ? 1 : attention->scale, to, head_dim);
        }
    }
}

CK_INLINE void backward_piece(bool bf16, bool pairs, const ck_attention_piece *piece,
                              const ck_attention_gradients *gradients, float *parts) {
    backward_state state = backward_areas(pairs, piece);
    const ck_train_attention *attention = piece->attention;
    int64_t head_dim = attention->head_dim;
    for (int64_t first = 0; first < state.rows; first += CK_BACKWARD_ROWS) {
        pack_rows(bf16, pairs, &state, gradients, first);
    }
    memset(state.dq, 0, (size_t)(ck_whole(state.rows, 2) * state.dim) * sizeof(float));
    int64_t floats = ck_key_gradient_floats(head_dim);
    for (state.base = 0; state.base < piece->length; state.base += CK_BACKWARD_KEYS) {
        pack_keys(bf16, pairs, &state);
        float *sums = parts != NULL ? parts + state.base / CK_BACKWARD_KEYS * floats : state.sums;
        memset(sums, 0, (size_t)floats * sizeof(float));
        int64_t end_query = piece->length;
        if (attention->window > 0 && state.base + CK_BACKWARD_KEYS - 1 + attention->window < end_query) {
            end_query = state.base + CK_BACKWARD_KEYS - 1 + attention->window;
        }
        int64_t tile = state.base * piece->heads / CK_BACKWARD_ROWS * CK_BACKWARD_ROWS;
        for (; tile < end_query * piece->heads; tile += CK_BACKWARD_ROWS) meet(bf16, pairs, &state, tile, sums);
        if (parts == NULL) write_key_gradients(bf16, piece, gradients, state.base, sums, state.turned);
    }
    for (int64_t row = 0; row < state.rows; row++) {
        int64_t place = piece->start + row / piece->heads, head = piece->head + row % piece->heads;
        void *to = (void *)(uintptr_t)matrix_row(bf16, gradients->dq, place, gradients->dq_stride, head * head_dim);
        write_row(bf16, state.dq + row * state.dim, attention->scale, to, head_dim);
    }
}

static void backward(const ck_attention_piece *piece, const ck_attention_gradients *gradients, float *parts) {
    if (piece->attention->type == CK_BF16) {
        backward_piece(true, CK_PAIRS, piece, gradients, parts);
    } else {
        backward_piece(false, false, piece, gradients, parts);
    }
}

static void gather(const ck_attention_piece *piece, const ck_attention_gradients *gradients, int64_t key,
                   const float *parts, int64_t count, int64_t part_floats) {
    int64_t floats = ck_key_gradient_floats(piece->attention->head_dim);
    float *sums = piece->scratch;
    float *turned = sums + ck_key_gradient_floats(ck_whole(piece->attention->head_dim, CK_LANES));
    for (int64_t at = 0; at < floats; at += CK_LANES) {
        ck_floats sum = load(parts + at);
        for (int64_t part = 1; part < count; part++) sum += load(parts + part * part_floats + at);
        store(sums + at, sum);
    }
    if (piece->attention->type == CK_BF16) {
        write_key_gradients(true, piece, gradients, key, sums, turned);
    } else {
        write_key_gradients(false, piece, gradients, key, sums, turned);
    }
}

#endif
