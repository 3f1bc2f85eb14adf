// Training's layers that work row by row: chooses the kernels and divides the work among threads. What is added up over
// rows has sums for each chunk of rows, and these are added in order.

#include "include/training_layers.h"

#include <math.h>
#include <string.h>

#include "include/cpu.h"
#include "training_layers_kernels.h"

// Elements in a chunk: some microseconds of work, well above what it costs to claim one.
#define CHUNK_ELEMENTS 16384

// Floats on the stack for the sums of all chunks, and how many chunks of rows there are at most.
#define PART_FLOATS 65536
#define MOST_PARTS 64

// Columns whose sums are made at a time: long pieces of rows, and parts enough for many threads.
#define STRIP_COLUMNS 2048

// Columns of a chunk of a table that rows are added to.
#define TABLE_COLUMNS 64

// Chunks of a sum whose parts are kept on the stack at a time.
#define SUM_PARTS 512

static const ck_train_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512) return &ck_train_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_train_avx2;
#endif
    return &ck_train_portable;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static ck_rows matrix(ck_type type, const void *data, int64_t stride) {
    return (ck_rows){.type = type, .data = (void *)data, .stride = stride};
}

static void run_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const ck_train_task *task = context;
    int64_t begin = chunk * task->units_per_chunk;
    task->kernel(task, begin, smaller(begin + task->units_per_chunk, task->units));
}

static void run(ck_pool *pool, ck_train_task *task) {
    if (task->units <= 0) return;
    ck_pool_run(pool, (task->units + task->units_per_chunk - 1) / task->units_per_chunk, run_chunk, task);
}

static void run_rows(ck_pool *pool, ck_train_task *task, int64_t rows, int64_t row_elements) {
    if (row_elements <= 0) return;
    task->units = rows;
    task->units_per_chunk = row_elements < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / row_elements : 1;
    run(pool, task);
}

// Runs rows whose kernel adds something up, then adds the chunks' sums to `sums`. How many chunks there are depends on
// the shape alone.
static void run_sums(ck_pool *pool, ck_train_task *task, int64_t rows, int64_t row_elements, float *sums) {
    if (rows <= 0 || row_elements <= 0) return;
    int64_t parts = smaller(smaller(MOST_PARTS, PART_FLOATS / task->size), rows * row_elements / CHUNK_ELEMENTS);
    task->units = rows;
    task->units_per_chunk = parts <= 1 ? rows : (rows + parts - 1) / parts;
    if (parts <= 1) {
        task->parts = sums;
        run(pool, task);
        return;
    }
    float scratch[PART_FLOATS];
    parts = (rows + task->units_per_chunk - 1) / task->units_per_chunk;
    memset(scratch, 0, (size_t)(parts * task->size) * sizeof *scratch);
    task->parts = scratch;
    run(pool, task);
    // All parts are added to the same row.
    ck_train_task sum = {.x = matrix(CK_F32, scratch, task->size),
                         .y = matrix(CK_F32, sums, 0),
                         .size = task->size,
                         .factor = 1,
                         .accumulate = true};
    kernels()->scale(&sum, 0, parts);
}

// Rows of any types, which are few: a block at a time through floats.
static void copy_any(const ck_train_task *task, int64_t begin, int64_t end) {
    float block[256];
    int64_t x_bytes = ck_type_bytes(task->x.type), y_bytes = ck_type_bytes(task->y.type);
    for (int64_t row = begin; row < end; row++) {
        int64_t source = task->ids == NULL ? row : task->ids[row];
        const char *x = (const char *)task->x.data + source * task->x.stride * x_bytes;
        char *y = (char *)task->y.data + row * task->y.stride * y_bytes;
        for (int64_t i = 0; i < task->size; i += 256) {
            int64_t count = smaller(256, task->size - i);
            ck_to_f32(task->x.type, x + i * x_bytes, block, count);
            ck_from_f32(task->y.type, block, y + i * y_bytes, count);
        }
    }
}

static ck_train_kernel copy_kernel(ck_type from, ck_type to) {
    bool is_usual = (from == CK_F32 || from == CK_BF16) && (to == CK_F32 || to == CK_BF16);
    return is_usual ? kernels()->copy : copy_any;
}

void ck_train_rms_norm(ck_pool *pool, const ck_norm *norm, ck_type y_type, void *y, int64_t y_stride) {
    ck_train_task task = {.kernel = kernels()->norm,
                          .x = matrix(norm->x_type, norm->x, norm->x_stride),
                          .y = matrix(y_type, y, y_stride),
                          .groups = norm->groups,
                          .size = norm->size,
                          .weight = norm->weight,
                          .epsilon = norm->epsilon,
                          .floats = norm->inverse_rms};
    run_rows(pool, &task, norm->rows, norm->groups * norm->size);
}

