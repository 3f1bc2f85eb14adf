// The forward pass over the rows of one piece: key tile after key tile, with running maxima and denominators
// (Dao et al., arXiv:2205.14135, algorithm 1). A row's arithmetic does not depend on the rows beside it.
#ifndef CKERNELS_TRAINING_ATTENTION_FORWARD_H
#define CKERNELS_TRAINING_ATTENTION_FORWARD_H

#include "training_attention_products.h"

typedef struct forward_state {
    const ck_attention_piece *piece;
    int64_t dim;           // head_dim in whole vectors
    int64_t words;         // a row as a left operand, in whole vectors
    int64_t rows;          // even; the last may be one of zeros
    int64_t base;          // first key of the key tile
    float *q;              // [rows][words]
    float *results;        // [rows][dim]
    float *denominators;   // [rows][16 lanes]
    float *maxima;         // [rows], of the scores times log2(e)
    float *raw;            // [CK_FORWARD_KEYS][words]: keys, then values, as they lie
    float *keys, *values;  // packed right operands
    float *scores;         // [CK_TILE_ROWS][CK_FORWARD_KEYS], then probabilities
} forward_state;

CK_INLINE forward_state forward_begin(bool bf16, bool pairs, const ck_attention_piece *piece) {
    const ck_train_attention *attention = piece->attention;
    int64_t head_dim = attention->head_dim, dim = ck_whole(head_dim, CK_LANES);
    int64_t words = ck_whole(in_steps(pairs, head_dim), CK_LANES);
    int64_t used = piece->queries * piece->heads, rows = ck_whole(used, 2);
    forward_state state = {.piece = piece, .dim = dim, .words = words, .rows = rows};
    state.q = piece->scratch;
    state.results = state.q + rows * dim;
    state.denominators = state.results + rows * dim;
    state.maxima = state.denominators + rows * CK_LANES;
    state.raw = state.maxima + ck_whole(rows, CK_LANES);
    state.keys = state.raw + CK_FORWARD_KEYS * dim;
    state.values = state.keys + CK_FORWARD_KEYS * dim;
    state.scores = state.values + CK_FORWARD_KEYS * dim;
    for (int64_t row = 0; row < used; row++) {
        const void *from = matrix_row(bf16, attention->q, piece->start + piece->first_query + row / piece->heads,
                                      attention->q_stride, (piece->head + row % piece->heads) * head_dim);
        copy_row(bf16, pairs, from, head_dim, state.q + row * words, words);
    }
    memset(state.q + used * words, 0, (size_t)((rows - used) * words) * sizeof(float));
    memset(state.results, 0, (size_t)(rows * dim) * sizeof(float));
    memset(state.denominators, 0, (size_t)(rows * CK_LANES) * sizeof(float));
    for (int64_t row = 0; row < rows; row++) state.maxima[row] = -INFINITY;
    return state;
}

// Copies the key tile's rows before `end` of a matrix, and zeros up to whole vectors of keys, which are returned.
CK_INLINE int64_t forward_copy(bool bf16, bool pairs, forward_state *state, const void *matrix, int64_t stride,
                               int64_t end) {
    const ck_attention_piece *piece = state->piece;
    const ck_train_attention *attention = piece->attention;
    int64_t column = piece->head / (attention->heads / attention->kv_heads) * attention->head_dim;
    int64_t count = end - state->base < CK_FORWARD_KEYS ? end - state->base : CK_FORWARD_KEYS;
    int64_t whole = ck_whole(count, CK_LANES);
    for (int64_t key = 0; key < count; key++) {
        const void *from = matrix_row(bf16, matrix, piece->start + state->base + key, stride, column);
        copy_row(bf16, pairs, from, attention->head_dim, state->raw + key * state->words, state->words);
    }
    memset(state->raw + count * state->words, 0, (size_t)((whole - count) * state->words) * sizeof(float));
    return whole;
}

