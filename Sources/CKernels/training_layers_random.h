// Random numbers from a counter, Philox 4x32-10 (Salmon et al., SC 2011), 16 blocks of 4 words at a time. Element i is
// in group i / 64; word (i % 64) / 16 of the block that lane i % 16 of the group counts is its own, so that words come
// out in the order of the elements. Each instruction set's file includes this one.
#ifndef CKERNELS_TRAINING_LAYERS_RANDOM_H
#define CKERNELS_TRAINING_LAYERS_RANDOM_H

#include "training_layers_kernels.h"
#include "training_layers_lanes.h"

// The third word of the counter keeps streams of one seed apart.
enum { CK_STREAM_UNIFORM = 0, CK_STREAM_NORMAL = 1, CK_STREAM_DROPOUT = 2 };

#define CK_LOW_WORDS 0xffffffffull

// The halves of each lane's product of 64 bits. The lower half has a product of its own: taken from those of 64 bits,
// the compiler makes these of operands of 64 bits too, which are slow.
CK_INLINE void multiply(ck_unsigned_words a, uint32_t factor, ck_unsigned_words *low, ck_unsigned_words *high) {
    ck_unsigned_longs even = ((ck_unsigned_longs)a & CK_LOW_WORDS) * (uint64_t)factor;
    ck_unsigned_longs odd = ((ck_unsigned_longs)a >> 32) * (uint64_t)factor;
    *low = a * factor;
    *high = (ck_unsigned_words)(even >> 32 | (odd & ~CK_LOW_WORDS));
}

// The words of a group's 64 elements.
CK_INLINE void random_words(uint64_t seed, uint32_t stream, int64_t group, ck_unsigned_words words[4]) {
    uint64_t block = (uint64_t)group * CK_LANES;
    ck_unsigned_words lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ck_unsigned_words zero = {0};
    ck_unsigned_words c0 = lanes + (uint32_t)block, c1 = zero + (uint32_t)(block >> 32), c2 = zero + stream, c3 = zero;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        ck_unsigned_words low0, high0, low1, high1;
        multiply(c0, 0xd2511f53, &low0, &high0);
        multiply(c2, 0xcd9e8d57, &low1, &high1);
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

CK_INLINE void dropout_vector(bool bf16, const void *x, void *y, const ck_train_task *task, const uint32_t *words,
                              int64_t i, int64_t count) {
    ck_words kept = (ck_words)(*(const ck_unsigned_words *)words >= task->threshold);
    ck_floats v = choose(kept, load_as(bf16, x, i, count, 0) * task->factor, all_lanes(0));
    if (task->accumulate) v = load_as(bf16, y, i, count, 0) + v;
    store_as(bf16, y, i, count, v);
}

CK_INLINE void dropout_rows(bool bf16, const ck_train_task *task, int64_t begin, int64_t end) {
    // Vectors that begin at a group's last words reach beyond them.
    uint32_t words[CK_TRAIN_GROUP + CK_LANES] = {0};
    for (int64_t row = begin; row < end; row++) {
        const void *x = row_of(task->x, row);
        void *y = row_of(task->y, row);
        int64_t first = row * task->size, column = 0;
        while (column < task->size) {
            int64_t group = (first + column) / CK_TRAIN_GROUP, within = (first + column) % CK_TRAIN_GROUP;
            random_words(task->seed, CK_STREAM_DROPOUT, group, (ck_unsigned_words *)words);
            int64_t left = task->size - column, count = CK_TRAIN_GROUP - within;
            count = left < count ? left : count;
            int64_t i = 0;
            for (; i + CK_LANES <= count; i += CK_LANES) {
                dropout_vector(bf16, x, y, task, words + within + i, column + i, CK_LANES);
            }
            if (i < count) dropout_vector(bf16, x, y, task, words + within + i, column + i, count - i);
            column += count;
        }
    }
}

static void dropout(const ck_train_task *task, int64_t begin, int64_t end) {
    CK_FOR_EACH_1(dropout_rows, is_bf16(task->x), task, begin, end);
}

// Elements of `group` that there are.
CK_INLINE int64_t group_count(const ck_train_task *task, int64_t group) {
    int64_t left = task->size - group * CK_TRAIN_GROUP;
    return left < CK_TRAIN_GROUP ? left : CK_TRAIN_GROUP;
}

// The upper 24 bits as multiples of 2^-23 from -1 on, which are all exact.
static void uniform(const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
        ck_unsigned_words words[4];
        float values[CK_TRAIN_GROUP];
        random_words(task->seed, CK_STREAM_UNIFORM, group, words);
        for (int v = 0; v < 4; v++) {
            ck_floats steps = __builtin_convertvector((ck_words)(words[v] >> 8), ck_floats);
            store(values + v * CK_LANES, (steps * 0x1p-23f - 1.0f) * task->factor);
        }
        memcpy(task->floats + group * CK_TRAIN_GROUP, values, (size_t)group_count(task, group) * sizeof *values);
    }
}

// Box and Muller, 1958: of two words the first makes the radius, the second the angle, in double. Elements 0-15 and
// 16-31 of a group share their words, as do 32-47 and 48-63.
static void normal(const ck_train_task *task, int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
        uint32_t words[CK_TRAIN_GROUP];
        float values[CK_TRAIN_GROUP];
        random_words(task->seed, CK_STREAM_NORMAL, group, (ck_unsigned_words *)words);
        for (int i = 0; i < CK_TRAIN_GROUP; i++) {
            int partner = i + CK_LANES;
            if (i / CK_LANES % 2 != 0) continue;
            double radius = sqrt(-2 * log(((double)words[i] + 1) * 0x1p-32)) * (double)task->factor;
            double angle = (double)words[partner] * (0x1p-32 * 2 * 3.14159265358979323846);
            values[i] = (float)(radius * cos(angle));
            values[partner] = (float)(radius * sin(angle));
        }
        memcpy(task->floats + group * CK_TRAIN_GROUP, values, (size_t)group_count(task, group) * sizeof *values);
    }
}

#endif
