// Quantization by groups, written once over vectors of 16 floats; an instruction set's file includes it after lanes.h.
#ifndef CKERNELS_QUANTIZATION_ROWS_H
#define CKERNELS_QUANTIZATION_ROWS_H

#include "quantization_kernels.h"

typedef uint8_t ck_codes __attribute__((vector_size(16), aligned(1), may_alias));

typedef double ck_doubles __attribute__((vector_size(128)));
typedef int64_t ck_long_words __attribute__((vector_size(128)));

// Quotients that exact arithmetic has half way between two codes: the lowest value of a symmetric group, and of one that
// is clipped on both sides. There the even code is the outer one, which this factor makes sure of where the values are
// known to less than double precision.
#define CK_OUTWARD (1 + 0x1p-40)

// A group's scale and zero. Quotients are in double precision, as those of other programs are.
typedef struct level {
    double scale, outward;
    float zero;
} level;

CK_INLINE double stored_scale(ck_type type, double scale) {
    if (type == CK_F32) return scale;
    float value = (float)scale;
    uint16_t word;
    ck_from_f32(type, &value, &word, 1);
    ck_to_f32(type, &word, &value, 1);
    return value;
}

// The level of values between the least and the largest one, which are finite.
CK_INLINE level level_of(ck_grid grid, float least, float most) {
    int top = (1 << grid.bits) - 1, middle = 1 << (grid.bits - 1);
    least = least < 0 ? least : 0;
    most = most > 0 ? most : 0;
    double largest = most > -least ? most : -least;
    level level = {.outward = grid.rule == CK_GRID_ASYMMETRIC ? CK_OUTWARD : 1, .zero = (float)middle};
    switch (grid.rule) {
    case CK_GRID_SYMMETRIC: level.scale = 2 * largest / top; break;
    case CK_GRID_SIGNED: level.scale = largest / (middle - 1); break;
    case CK_GRID_ASYMMETRIC:
        level.scale = ((double)most - least) / top;
        // Where the values would have a zero below the least one, the largest of them decide.
        if (rint(-least / level.scale) < grid.least_zero) level.scale = (double)most / (top - grid.least_zero);
        break;
    }
    // A group of zeros has a scale nevertheless, by which readers may divide.
    if (!(level.scale > 0)) level.scale = 1.0 / top;
    level.scale = stored_scale(grid.scale_type, level.scale);
    if ((float)level.scale == 0) level.scale = 0x1p-24;  // the least of the halves
    if (grid.rule == CK_GRID_ASYMMETRIC) {
        double zero = rint(-least / level.scale * CK_OUTWARD);
        level.zero = (float)(zero < grid.least_zero ? grid.least_zero : zero > top ? top : zero);
    }
    return level;
}

CK_INLINE float least_lane(ck_floats v) { return -largest_lane(-v); }

CK_INLINE level level_of_values(ck_grid grid, const float *w, int64_t count) {
    ck_floats least = {0}, most = {0};
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) {
        ck_floats v = load(w + i);
        most = larger(v, most);
        least = choose(v < least, v, least);
    }
    if (i < count) {
        ck_floats v = load_part(w + i, count - i, 0);
        most = larger(v, most);
        least = choose(v < least, v, least);
    }
    return level_of(grid, least_lane(least), largest_lane(most));
}

// Adding 1.5 * 2^52 leaves an integer, rounded half to even.
#define CK_ROUNDING_DOUBLE 0x1.8p52

CK_INLINE ck_doubles choose_doubles(ck_long_words mask, ck_doubles yes, ck_doubles no) {
    return (ck_doubles)((mask & (ck_long_words)yes) | (~mask & (ck_long_words)no));
}

// Codes as floats. Quotients are bounded by more than any code, so that their rounding is exact.
CK_INLINE ck_floats codes_of(ck_floats v, level level, float top) {
    ck_doubles steps = __builtin_convertvector(v, ck_doubles) / level.scale * level.outward, none = {0};
    steps = choose_doubles(steps < 1024.0, steps, none + 1024.0);
    steps = choose_doubles(steps > -1024.0, steps, none - 1024.0);
    ck_floats code = __builtin_convertvector((steps + CK_ROUNDING_DOUBLE) - CK_ROUNDING_DOUBLE, ck_floats) + level.zero;
    code = choose(code > 0.0f, code, all_lanes(0));
    return choose(code < top, code, all_lanes(top));
}

CK_INLINE float code_of(float v, level level, float top) {
    double steps = v / level.scale * level.outward;
    steps = steps < 1024.0 ? steps : 1024.0;
    steps = steps > -1024.0 ? steps : -1024.0;
    float code = (float)((steps + CK_ROUNDING_DOUBLE) - CK_ROUNDING_DOUBLE) + level.zero;
    code = code > 0 ? code : 0;
    return code < top ? code : top;
}

// What a code stands for to those who read the scale as a float.
CK_INLINE float value_of(float code, level level) { return (code - level.zero) * (float)level.scale; }

CK_INLINE void quantize_group(ck_grid grid, level level, const float *w, int64_t count, uint8_t *codes) {
    float top = (float)((1 << grid.bits) - 1);
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) {
        ck_words words = __builtin_convertvector(codes_of(load(w + i), level, top), ck_words);
        *(ck_codes *)(codes + i) = __builtin_convertvector(words, ck_codes);
    }
    for (; i < count; i++) codes[i] = (uint8_t)code_of(w[i], level, top);
}

