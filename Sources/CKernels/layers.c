// The parts of a transformer layer that work row by row: chooses the kernels and divides the rows among
// threads.

#include "include/layers.h"

#include "include/cpu.h"
#include "layers_kernels.h"

// Elements in a chunk: some microseconds of work, well above what it costs to claim one.
#define CHUNK_ELEMENTS 8192

static const ck_layer_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512) return &ck_layers_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_layers_avx2;
#endif
    return &ck_layers_portable;
}

// Rows, or for `add` elements, of one computation; each kernel uses the fields of its own.
typedef struct row_task {
    const ck_layer_kernels *kernels;
    int64_t rows;
    int64_t rows_per_chunk;
    int64_t size;
    const float *x;
    int64_t ldx;
    const float *weight;
    float epsilon;
    float *y;
    int64_t ldy;
    int64_t heads;
    const float *cosines;
    const float *sines;
    const int32_t *positions;
} row_task;

static int64_t last_row(const row_task *task, int64_t chunk) {
    int64_t end = (chunk + 1) * task->rows_per_chunk;
    return end < task->rows ? end : task->rows;
}

static void run_rows(ck_pool *pool, row_task *task, int64_t row_elements, ck_task body) {
    if (task->rows <= 0 || row_elements <= 0) return;
    task->kernels = kernels();
    task->rows_per_chunk = row_elements < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / row_elements : 1;
    ck_pool_run(pool, (task->rows + task->rows_per_chunk - 1) / task->rows_per_chunk, body, task);
}

static void rms_norm_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const row_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->rms_norm(task->x + row * task->ldx, task->weight, task->epsilon, task->size,
                                task->y + row * task->ldy);
    }
}

void ck_rms_norm(ck_pool *pool, const float *x, int64_t ldx, const float *weight, float epsilon, int64_t rows,
                 int64_t size, float *y, int64_t ldy) {
    row_task task = {.rows = rows, .size = size, .x = x, .ldx = ldx, .weight = weight, .epsilon = epsilon,
                     .y = y, .ldy = ldy};
    run_rows(pool, &task, size, rms_norm_chunk);
}

static void rope_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const row_task *task = context;
    const ck_layer_kernels *kernels = task->kernels;
    int64_t half = task->size;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        int64_t at = task->positions[row] * half;
        kernels->rope(task->y + row * task->ldy, task->heads, half, task->cosines + at, task->sines + at);
    }
}

void ck_rope(ck_pool *pool, float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim,
             const float *cosines, const float *sines, const int32_t *positions) {
    row_task task = {.rows = rows, .size = head_dim / 2, .y = x, .ldy = ldx, .heads = heads,
                     .cosines = cosines, .sines = sines, .positions = positions};
    run_rows(pool, &task, heads * head_dim, rope_chunk);
}

static void swiglu_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const row_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->swiglu(task->x + row * task->ldx, task->weight + row * task->ldx, task->size,
                              task->y + row * task->ldy);
    }
}

void ck_swiglu(ck_pool *pool, const float *gate, const float *up, int64_t ldg, int64_t rows, int64_t size,
               float *y, int64_t ldy) {
    row_task task = {.rows = rows, .size = size, .x = gate, .ldx = ldg, .weight = up, .y = y, .ldy = ldy};
    run_rows(pool, &task, size, swiglu_chunk);
}

static void add_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const row_task *task = context;
    int64_t start = chunk * task->rows_per_chunk;
    task->kernels->add(task->x + start, task->y + start, last_row(task, chunk) - start);
}

void ck_add(ck_pool *pool, const float *x, float *y, int64_t count) {
    row_task task = {.rows = count, .x = x, .y = y};
    run_rows(pool, &task, 1, add_chunk);
}

static void softmax_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const row_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->softmax(task->y + row * task->ldy, task->size);
    }
}

void ck_softmax(ck_pool *pool, float *x, int64_t ldx, int64_t rows, int64_t size) {
    row_task task = {.rows = rows, .size = size, .y = x, .ldy = ldx};
    run_rows(pool, &task, size, softmax_chunk);
}

int64_t ck_argmax(const float *x, int64_t count) { return kernels()->argmax(x, count); }

double ck_log_sum_exp(const float *x, int64_t count) { return kernels()->log_sum_exp(x, count); }

void ck_exp(const float *x, float *y, int64_t count) { kernels()->exp(x, y, count); }
