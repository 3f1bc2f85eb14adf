// Quantization of weights block by block: chooses the kernels and divides the blocks or rows among threads.

#include "include/block_quantization.h"

#include <math.h>

#include "block_quantization_kernels.h"
#include "include/cpu.h"
#include "optimizers_codes.h"

// Elements in a chunk, a whole number of blocks: some microseconds of work.
#define CHUNK_ELEMENTS 16384

static const ck_block_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512) return &ck_blocks_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_blocks_avx2;
#endif
    return &ck_blocks_portable;
}

const float *ck_nf4_codebook(void) {
    static const float codebook[16] = {
        -1,
        -0.6961928009986877f,
        -0.5250730514526367f,
        -0.39491748809814453f,
        -0.28444138169288635f,
        -0.18477343022823334f,
        -0.09105003625154495f,
        0,
        0.07958029955625534f,
        0.16093020141124725f,
        0.24611230194568634f,
        0.33791524171829224f,
        0.44070982933044434f,
        0.5626170039176941f,
        0.7229568362236023f,
        1,
    };
    return codebook;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Elements, or rows, of one computation; each chunk uses the fields of its own.
typedef struct block_task {
    const ck_block_kernels *kernels;
    bool bf16;
    int64_t start, count, rows_per_chunk, columns;
    const void *source;
    void *destination;
    uint8_t *codes;
    float *scales;
} block_task;

static int64_t chunks_of(int64_t count, int64_t chunk) { return (count + chunk - 1) / chunk; }

static void quantize_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const block_task *task = context;
    int64_t start = chunk * CHUNK_ELEMENTS;
    const char *source = (const char *)task->source + start * (task->bf16 ? 2 : 4);
    task->kernels->nf4_quantize(task->bf16, source, smaller(CHUNK_ELEMENTS, task->count - start),
                                task->codes + start / 2, task->scales + start / CK_NF4_BLOCK);
}

void ck_nf4_quantize(ck_pool *pool, ck_type type, const void *source, int64_t count, uint8_t *codes, float *scales) {
    block_task task = {.kernels = kernels(), .bf16 = type == CK_BF16, .count = count, .source = source,
                       .codes = codes, .scales = scales};
    if (count > 0) ck_pool_run(pool, chunks_of(count, CHUNK_ELEMENTS), quantize_chunk, &task);
}

static void dequantize_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const block_task *task = context;
    int64_t at = chunk * CHUNK_ELEMENTS;
    char *destination = (char *)task->destination + at * (task->bf16 ? 2 : 4);
    task->kernels->nf4_dequantize(task->bf16, task->codes, task->scales, task->start + at,
                                  smaller(CHUNK_ELEMENTS, task->count - at), destination);
}

void ck_nf4_dequantize(ck_pool *pool, const uint8_t *codes, const float *scales, int64_t start, int64_t count,
                       ck_type type, void *destination) {
    block_task task = {.kernels = kernels(), .bf16 = type == CK_BF16, .start = start, .count = count,
                       .codes = (uint8_t *)codes, .scales = (float *)scales, .destination = destination};
    if (count > 0) ck_pool_run(pool, chunks_of(count, CHUNK_ELEMENTS), dequantize_chunk, &task);
}

// The code nearest to a value; the lower one of two as near.
static uint8_t nearest_code(const float values[256], float value) {
    int low = 0, high = 255;
    while (low < high) {
        int middle = (low + high) / 2;
        bool is_above = 2 * (double)value > (double)values[middle] + (double)values[middle + 1];
        if (is_above) low = middle + 1;
        else high = middle;
    }
    return (uint8_t)low;
}

void ck_nf4_quantize_scales(const float *scales, int64_t count, uint8_t *codes, float *block_scales, float *offset) {
    const float *values = ck_get_dynamic_codes()->signed_values;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)scales[i];
    *offset = count > 0 ? (float)(sum / (double)count) : 0;
    for (int64_t start = 0; start < count; start += CK_NF4_SCALES_BLOCK) {
        int64_t end = smaller(start + CK_NF4_SCALES_BLOCK, count);
        float most = 0;
        for (int64_t i = start; i < end; i++) {
            float magnitude = fabsf(scales[i] - *offset);
            // NaN is kept, as it compares with nothing.
            most = magnitude <= most ? most : magnitude;
            if (isnan(magnitude)) break;
        }
        block_scales[start / CK_NF4_SCALES_BLOCK] = most;
        for (int64_t i = start; i < end; i++) {
            codes[i] = nearest_code(values, (scales[i] - *offset) / (most == 0 ? 1 : most));
        }
    }
}

void ck_nf4_dequantize_scales(const uint8_t *codes, const float *block_scales, float offset, int64_t count,
                              float *scales) {
    const float *values = ck_get_dynamic_codes()->signed_values;
    for (int64_t i = 0; i < count; i++) scales[i] = values[codes[i]] * block_scales[i / CK_NF4_SCALES_BLOCK] + offset;
}

static int64_t last_row(const block_task *task, int64_t chunk) {
    return smaller((chunk + 1) * task->rows_per_chunk, task->count);
}

static void int8_quantize_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const block_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        int64_t at = row * task->columns;
        const char *source = (const char *)task->source + at * (task->bf16 ? 2 : 4);
        task->scales[row] =
            task->kernels->int8_quantize(task->bf16, source, task->columns, (int8_t *)task->codes + at);
    }
}

static void int8_dequantize_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const block_task *task = context;
    for (int64_t row = chunk * task->rows_per_chunk; row < last_row(task, chunk); row++) {
        int64_t at = row * task->columns;
        char *destination = (char *)task->destination + at * (task->bf16 ? 2 : 4);
        task->kernels->int8_dequantize(task->bf16, (const int8_t *)task->codes + at, task->scales[row], task->columns,
                                       destination);
    }
}

static void run_rows(ck_pool *pool, block_task *task, ck_task chunk) {
    if (task->count <= 0 || task->columns < 0) return;
    int64_t columns = task->columns > 0 ? task->columns : 1;
    task->rows_per_chunk = columns < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / columns : 1;
    ck_pool_run(pool, chunks_of(task->count, task->rows_per_chunk), chunk, task);
}

void ck_int8_quantize_rows(ck_pool *pool, ck_type type, const void *source, int64_t rows, int64_t columns,
                           int8_t *codes, float *scales) {
    block_task task = {.kernels = kernels(), .bf16 = type == CK_BF16, .count = rows, .columns = columns,
                       .source = source, .codes = (uint8_t *)codes, .scales = scales};
    run_rows(pool, &task, int8_quantize_chunk);
}

void ck_int8_dequantize_rows(ck_pool *pool, const int8_t *codes, const float *scales, int64_t rows, int64_t columns,
                             ck_type type, void *destination) {
    block_task task = {.kernels = kernels(), .bf16 = type == CK_BF16, .count = rows, .columns = columns,
                       .codes = (uint8_t *)codes, .scales = (float *)scales, .destination = destination};
    run_rows(pool, &task, int8_dequantize_chunk);
}