CK_INLINE void forward_pack(bool bf16, bool pairs, forward_state *state, int64_t end) {
    const ck_train_attention *attention = state->piece->attention;
    int64_t words = state->words;
    int64_t count = forward_copy(bf16, pairs, state, attention->k, attention->k_stride, end);
    transpose(state->raw, words, count, words, state->keys, CK_LANES, words * CK_LANES);
    forward_copy(bf16, pairs, state, attention->v, attention->v_stride, end);
    int64_t block = in_steps(pairs, CK_FORWARD_KEYS) * CK_LANES;
    if (pairs) {
        pair_rows(state->raw, words, count, words, state->values, CK_LANES, block);
    } else {
        block_columns(state->raw, words, count, words, state->values, block);
    }
}

// The largest of a row's scores in vectors [first, end), after scores that it does not see became -infinity.
CK_INLINE float largest_score(float *scores, int64_t first, int64_t end, seen_keys seen) {
    ck_floats most = all_lanes(-INFINITY);
    for (int64_t vector = first; vector < end; vector++) {
        int64_t at = vector * CK_LANES;
        ck_floats s = load(scores + at);
        if (at < seen.first || at + CK_LANES > seen.end) {
            s = choose(seen_lanes(at, seen), s, all_lanes(-INFINITY));
            store(scores + at, s);
        }
        most = larger(s, most);
    }
    return largest_lane(most);
}

// Probabilities, not yet divided by their sum, in the place of scores; returns the sum's lanes.
CK_INLINE ck_floats exponentiate(bool bf16, bool pairs, float *scores, int64_t first, int64_t end, float factor,
                                 float most) {
    ck_floats sum = all_lanes(0);
    for (int64_t vector = first; vector < end; vector++) {
        ck_floats s = load(scores + vector * CK_LANES);
        ck_floats p = power_of_two(multiply_add(s, all_lanes(factor), all_lanes(-most)));
        sum += p;
#if CK_PAIRS
        if (pairs) {
            store_pairs(scores + vector * (CK_LANES / 2), p);
            continue;
        }
#endif
        (void)pairs;
        store(scores + vector * CK_LANES, bf16 ? rounded_to_bf16(p) : p);
    }
    return sum;
}

// Turns the scores of `count` rows into probabilities, raises their maxima, and shrinks what was summed before.
CK_INLINE void soften(bool bf16, bool pairs, forward_state *state, int64_t row, int64_t count, int64_t first,
                      int64_t end) {
    const ck_attention_piece *piece = state->piece;
    float factor = piece->attention->scale * 1.44269504f;
    float most[CK_LANES] = {0}, change[CK_LANES] = {0}, rescale[CK_LANES];
    for (int64_t r = 0; r < count; r++) {
        seen_keys seen = keys_seen(piece->first_query + (row + r) / piece->heads, piece->attention->window,
                                   state->base, CK_FORWARD_KEYS);
        float largest = largest_score(state->scores + r * CK_FORWARD_KEYS, first, end, seen) * factor;
        if (!(largest > state->maxima[row + r])) largest = state->maxima[row + r];
        // As long as a row has seen nothing its maximum is -infinity, of which no difference can be taken.
        most[r] = largest > -INFINITY ? largest : 0;
        change[r] = state->maxima[row + r] - most[r];
        state->maxima[row + r] = largest;
    }
    store(rescale, power_of_two(load(change)));
    for (int64_t r = 0; r < count; r++) {
        float *denominators = state->denominators + (row + r) * CK_LANES;
        float *results = state->results + (row + r) * state->dim;
        ck_floats sum =
            exponentiate(bf16, pairs, state->scores + r * CK_FORWARD_KEYS, first, end, factor, most[r]);
        store(denominators, multiply_add(load(denominators), all_lanes(rescale[r]), sum));
        if (rescale[r] == 1) continue;
        for (int64_t at = 0; at < state->dim; at += CK_LANES) store(results + at, load(results + at) * rescale[r]);
    }
}