void ck_train_rms_norm_backward(ck_pool *pool, const ck_norm *norm, ck_type dy_type, const void *dy, int64_t dy_stride,
                                ck_type dx_type, void *dx, int64_t dx_stride, bool accumulate,
                                float *weight_gradient) {
    ck_train_task task = {.kernel = kernels()->norm_backward,
                          .x = matrix(norm->x_type, norm->x, norm->x_stride),
                          .y = matrix(dy_type, dy, dy_stride),
                          .z = matrix(dx_type, dx, dx_stride),
                          .groups = norm->groups,
                          .size = norm->size,
                          .weight = norm->weight,
                          .row_factors = norm->inverse_rms,
                          .accumulate = accumulate};
    int64_t row_elements = norm->groups * norm->size;
    if (weight_gradient == NULL) run_rows(pool, &task, norm->rows, row_elements);
    else run_sums(pool, &task, norm->rows, row_elements, weight_gradient);
}

void ck_train_rope(ck_pool *pool, ck_type type, void *x, int64_t x_stride, int64_t rows, int64_t heads,
                   int64_t head_dim, const float *cosines, const float *sines, const int32_t *positions, bool inverse) {
    ck_train_task task = {.kernel = kernels()->rope,
                          .x = matrix(type, x, x_stride),
                          .groups = heads,
                          .size = head_dim / 2,
                          .cosines = cosines,
                          .sines = sines,
                          .ids = positions,
                          .factor = inverse ? -1 : 1};
    run_rows(pool, &task, rows, heads * head_dim);
}

void ck_train_swiglu(ck_pool *pool, ck_type type, const void *gate, const void *up, int64_t stride, int64_t rows,
                     int64_t size, void *y, int64_t y_stride) {
    ck_train_task task = {.kernel = kernels()->swiglu,
                          .x = matrix(type, gate, stride),
                          .y = matrix(type, up, stride),
                          .z = matrix(type, y, y_stride),
                          .size = size};
    run_rows(pool, &task, rows, size);
}

void ck_train_swiglu_backward(ck_pool *pool, ck_type type, void *gate, void *up, int64_t stride, int64_t rows,
                              int64_t size, const void *dy, int64_t dy_stride) {
    ck_train_task task = {.kernel = kernels()->swiglu_backward,
                          .x = matrix(type, gate, stride),
                          .y = matrix(type, up, stride),
                          .z = matrix(type, dy, dy_stride),
                          .size = size};
    run_rows(pool, &task, rows, size);
}

void ck_train_gather(ck_pool *pool, ck_type t_type, const void *table, int64_t table_stride, const int32_t *ids,
                     int64_t rows, int64_t size, ck_type d_type, void *destination, int64_t stride) {
    ck_train_task task = {.kernel = copy_kernel(t_type, d_type),
                          .x = matrix(t_type, table, table_stride),
                          .y = matrix(d_type, destination, stride),
                          .size = size,
                          .ids = ids};
    run_rows(pool, &task, rows, size);
}

void ck_train_scatter_add(ck_pool *pool, const int32_t *ids, int64_t rows, int64_t size, ck_type dy_type,
                          const void *dy, int64_t dy_stride, float *table_gradient, int64_t table_stride) {
    ck_train_task task = {.kernel = kernels()->scatter_add,
                          .x = matrix(dy_type, dy, dy_stride),
                          .y = matrix(CK_F32, table_gradient, table_stride),
                          .rows = rows,
                          .units = rows > 0 ? size : 0,
                          .units_per_chunk = TABLE_COLUMNS,
                          .ids = ids};
    run(pool, &task);
}

void ck_train_cross_entropy(ck_pool *pool, const float *logits, int64_t stride, int64_t rows, int64_t vocabulary,
                            const int32_t *targets, const float *coefficients, float *log_probs, uint8_t *correct,
                            float *means, ck_type g_type, void *gradients, int64_t gradients_stride) {
    ck_train_task task = {.kernel = kernels()->cross_entropy,
                          .x = matrix(CK_F32, logits, stride),
                          .y = matrix(g_type, gradients, gradients_stride),
                          .size = vocabulary,
                          .ids = targets,
                          .row_factors = coefficients,
                          .log_probs = log_probs,
                          .correct = correct,
                          .means = means};
    run_rows(pool, &task, rows, vocabulary);
}

