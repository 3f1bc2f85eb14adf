// Training's layers that treat each row by itself, written once over vectors of 16 elements. Each instruction set's
// file includes this one.
#ifndef CKERNELS_TRAINING_LAYERS_ROWS_H
#define CKERNELS_TRAINING_LAYERS_ROWS_H

#include "training_layers_kernels.h"
#include "training_layers_lanes.h"

CK_INLINE ck_floats square_at(bool bf16, const void *x, int64_t i, int64_t count) {
    ck_floats v = load_as(bf16, x, i, count, 0);
    return v * v;
}

CK_INLINE float inverse_root_mean_square(bool bf16, const void *x, int64_t size, float epsilon) {
    ck_floats squares[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= size; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) squares[s] += square_at(bf16, x, i + s * CK_LANES, CK_LANES);
    }
    for (; i + CK_LANES <= size; i += CK_LANES) squares[0] += square_at(bf16, x, i, CK_LANES);
    if (i < size) squares[0] += square_at(bf16, x, i, size - i);
    return 1 / sqrtf(sum_of_all(squares) / (float)size + epsilon);
}

CK_INLINE void norm_vector(bool xb, bool yb, const void *x, const float *weight, float inverse, void *y, int64_t i,
                           int64_t count) {
    ck_floats w = load_as(false, weight, i, count, 0);
    store_as(yb, y, i, count, w * (load_as(xb, x, i, count, 0) * inverse));
}

CK_INLINE void norm_rows(bool xb, bool yb, const ck_train_task *task, int64_t begin, int64_t end) {
    int64_t size = task->size;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t group = 0; group < task->groups; group++) {
            const void *x = element(xb, row_of(task->x, row), group * size);
            void *y = (void *)element(yb, row_of(task->y, row), group * size);
            float inverse = inverse_root_mean_square(xb, x, size, task->epsilon);
            task->floats[row * task->groups + group] = inverse;
            int64_t i = 0;
            for (; i + CK_LANES <= size; i += CK_LANES) norm_vector(xb, yb, x, task->weight, inverse, y, i, CK_LANES);
            if (i < size) norm_vector(xb, yb, x, task->weight, inverse, y, i, size - i);
        }
    }
}

static void norm(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_2(norm_rows, is_bf16(task->x), is_bf16(task->y), task, begin, end);
}

// dy * weight * x, whose sum is what all elements of a vector have in common.
CK_INLINE ck_floats norm_product(bool xb, bool dyb, const void *x, const void *dy, const float *weight, int64_t i,
                                 int64_t count) {
    ck_floats w = load_as(false, weight, i, count, 0);
    return load_as(dyb, dy, i, count, 0) * w * load_as(xb, x, i, count, 0);
}

CK_INLINE float norm_dot(bool xb, bool dyb, const void *x, const void *dy, const float *weight, int64_t size) {
    ck_floats sums[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= size; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) {
            sums[s] += norm_product(xb, dyb, x, dy, weight, i + s * CK_LANES, CK_LANES);
        }
    }
    for (; i + CK_LANES <= size; i += CK_LANES) sums[0] += norm_product(xb, dyb, x, dy, weight, i, CK_LANES);
    if (i < size) sums[0] += norm_product(xb, dyb, x, dy, weight, i, size - i);
    return sum_of_all(sums);
}

// The gradient by x: dy weight / rms - x dot / (rms³ size); by the weight: dy x / rms, before dx may overwrite dy.
CK_INLINE void norm_gradient_vector(bool xb, bool dyb, bool dxb, const void *x, const void *dy, void *dx,
                                    const ck_train_task *task, float *sums, float inverse, float shared, int64_t i,
                                    int64_t count) {
    ck_floats w = load_as(false, task->weight, i, count, 0);
    ck_floats v = load_as(xb, x, i, count, 0), d = load_as(dyb, dy, i, count, 0);
    if (sums != NULL) store_as(false, sums, i, count, load_as(false, sums, i, count, 0) + d * (v * inverse));
    ck_floats gradient = d * w * inverse - v * shared;
    if (task->accumulate) gradient = load_as(dxb, dx, i, count, 0) + gradient;
    store_as(dxb, dx, i, count, gradient);
}

CK_INLINE void norm_backward_rows(bool xb, bool dyb, bool dxb, const ck_train_task *task, int64_t begin,
                                  int64_t end) {
    int64_t size = task->size;
    float *sums = part_of(task, begin);
    for (int64_t row = begin; row < end; row++) {
        for (int64_t group = 0; group < task->groups; group++) {
            const void *x = element(xb, row_of(task->x, row), group * size);
            const void *dy = element(dyb, row_of(task->y, row), group * size);
            void *dx = (void *)element(dxb, row_of(task->z, row), group * size);
            float inverse = task->row_factors[row * task->groups + group];
            float shared = norm_dot(xb, dyb, x, dy, task->weight, size) * inverse / (float)size * inverse * inverse;
            int64_t i = 0;
            for (; i + CK_LANES <= size; i += CK_LANES) {
                norm_gradient_vector(xb, dyb, dxb, x, dy, dx, task, sums, inverse, shared, i, CK_LANES);
            }
            if (i < size) norm_gradient_vector(xb, dyb, dxb, x, dy, dx, task, sums, inverse, shared, i, size - i);
        }
    }
}