// Meets `count` rows with the key tile.
CK_INLINE void attend_rows(bool bf16, bool pairs, forward_state *state, int64_t row, int64_t count) {
    const ck_attention_piece *piece = state->piece;
    const ck_train_attention *attention = piece->attention;
    int64_t last = row + count <= piece->queries * piece->heads ? row + count - 1 : row + count - 2;
    seen_keys most = keys_seen(piece->first_query + row / piece->heads, attention->window, state->base,
                               CK_FORWARD_KEYS);
    seen_keys latest = keys_seen(piece->first_query + last / piece->heads, attention->window, state->base,
                                 CK_FORWARD_KEYS);
    if (latest.end <= 0 || most.first >= CK_FORWARD_KEYS) return;
    int64_t first = most.first / CK_LANES, end = (latest.end + CK_LANES - 1) / CK_LANES;
    set_product(pairs, (tile_product){
        .rows = count, .columns = end - first, .steps = in_steps(pairs, attention->head_dim),
        .a = state->q + row * state->words, .a_pitch = state->words,
        .b = state->keys + first * state->words * CK_LANES, .b_step = CK_LANES,
        .b_column = state->words * CK_LANES,
        .c = state->scores + first * CK_LANES, .c_pitch = CK_FORWARD_KEYS,
    });
    soften(bf16, pairs, state, row, count, first, end);
    // From here on keys that no row sees are left out, but for the other half of a pair.
    int64_t first_step = in_steps(pairs, most.first / 2 * 2), end_step = in_steps(pairs, ck_whole(latest.end, 2));
    add_product(pairs, (tile_product){
        .rows = count, .columns = state->dim / CK_LANES, .steps = end_step - first_step,
        .a = state->scores + first_step, .a_pitch = CK_FORWARD_KEYS,
        .b = state->values + first_step * CK_LANES, .b_step = CK_LANES,
        .b_column = in_steps(pairs, CK_FORWARD_KEYS) * CK_LANES,
        .c = state->results + row * state->dim, .c_pitch = state->dim,
    });
}

CK_INLINE void forward_finish(bool bf16, const forward_state *state) {
    const ck_attention_piece *piece = state->piece;
    const ck_train_attention *attention = piece->attention;
    int64_t all_rows = attention->starts[attention->sequences];
    for (int64_t row = 0; row < piece->queries * piece->heads; row++) {
        int64_t place = piece->start + piece->first_query + row / piece->heads;
        int64_t head = piece->head + row % piece->heads;
        float sum = sum_of_lanes(load(state->denominators + row * CK_LANES));
        void *out = (void *)(uintptr_t)matrix_row(bf16, attention->out, place, attention->out_stride,
                                                  head * attention->head_dim);
        write_row(bf16, state->results + row * state->dim, 1 / sum, out, attention->head_dim);
        attention->log_sums[head * all_rows + place] = state->maxima[row] * 0x1.62e43p-1f + logf(sum);
    }
}

CK_INLINE void forward_piece(bool bf16, bool pairs, const ck_attention_piece *piece) {
    forward_state state = forward_begin(bf16, pairs, piece);
    int64_t window = piece->attention->window, end = piece->first_query + piece->queries;
    int64_t start = window > 0 && piece->first_query >= window ? piece->first_query - window + 1 : 0;
    for (state.base = start / CK_FORWARD_KEYS * CK_FORWARD_KEYS; state.base < end; state.base += CK_FORWARD_KEYS) {
        forward_pack(bf16, pairs, &state, end);
        for (int64_t row = 0; row < state.rows; row += CK_TILE_ROWS) {
            int64_t left = state.rows - row;
            attend_rows(bf16, pairs, &state, row, left < CK_TILE_ROWS ? left : CK_TILE_ROWS);
        }
    }
    forward_finish(bf16, &state);
}

static void forward(const ck_attention_piece *piece) {
    if (piece->attention->type == CK_BF16) {
        forward_piece(true, CK_PAIRS, piece);
    } else {
        forward_piece(false, false, piece);
    }
}

#endif