static void quantize_row(ck_grid grid, const float *w, int64_t columns, uint8_t *codes, float *scales,
                         uint8_t *zeros) {
    for (int64_t start = 0, group = 0; start < columns; start += grid.group, group++) {
        int64_t count = columns - start < grid.group ? columns - start : grid.group;
        level level = level_of_values(grid, w + start, count);
        scales[group] = (float)level.scale;
        zeros[group] = (uint8_t)level.zero;
        quantize_group(grid, level, w + start, count, codes + start);
    }
}

// The search for bounds.

CK_INLINE float dot(const float *a, const float *b, int64_t count) {
    ck_floats sum = {0};
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) sum += load(a + i) * load(b + i);
    if (i < count) sum += load_part(a + i, count - i, 0) * load_part(b + i, count - i, 0);
    return sum_of_lanes(sum);
}

// e' H e; rows of H whose error is 0, as it is for values that the bound does not touch and codes hit, are not read.
CK_INLINE float weighted_square(const float *error, const float *hessian, int64_t count) {
    float sum = 0;
    for (int64_t i = 0; i < count; i++) {
        if (error[i] != 0) sum += error[i] * dot(error, hessian + i * count, count);
    }
    return sum;
}

// The error of a group's values against what the codes of its clipped values stand for.
CK_INLINE void clipped_error(ck_grid grid, const float *w, int64_t count, float bound, float *error) {
    float clipped[CK_GRID_MAX_SEARCH_GROUP], top = (float)((1 << grid.bits) - 1);
    for (int64_t i = 0; i < count; i++) clipped[i] = w[i] > bound ? bound : w[i] < -bound ? -bound : w[i];
    level level = level_of_values(grid, clipped, count);
    for (int64_t i = 0; i < count; i++) {
        error[i] = value_of(code_of(clipped[i], level, top), level) - w[i];
    }
}

static void search_bounds(ck_grid grid, const float *w, int64_t columns, const float *hessian, int steps,
                          int grid_steps, float *bounds) {
    float error[CK_GRID_MAX_SEARCH_GROUP];
    int64_t count = grid.group;
    for (int64_t group = 0; group < columns / count; group++) {
        const float *values = w + group * count, *products = hessian + group * count * count;
        float largest = 0, least = INFINITY;
        for (int64_t i = 0; i < count; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
        bounds[group] = largest;
        for (int step = 0; step < steps; step++) {
            float bound = (float)((double)largest * (1 - (double)step / grid_steps));
            clipped_error(grid, values, count, bound, error);
            float sum = weighted_square(error, products, count);
            if (sum >= least) continue;
            least = sum;
            bounds[group] = bound;
        }
    }
}

// GPTQ.

// w[j] -= factor[j] * error for j in [from, to).
CK_INLINE void correct(float *w, const float *factor, float error, int64_t from, int64_t to) {
    ck_floats errors = all_lanes(error);
    int64_t j = from;
    for (; j + CK_LANES <= to; j += CK_LANES) store(w + j, load(w + j) - load(factor + j) * errors);
    for (; j < to; j++) w[j] -= factor[j] * error;
}

// The level of the group that begins at column `start` of a row. `current` are the block's own values.
CK_INLINE level gptq_level(const ck_gptq_block *block, const float *w, const float *current, int64_t start) {
    ck_grid grid = block->grid;
    int64_t end = start + grid.group < block->columns ? start + grid.group : block->columns;
    if (!block->eager) return level_of_values(grid, w + start, end - start);
    int64_t block_end = block->first + block->count;
    int64_t inside = (end < block_end ? end : block_end) - start;
    float least = 0, most = 0;
    for (int64_t i = 0; i < inside; i++) {
        float v = current[start - block->first + i];
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    for (int64_t i = start + inside; i < end; i++) {
        least = w[i] < least ? w[i] : least;
        most = w[i] > most ? w[i] : most;
    }
    return level_of(grid, least, most);
}

static void gptq_row(const ck_gptq_block *block, int64_t row) {
    float current[CK_GPTQ_MAX_BLOCK];
    ck_grid grid = block->grid;
    int64_t columns = block->columns, first = block->first, count = block->count;
    int64_t groups = (columns + grid.group - 1) / grid.group, group = first / grid.group;
    const float *w = block->w + row * columns;
    float top = (float)((1 << grid.bits) - 1);
    memcpy(current, w + first, (size_t)count * sizeof(float));
    // A group that began in an earlier block has its level already.
    level level = {block->scales[row * groups + group], CK_OUTWARD, block->zeros[row * groups + group]};
    for (int64_t i = 0; i < count; i++) {
        int64_t column = first + i;
        if (column % grid.group == 0) {
            group = column / grid.group;
            level = gptq_level(block, w, current, column);
            if (column > 0) level.outward = CK_OUTWARD;
            block->scales[row * groups + group] = (float)level.scale;
            block->zeros[row * groups + group] = (uint8_t)level.zero;
        }
        const float *factor = block->factor + column * columns + first;
        float code = code_of(current[i], level, top);
        float error = (current[i] - value_of(code, level)) / factor[i];
        block->codes[row * columns + column] = (uint8_t)code;
        block->errors[row * count + i] = error;
        correct(current, factor, error, i + 1, count);
    }
}

#define CK_GRID_KERNELS \
    { .quantize_row = quantize_row, .search_bounds = search_bounds, .gptq_row = gptq_row }

#endif