static void norm_backward(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_3(norm_backward_rows, is_bf16(task->x), is_bf16(task->y), is_bf16(task->z), task, begin, end);
}

CK_INLINE void rope_vector(bool xb, void *first, void *second, const float *cosines, const float *sines, float sign,
                           int64_t i, int64_t count) {
    ck_floats a = load_as(xb, first, i, count, 0), b = load_as(xb, second, i, count, 0);
    ck_floats c = load_as(false, cosines, i, count, 0), s = load_as(false, sines, i, count, 0) * sign;
    store_as(xb, first, i, count, a * c - b * s);
    store_as(xb, second, i, count, b * c + a * s);
}

CK_INLINE void rope_rows(bool xb, const ck_train_task *task, int64_t begin, int64_t end) {
    int64_t half = task->size;
    for (int64_t row = begin; row < end; row++) {
        const float *cosines = task->cosines + task->ids[row] * half, *sines = task->sines + task->ids[row] * half;
        for (int64_t head = 0; head < task->groups; head++) {
            void *first = (void *)element(xb, row_of(task->x, row), head * 2 * half);
            void *second = (void *)element(xb, first, half);
            int64_t i = 0;
            for (; i + CK_LANES <= half; i += CK_LANES) {
                rope_vector(xb, first, second, cosines, sines, task->factor, i, CK_LANES);
            }
            if (i < half) rope_vector(xb, first, second, cosines, sines, task->factor, i, half - i);
        }
    }
}

static void rope(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(rope_rows, is_bf16(task->x), task, begin, end);
}

CK_INLINE void swiglu_vector(bool bf16, const void *gate, const void *up, void *y, int64_t i, int64_t count) {
    ck_floats g = load_as(bf16, gate, i, count, 0), u = load_as(bf16, up, i, count, 0);
    store_as(bf16, y, i, count, g / (1.0f + exponential(-g)) * u);
}

CK_INLINE void swiglu_rows(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const void *gate = row_of(task->x, row), *up = row_of(task->y, row);
        void *y = row_of(task->z, row);
        int64_t i = 0;
        for (; i + CK_LANES <= task->size; i += CK_LANES) swiglu_vector(bf16, gate, up, y, i, CK_LANES);
        if (i < task->size) swiglu_vector(bf16, gate, up, y, i, task->size - i);
    }
}

static void swiglu(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(swiglu_rows, is_bf16(task->x), task, begin, end);
}

// With s = 1 / (1 + e^-gate): silu = gate s, and its derivative is s (1 + gate (1 - s)).
CK_INLINE void swiglu_gradient_vector(bool bf16, void *gate, void *up, const void *dy, int64_t i, int64_t count) {
    ck_floats g = load_as(bf16, gate, i, count, 0), u = load_as(bf16, up, i, count, 0);
    ck_floats d = load_as(bf16, dy, i, count, 0);
    ck_floats s = 1.0f / (1.0f + exponential(-g));
    store_as(bf16, gate, i, count, d * u * (s * (1.0f + g * (1.0f - s))));
    store_as(bf16, up, i, count, d * (g * s));
}

CK_INLINE void swiglu_backward_rows(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        void *gate = row_of(task->x, row), *up = row_of(task->y, row);
        const void *dy = row_of(task->z, row);
        int64_t i = 0;
        for (; i + CK_LANES <= task->size; i += CK_LANES) swiglu_gradient_vector(bf16, gate, up, dy, i, CK_LANES);
        if (i < task->size) swiglu_gradient_vector(bf16, gate, up, dy, i, task->size - i);
    }
}

static void swiglu_backward(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(swiglu_backward_rows, is_bf16(task->x), task, begin, end);
}

CK_INLINE void copy_rows(bool xb, bool yb, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const void *x = row_of(task->x, task->ids == NULL ? row : task->ids[row]);
        void *y = row_of(task->y, row);
        int64_t i = 0;
        for (; i + CK_LANES <= task->size; i += CK_LANES) {
            store_as(yb, y, i, CK_LANES, load_as(xb, x, i, CK_LANES, 0));
        }
        int64_t left = task->size - i;
        if (left > 0) store_as(yb, y, i, left, load_as(xb, x, i, left, 0));
    }
}

static void copy(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_2(copy_rows, is_bf16(task->x), is_bf16(task->y), task, begin, end);
}

CK_INLINE void scale_vector(bool xb, bool yb, const void *x, void *y, const ck_train_task *task, float factor,
                            int64_t i, int64_t count) {
    ck_floats v = load_as(xb, x, i, count, 0) * factor;
    if (task->weight != NULL) v *= load_as(false, task->weight, i, count, 0);
    if (task->accumulate) v = load_as(yb, y, i, count, 0) + v;
    store_as(yb, y, i, count, v);
}

CK_INLINE void scale_rows(bool xb, bool yb, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const void *x = row_of(task->x, row);
        void *y = row_of(task->y, row);
        float factor = task->row_factors == NULL ? task->factor : task->factor * task->row_factors[row];
        int64_t i = 0;
        for (; i + CK_LANES <= task->size; i += CK_LANES) scale_vector(xb, yb, x, y, task, factor, i, CK_LANES);
        if (i < task->size) scale_vector(xb, yb, x, y, task, factor, i, task->size - i);
    }
}

static void scale(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_2(scale_rows, is_bf16(task->x), is_bf16(task->y), task, begin, end);
}

#endif
