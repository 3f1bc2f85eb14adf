// Cross-entropy of rows of logits, written once over vectors of 16 elements. A row goes through the first-level cache
// block by block: the block's maximum, then its sum of exponentials; the gradient is a second pass over the row. Each
// instruction set's file includes this one.
#ifndef CKERNELS_TRAINING_LAYERS_LOSS_H
#define CKERNELS_TRAINING_LAYERS_LOSS_H

#include "training_layers_kernels.h"
#include "training_layers_lanes.h"

// 16 KiB. Sums of a block are fp32 in 64 lanes, those of blocks are double.
#define CK_LOSS_BLOCK 4096

// What is known of a row up to some block.
typedef struct ck_row_summary {
    float most;          // the largest logit; NaN does not count
    int64_t most_block;  // where the first of the largest is
    double sum;          // of exp(logit - reference)
    double total;        // of logits
} ck_row_summary;

// What is taken from logits before exp: the maximum, unless nothing is known that exp could be taken of.
CK_INLINE float reference_of(float most) { return most == -INFINITY ? 0 : most; }

// The largest element that is not NaN, or -infinity.
CK_INLINE float largest_of(const float *x, int64_t count) {
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

// `exponential` of what is not above 0, the same bits for less: no overflow, and NaN survives the product.
CK_INLINE ck_floats exponential_below(ck_floats x) {
    ck_floats rounded = x * 1.44269504f + CK_ROUNDING;
    ck_floats n = rounded - CK_ROUNDING;
    ck_floats r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    ck_floats p = r * 0x1.6a2434p-10f + 0x1.1239e2p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    ck_floats y = ((p * (r * r) + r) + 1.0f) * scaled(all_lanes(1), rounded);
    return choose(x < -87.3365f, all_lanes(0), y);
}

CK_INLINE float sum_of_exponentials(const float *x, int64_t count, float reference) {
    ck_floats sums[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= count; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) sums[s] += exponential_below(load(x + i + s * CK_LANES) - reference);
    }
    for (; i + CK_LANES <= count; i += CK_LANES) sums[0] += exponential_below(load(x + i) - reference);
    if (i < count) sums[0] += exponential_below(load_part(x + i, count - i, -INFINITY) - reference);
    return sum_of_all(sums);
}

CK_INLINE float sum_of_elements(const float *x, int64_t count) {
    ck_floats sums[CK_SUMS] = {0};
    int64_t i = 0;
    for (; i + CK_STRIDE <= count; i += CK_STRIDE) {
        for (int s = 0; s < CK_SUMS; s++) sums[s] += load(x + i + s * CK_LANES);
    }
    for (; i + CK_LANES <= count; i += CK_LANES) sums[0] += load(x + i);
    if (i < count) sums[0] += load_part(x + i, count - i, 0);
    return sum_of_all(sums);
}

static ck_row_summary summary_of_row(const float *x, int64_t size, bool wants_total) {
    ck_row_summary row = {.most = -INFINITY};
    for (int64_t start = 0; start < size; start += CK_LOSS_BLOCK) {
        int64_t count = size - start < CK_LOSS_BLOCK ? size - start : CK_LOSS_BLOCK;
        float most = largest_of(x + start, count);
        if (most > row.most) {
            // Nothing has been added before the first maximum, unless it was NaN.
            if (row.most > -INFINITY) row.sum *= exp((double)row.most - (double)most);
            row.most = most;
            row.most_block = start;
        }
        row.sum += (double)sum_of_exponentials(x + start, count, reference_of(row.most));
        if (wants_total) row.total += (double)sum_of_elements(x + start, count);
    }
    return row;
}

CK_INLINE void gradient_vector(bool bf16, const float *x, float reference, float factor, void *gradient, int64_t i,
                               int64_t count) {
    store_as(bf16, gradient, i, count, exponential_below(load_as(false, x, i, count, 0) - reference) * factor);
}

// coefficient * (onehot - softmax). Ascending, and each vector read before it is written, so that the gradients may
// begin where the logits do even if they are narrower.
CK_INLINE void gradient_row(bool bf16, const float *x, int64_t size, const ck_row_summary *row, int32_t target,
                            double log_prob, float coefficient, void *gradient) {
    float reference = reference_of(row->most), factor = (float)(-(double)coefficient / row->sum);
    int64_t i = 0;
    for (; i + CK_LANES <= size; i += CK_LANES) gradient_vector(bf16, x, reference, factor, gradient, i, CK_LANES);
    if (i < size) gradient_vector(bf16, x, reference, factor, gradient, i, size - i);
    // 1 - p of the target.
    ck_floats own = all_lanes((float)((double)coefficient * -expm1(log_prob)));
    store_as(bf16, gradient, target, 1, own);
}

CK_INLINE void zero_row(bool bf16, void *gradient, int64_t size) { memset(gradient, 0, (size_t)size * (bf16 ? 2 : 4)); }

// Whether no logit is larger than the target's, and none before it is as large.
static uint8_t is_first_largest(const float *x, const ck_row_summary *row, int32_t target) {
    if (x[target] != row->most || target - row->most_block >= CK_LOSS_BLOCK) return 0;
    for (int64_t i = row->most_block; i < target; i++) {
        if (x[i] == row->most) return 0;
    }
    return 1;
}

CK_INLINE void cross_entropy_rows(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        const float *x = row_of(task->x, i);
        void *gradient = task->y.data == NULL ? NULL : row_of(task->y, i);
        int32_t target = task->ids[i];
        if (target < 0) {
            task->log_probs[i] = 0;
            if (task->correct != NULL) task->correct[i] = 0;
            if (task->means != NULL) task->means[i] = 0;
            if (gradient != NULL) zero_row(bf16, gradient, task->size);
            continue;
        }
        ck_row_summary row = summary_of_row(x, task->size, task->means != NULL);
        double log_prob = (double)x[target] - (double)reference_of(row.most) - log(row.sum);
        task->log_probs[i] = (float)log_prob;
        if (task->correct != NULL) task->correct[i] = is_first_largest(x, &row, target);
        if (task->means != NULL) task->means[i] = (float)(row.total / (double)task->size);
        if (gradient == NULL) continue;
        float coefficient = task->row_factors == NULL ? 1 : task->row_factors[i];
        gradient_row(bf16, x, task->size, &row, target, log_prob, coefficient, gradient);
    }
}

static void cross_entropy(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(cross_entropy_rows, is_bf16(task->y), task, begin, end);
}

#endif
