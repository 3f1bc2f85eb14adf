// Quantization by groups: chooses the kernels and divides the rows among threads.

#include "include/quantization.h"

#include "include/cpu.h"
#include "quantization_kernels.h"

// Weights in a chunk: some tens of microseconds of work.
#define CHUNK_ELEMENTS 16384
// A step of the search looks at each weight as often as its group has members.
#define SEARCH_ELEMENTS 512

static const ck_grid_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512) return &ck_grids_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_grids_avx2;
#endif
    return &ck_grids_portable;
}

// The rows of one computation.
typedef struct grid_task {
    const ck_grid_kernels *kernels;
    ck_grid grid;
    const float *w;
    int64_t rows, columns, stride, rows_per_chunk;
    uint8_t *codes, *zeros;
    float *scales;
    const float *hessian;
    int steps, grid_steps;
    const ck_gptq_block *block;
} grid_task;

static int64_t groups_of(const grid_task *task) { return (task->columns + task->grid.group - 1) / task->grid.group; }

static int64_t last_row(const grid_task *task, int64_t chunk) {
    int64_t end = (chunk + 1) * task->rows_per_chunk;
    return end < task->rows ? end : task->rows;
}

static void run(ck_pool *pool, grid_task *task, int64_t elements, ck_task work) {
    task->kernels = kernels();
    task->rows_per_chunk = elements / task->columns > 1 ? elements / task->columns : 1;
    ck_pool_run(pool, (task->rows + task->rows_per_chunk - 1) / task->rows_per_chunk, work, task);
}

static void quantize_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const grid_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->quantize_row(task->grid, task->w + row * task->stride, task->columns,
                                    task->codes + row * task->columns, task->scales + row * groups_of(task),
                                    task->zeros + row * groups_of(task));
    }
}

void ck_grid_quantize(ck_pool *pool, ck_grid grid, const float *w, int64_t rows, int64_t columns, int64_t stride,
                      uint8_t *codes, float *scales, uint8_t *zeros) {
    if (rows <= 0 || columns <= 0) return;
    grid_task task = {.grid = grid, .w = w, .rows = rows, .columns = columns, .stride = stride, .codes = codes,
                      .scales = scales, .zeros = zeros};
    run(pool, &task, CHUNK_ELEMENTS, quantize_chunk);
}

static void search_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const grid_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->search_bounds(task->grid, task->w + row * task->stride, task->columns, task->hessian,
                                     task->steps, task->grid_steps, task->scales + row * groups_of(task));
    }
}

void ck_grid_search_bounds(ck_pool *pool, ck_grid grid, const float *w, int64_t rows, int64_t columns,
                           const float *hessian, int steps, int grid_steps, float *bounds) {
    if (rows <= 0 || columns <= 0) return;
    grid_task task = {.grid = grid, .w = w, .rows = rows, .columns = columns, .stride = columns,
                      .hessian = hessian, .steps = steps, .grid_steps = grid_steps, .scales = bounds};
    run(pool, &task, SEARCH_ELEMENTS, search_chunk);
}

static void gptq_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const grid_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        task->kernels->gptq_row(task->block, row);
    }
}

void ck_gptq_quantize_block(ck_pool *pool, const ck_gptq_block *block) {
    if (block->rows <= 0 || block->count <= 0) return;
    grid_task task = {.rows = block->rows, .columns = block->count, .block = block};
    run(pool, &task, CHUNK_ELEMENTS / 8, gptq_chunk);
}