void ck_train_scale(ck_pool *pool, ck_type x_type, const void *x, int64_t x_stride, int64_t rows, int64_t columns,
                    float factor, const float *row_factors, const float *column_factors, ck_type y_type, void *y,
                    int64_t y_stride, bool accumulate) {
    ck_train_task task = {.kernel = kernels()->scale,
                          .x = matrix(x_type, x, x_stride),
                          .y = matrix(y_type, y, y_stride),
                          .size = columns,
                          .factor = factor,
                          .row_factors = row_factors,
                          .weight = column_factors,
                          .accumulate = accumulate};
    run_rows(pool, &task, rows, columns);
}

void ck_train_column_sums(ck_pool *pool, ck_type type, const void *x, int64_t x_stride, const void *y,
                          int64_t y_stride, int64_t rows, int64_t columns, float *sums) {
    for (int64_t column = 0; column < columns; column += STRIP_COLUMNS) {
        const char *x_part = (const char *)x + column * ck_type_bytes(type);
        const char *y_part = y == NULL ? NULL : (const char *)y + column * ck_type_bytes(type);
        ck_train_task task = {.kernel = kernels()->column_sums,
                              .x = matrix(type, x_part, x_stride),
                              .y = matrix(type, y_part, y_stride),
                              .size = smaller(STRIP_COLUMNS, columns - column)};
        run_sums(pool, &task, rows, task.size, sums + column);
    }
}

void ck_train_dropout(ck_pool *pool, ck_type type, const void *x, int64_t x_stride, int64_t rows, int64_t columns,
                      float probability, uint64_t seed, void *y, int64_t y_stride, bool accumulate) {
    // Every word is at least 0 and only the largest is at least 2^32 - 1, for which a factor of 0 makes up.
    double threshold = fmin(fmax(rint((double)probability * 0x1p32), 0), (double)UINT32_MAX);
    ck_train_task task = {.kernel = kernels()->dropout,
                          .x = matrix(type, x, x_stride),
                          .y = matrix(type, y, y_stride),
                          .size = columns,
                          .factor = probability < 1 ? (float)(1 / (1 - (double)probability)) : 0,
                          .threshold = (uint32_t)threshold,
                          .seed = seed,
                          .accumulate = accumulate};
    run_rows(pool, &task, rows, columns);
}

static void draw(ck_pool *pool, ck_train_kernel kernel, uint64_t seed, float factor, float *y, int64_t count) {
    ck_train_task task = {.kernel = kernel, .size = count, .factor = factor, .floats = y, .seed = seed};
    int64_t groups = (count + CK_TRAIN_GROUP - 1) / CK_TRAIN_GROUP;
    if (count > 0) run_rows(pool, &task, groups, CK_TRAIN_GROUP);
}

void ck_train_normal(ck_pool *pool, uint64_t seed, float deviation, float *y, int64_t count) {
    draw(pool, kernels()->normal, seed, deviation, y, count);
}

void ck_train_uniform(ck_pool *pool, uint64_t seed, float bound, float *y, int64_t count) {
    draw(pool, kernels()->uniform, seed, bound, y, count);
}

double ck_train_sum_of_squares(ck_pool *pool, ck_type type, const void *x, int64_t count) {
    double parts[SUM_PARTS], sum = 0;
    ck_rows elements = matrix(type, x, 1);
    for (int64_t start = 0; start < count; start += SUM_PARTS * CHUNK_ELEMENTS) {
        ck_train_task task = {.kernel = kernels()->sum_of_squares,
                              .x = matrix(type, row_of(elements, start), 1),
                              .rows = smaller(SUM_PARTS * CHUNK_ELEMENTS, count - start),
                              .size = CHUNK_ELEMENTS,
                              .doubles = parts};
        int64_t chunks = (task.rows + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
        run_rows(pool, &task, chunks, CHUNK_ELEMENTS);
        for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk];
    }
    return sum;
}

void ck_train_row_norms(ck_pool *pool, ck_type type, const void *x, int64_t stride, int64_t rows, int64_t columns,
                        float *norms) {
    ck_train_task task = {
        .kernel = kernels()->row_norms, .x = matrix(type, x, stride), .size = columns, .floats = norms};
    // Rows without elements have norms too.
    run_rows(pool, &task, rows, columns > 0 ? columns : 1);
}

void ck_train_convert(ck_pool *pool, ck_type s_type, const void *source, int64_t s_stride, int64_t rows,
                      int64_t columns, ck_type d_type, void *destination, int64_t d_stride) {
    ck_train_task task = {.kernel = copy_kernel(s_type, d_type),
                          .x = matrix(s_type, source, s_stride),
                          .y = matrix(d_type, destination, d_stride),
                          .size = columns};
    run_rows(pool, &task, rows, columns);
}
