// What adds up over rows. Sums of columns have a part for each chunk of rows, which the driver adds up in order; rows
// of a table are divided by columns, as they may come in any order. Each instruction set's file includes this one.
#ifndef CKERNELS_TRAINING_LAYERS_COLUMNS_H
#define CKERNELS_TRAINING_LAYERS_COLUMNS_H

#include "training_layers_kernels.h"
#include "training_layers_lanes.h"

// sums += x * y of one vector.
CK_INLINE void add_products(bool xb, bool yb, const void *x, const void *y, float *sums, int64_t i, int64_t count) {
    ck_floats v = load_as(xb, x, i, count, 0);
    if (y != NULL) v *= load_as(yb, y, i, count, 0);
    store_as(false, sums, i, count, load_as(false, sums, i, count, 0) + v);
}

CK_INLINE void column_sums_of(bool xb, bool yb, const ck_train_task *task, int64_t begin, int64_t end) {
    float *sums = part_of(task, begin);
    for (int64_t row = begin; row < end; row++) {
        const void *x = row_of(task->x, row), *y = task->y.data == NULL ? NULL : row_of(task->y, row);
        int64_t i = 0;
        for (; i + CK_LANES <= task->size; i += CK_LANES) add_products(xb, yb, x, y, sums, i, CK_LANES);
        if (i < task->size) add_products(xb, yb, x, y, sums, i, task->size - i);
    }
}

static void column_sums(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_2(column_sums_of, is_bf16(task->x), is_bf16(task->y), task, begin, end);
}

CK_INLINE void scatter_columns(bool xb, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = 0; row < task->rows; row++) {
        const void *x = row_of(task->x, row);
        void *y = row_of(task->y, task->ids[row]);
        int64_t i = begin;
        for (; i + CK_LANES <= end; i += CK_LANES) {
            store_as(false, y, i, CK_LANES, load_as(false, y, i, CK_LANES, 0) + load_as(xb, x, i, CK_LANES, 0));
        }
        int64_t left = end - i;
        if (left > 0) store_as(false, y, i, left, load_as(false, y, i, left, 0) + load_as(xb, x, i, left, 0));
    }
}

static void scatter_add(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(scatter_columns, is_bf16(task->x), task, begin, end);
}

CK_INLINE void squares_in_double(bool bf16, const void *x, int64_t i, int64_t count, ck_doubles sums[2]) {
    ck_floats v = load_as(bf16, x, i, count, 0);
    for (int half = 0; half < 2; half++) {
        ck_doubles wide = widened(v, half);
        sums[half] += wide * wide;
    }
}

// A double holds the square of any float.
CK_INLINE double sum_of_squares_of(bool bf16, const void *x, int64_t size) {
    ck_doubles sums[2 * CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= size; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) squares_in_double(bf16, x, i + s * CK_LANES, CK_LANES, sums + 2 * s);
    }
    for (; i + CK_LANES <= size; i += CK_LANES) squares_in_double(bf16, x, i, CK_LANES, sums);
    if (i < size) squares_in_double(bf16, x, i, size - i, sums);
    for (int width = CK_SUMS; width > 0; width /= 2) {
        for (int s = 0; s < width; s++) sums[s] += sums[s + width];
    }
    return sum_of_doubles(sums[0]);
}

// Units are chunks of `size` elements; the last may be short.
CK_INLINE void sum_of_squares_chunks(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; chunk++) {
        int64_t start = chunk * task->size, left = task->rows - start;
        task->doubles[chunk] =
            sum_of_squares_of(bf16, element(bf16, task->x.data, start), left < task->size ? left : task->size);
    }
}

static void sum_of_squares(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(sum_of_squares_chunks, is_bf16(task->x), task, begin, end);
}

CK_INLINE void row_norms_of(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        task->floats[row] = (float)sqrt(sum_of_squares_of(bf16, row_of(task->x, row), task->size));
    }
}

static void row_norms(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(row_norms_of, is_bf16(task->x), task, begin, end);
}

#endif
