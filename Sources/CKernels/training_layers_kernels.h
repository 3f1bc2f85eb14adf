// Between the drivers of training's row-wise layers (training_layers.c) and the kernels of each instruction set.
#ifndef CKERNELS_TRAINING_LAYERS_KERNELS_H
#define CKERNELS_TRAINING_LAYERS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/convert.h"

// A matrix of F32 or BF16 elements.
typedef struct ck_rows {
    ck_type type;
    void *data;
    int64_t stride;
} ck_rows;

static inline bool is_bf16(ck_rows rows) { return rows.type == CK_BF16; }

static inline void *row_of(ck_rows rows, int64_t row) {
    return (char *)rows.data + row * rows.stride * (is_bf16(rows) ? 2 : 4);
}

typedef struct ck_train_task ck_train_task;

// Does the units from `begin` to before `end`: rows, columns, elements or groups of random numbers. The bits are the
// same for every instruction set.
typedef void (*ck_train_kernel)(const ck_train_task *task, int64_t begin, int64_t end);

// One computation; each kernel uses the fields of its own.
struct ck_train_task {
    ck_train_kernel kernel;
    int64_t units, units_per_chunk;

    // What is read and written; `x` first, the result last.
    ck_rows x, y, z;
    // Rows of `groups` neighboring vectors of `size` elements.
    int64_t rows, groups, size;
    bool accumulate;

    const float *weight;       // by column, or NULL for 1
    const float *row_factors;  // by row (and group: inverse roots), or NULL for 1
    float factor, epsilon;
    float *floats;  // inverse roots, norms, sums, random numbers
    double *doubles;
    float *parts;  // [chunks, size]: what each chunk adds its rows to; NULL if nothing is added up

    const int32_t *ids;  // rows of a table, positions, targets; NULL: the row's own number
    const float *cosines, *sines;

    float *log_probs, *means;
    uint8_t *correct;

    uint64_t seed;
    uint32_t threshold;  // random words below it drop their element
};

// The sums of the chunk that begins with a unit.
static inline float *part_of(const ck_train_task *task, int64_t begin) {
    return task->parts == NULL ? NULL : task->parts + begin / task->units_per_chunk * task->size;
}

typedef struct ck_train_kernels {
    ck_train_kernel norm, norm_backward, rope, swiglu, swiglu_backward, copy, scale;
    ck_train_kernel column_sums, scatter_add;
    ck_train_kernel cross_entropy;
    ck_train_kernel dropout, normal, uniform;
    ck_train_kernel sum_of_squares, row_norms;
} ck_train_kernels;

// Random numbers come in groups: element i is in group i / CK_TRAIN_GROUP.
#define CK_TRAIN_GROUP 64

extern const ck_train_kernels ck_train_portable;
#if defined(__x86_64__)
extern const ck_train_kernels ck_train_avx2, ck_train_avx512;
#endif

#endif
