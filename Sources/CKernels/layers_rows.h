// The row-wise layers, written once over vectors of 16 floats. Each instruction set's file includes this one.
#ifndef CKERNELS_LAYERS_ROWS_H
#define CKERNELS_LAYERS_ROWS_H

#include "lanes.h"
#include "layers_kernels.h"

// Sums run in 64 lanes, so that additions do not wait for each other and a sum of n has a chain of n / 64.
#define CK_SUMS 4
#define CK_STRIDE (CK_SUMS * CK_LANES)

CK_INLINE float sum_of_all(const ck_floats sums[CK_SUMS]) {
    return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void rms_norm(const float *x, const float *weight, float epsilon, int64_t size, float *y) {
    ck_floats squares[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= size; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) {
            ck_floats v = load(x + i + s * CK_LANES);
            squares[s] += v * v;
        }
    }
    for (; i < size; i += CK_LANES) {
        ck_floats v = i + CK_LANES <= size ? load(x + i) : load_part(x + i, size - i, 0);
        squares[0] += v * v;
    }
    float scale = 1 / sqrtf(sum_of_all(squares) / (float)size + epsilon);
    for (i = 0; i + CK_LANES <= size; i += CK_LANES) store(y + i, load(weight + i) * (load(x + i) * scale));
    for (; i < size; i++) y[i] = weight[i] * (x[i] * scale);
}

static void rope(float *x, int64_t heads, int64_t half, const float *restrict cosines,
                 const float *restrict sines) {
    for (int64_t head = 0; head < heads; head++) {
        float *restrict first = x + head * 2 * half;
        float *restrict second = first + half;
        for (int64_t j = 0; j < half; j++) {
            float a = first[j], b = second[j];
            first[j] = a * cosines[j] - b * sines[j];
            second[j] = b * cosines[j] + a * sines[j];
        }
    }
}

CK_INLINE ck_floats gated(ck_floats gate, ck_floats up) { return gate / (1.0f + exponential(-gate)) * up; }

static void swiglu(const float *gate, const float *up, int64_t size, float *y) {
    int64_t i = 0;
    for (; i + CK_LANES <= size; i += CK_LANES) store(y + i, gated(load(gate + i), load(up + i)));
    if (i == size) return;
    int64_t left = size - i;
    store_part(y + i, left, gated(load_part(gate + i, left, 0), load_part(up + i, left, 0)));
}

static void add(const float *restrict x, float *restrict y, int64_t count) {
    for (int64_t i = 0; i < count; i++) y[i] += x[i];
}

// The largest element that is not NaN, or -infinity.
CK_INLINE float largest(const float *x, int64_t count) {
    ck_floats most[CK_SUMS];
    for (int s = 0; s < CK_SUMS; s++) most[s] = all_lanes(-INFINITY);
    int64_t i = 0;
    for (; i + CK_STRIDE <= count; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) most[s] = larger(load(x + i + s * CK_LANES), most[s]);
    }
    for (; i + CK_LANES <= count; i += CK_LANES) most[0] = larger(load(x + i), most[0]);
    if (i < count) most[0] = larger(load_part(x + i, count - i, -INFINITY), most[0]);
    return largest_lane(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}

static void softmax(float *x, int64_t size) {
    float most = largest(x, size);
    ck_floats sums[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= size; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) {
            ck_floats e = exponential(load(x + i + s * CK_LANES) - most);
            sums[s] += e;
            store(x + i + s * CK_LANES, e);
        }
    }
    for (; i < size; i += CK_LANES) {
        int64_t left = size - i < CK_LANES ? size - i : CK_LANES;
        ck_floats e = exponential((left < CK_LANES ? load_part(x + i, left, -INFINITY) : load(x + i)) - most);
        sums[0] += e;
        store_part(x + i, left, e);
    }
    float scale = 1 / sum_of_all(sums);
    for (i = 0; i < size; i++) x[i] *= scale;
}

static int64_t argmax(const float *x, int64_t count) {
    float most = largest(x, count);
    int64_t i = 0;
    while (i + CK_LANES <= count && !any_lane(load(x + i) == most)) i += CK_LANES;
    for (; i < count; i++) {
        if (x[i] == most) return i;
    }
    return 0;
}

// Eight lanes, which is as many doubles as there are bytes in a ck_floats.
typedef double ck_doubles __attribute__((vector_size(64)));
typedef float ck_half_floats __attribute__((vector_size(32)));

CK_INLINE ck_doubles widened(ck_floats v, int half) {
    ck_half_floats part;
    memcpy(&part, (const char *)&v + half * (int)sizeof part, sizeof part);
    return __builtin_convertvector(part, ck_doubles);
}

static double log_sum_exp(const float *x, int64_t count) {
    float most = largest(x, count);
    if (isinf(most) && most > 0) return most;
    // All are -infinity, or NaN, which must not be lost.
    if (isinf(most)) {
        for (int64_t i = 0; i < count; i++) {
            if (isnan(x[i])) return (double)NAN;
        }
        return (double)most;
    }
    ck_doubles sums[2] = {0};
    for (int64_t i = 0; i < count; i += CK_LANES) {
        ck_floats v = i + CK_LANES <= count ? load(x + i) : load_part(x + i, count - i, -INFINITY);
        ck_floats e = exponential(v - most);
        sums[0] += widened(e, 0);
        sums[1] += widened(e, 1);
    }
    ck_doubles both = sums[0] + sums[1];
    double sum = 0;
    for (int lane = 0; lane < 8; lane++) sum += both[lane];
    return (double)most + log(sum);
}

static void exponentials(const float *x, float *y, int64_t count) {
    int64_t i = 0;
    for (; i + CK_LANES <= count; i += CK_LANES) store(y + i, exponential(load(x + i)));
    if (i < count) store_part(y + i, count - i, exponential(load_part(x + i, count - i, 0)));
}

#define CK_LAYER_KERNELS                                                                                     \
    {                                                                                                        \
        .rms_norm = rms_norm, .rope = rope, .swiglu = swiglu, .add = add, .softmax = softmax,                \
        .argmax = argmax, .log_sum_exp = log_sum_exp, .exp = exponentials,                                   \
    }

#endif
