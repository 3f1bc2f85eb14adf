// Matrix products with packed weights: how a product is cut into pieces for threads and caches. The arithmetic is
// in the files of the instruction sets, behind `ck_linear_kernels`.

#include "include/linear.h"

#include "include/cpu.h"
#include "linear_layout.h"

// A piece of a product has at most this many rows, a multiple of every block size.
#define CHUNK_ROWS 128
// Bytes of a panel that stay in the second-level cache while the rows of a piece pass by.
#define PANEL_CACHE_BYTES (480 * 1024)
// How far ahead of its products a panel is fetched where all its data are used once.
#define PREFETCH_BYTES 3072
// Below this many elements of activations, packing them is over before another thread would wake.
#define SERIAL_ELEMENTS 16384
// Elements of each row in a piece of packing.
#define PACK_ELEMENTS 1024

const ck_linear_kernels *ck_current_linear_kernels(void) {
    switch (ck_current_isa()) {
#if defined(__x86_64__)
    case CK_ISA_AMX: return &ck_linear_amx;
    case CK_ISA_AVX512_BF16: return &ck_linear_avx512_bf16;
    case CK_ISA_AVX512_VNNI: return &ck_linear_avx512_vnni;
    case CK_ISA_AVX512: return &ck_linear_avx512;
    case CK_ISA_AVX2: return &ck_linear_avx2;
#elif defined(__aarch64__)
    case CK_ISA_NEON: return &ck_linear_neon;
#endif
    default: return &ck_linear_portable;
    }
}

typedef struct job {
    const ck_linear_kernels *kernels;
    const ck_weights *weights;
    const float *x, *bias;
    int64_t m, ldx, ldy;
    float *y;
    bool accumulate;
    unsigned char *packed;  // blocks of rows
    int64_t block_rows, block_bytes, row_bytes;
    int64_t pack_pieces;  // of each block's packing
    unsigned char *sums;  // CHUNK_ROWS rows of sums for each worker
    int64_t row_chunks, chunk_rows, chunk_panels;
    int64_t k_span;  // elements of k a panel is taken by
    ck_weight_format products;
    int64_t worker_bytes;  // of `sums`: the sums, then room for a widened range of a panel
    // Of the weights, because dividing for every tile takes time that shows.
    int64_t groups, panels, panel_bytes;
    int threads;
} job;

#define WORKER_SUMS_BYTES (CHUNK_ROWS * CK_SUMS_PITCH * (int64_t)sizeof(float))

static int64_t bytes_of_worker(const ck_weights *weights) {
    return WORKER_SUMS_BYTES + (is_widened(weights) ? CK_WIDENED * CK_PANEL * (int64_t)sizeof(float) : 0);
}

// A block's elements, then, for integers, its scales and corrections.
static int64_t packed_elements(const ck_weights *weights) { return up(weights->k, 8); }

static int64_t bytes_of_block(const ck_weights *weights, int64_t rows, int64_t element) {
    int64_t scales = is_integer(weights->products) ? groups(weights) * 8 : 0;
    return up(rows * (packed_elements(weights) * element + scales), 64);
}

size_t ck_linear_scratch_bytes(const ck_weights *weights, int64_t m, int threads) {
    int64_t blocks = (m + CK_MAX_BLOCK - 1) / CK_MAX_BLOCK;
    // Twice 64 for blocks of half the size, whose bytes are rounded up, too.
    int64_t block = bytes_of_block(weights, CK_MAX_BLOCK, is_integer(weights->products) ? 1 : 4) + 128;
    return (size_t)(blocks * block + threads * bytes_of_worker(weights) + 64);
}

static int rows_of_block(const job *job, int64_t block) {
    return (int)smaller(job->block_rows, job->m - block * job->block_rows);
}

static unsigned char *block_scales(const job *job, int64_t block) {
    return job->packed + block * job->block_bytes + job->row_bytes * rows_of_block(job, block);
}

static unsigned char *block_corrections(const job *job, int64_t block) {
    return block_scales(job, block) + job->groups * rows_of_block(job, block) * (int64_t)sizeof(float);
}

// Whether zero points are the same everywhere, so that the rows' corrections can have them.
static bool one_zero_point(const ck_weights *weights) {
    return !is_integer(weights->format) || !weights->asymmetric;
}

static void pack_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const job *job = context;
    const ck_weights *weights = job->weights;
    int64_t index = chunk / job->pack_pieces, from = chunk % job->pack_pieces * PACK_ELEMENTS;
    ck_block block = {.stride = job->ldx, .rows = rows_of_block(job, index), .from = from,
                      .group = weights->group, .row_bytes = job->row_bytes};
    block.end = smaller(from + PACK_ELEMENTS, weights->k);
    block.x = job->x + index * job->block_rows * job->ldx;
    block.packed = job->packed + index * job->block_bytes;
    block.zero_point = one_zero_point(weights) ? middle_code(weights->format) : 1;
    block.row_scales = (float *)(void *)block_scales(job, index);
    block.row_corrections = (int32_t *)(void *)block_corrections(job, index);
    job->kernels->pack_rows[job->products](&block);
}

// Which of the blocks that meet a panel this is, and the panel to fetch meanwhile (-1: none).
typedef struct ck_pass {
    int64_t index, count, next_panel;
    const unsigned char *widened;  // the panel's range, where it is not taken as it is kept
} ck_pass;

// Where one block follows another on the same panel, only the first would wait for memory. So that memory is busy
// all the time instead, the first blocks fetch, in at most three shares, the panel that will probably come next.
static void choose_prefetch(const job *job, ck_tile *tile, ck_pass pass) {
    int64_t width_bytes = (int64_t)tile->width * (job->products == CK_WEIGHT_F16 ? 2 : 4);
    tile->ahead = tile->weights + PREFETCH_BYTES;
    tile->ahead_step = width_bytes;
    // What was just widened is near already.
    if (is_widened(job->weights)) tile->ahead_step = 0;
    if (tile->ahead_step == 0 || pass.count == 1 || pass.index >= 3 || pass.next_panel < 0) return;
    const unsigned char *next = job->weights->data + pass.next_panel * job->panel_bytes;
    if (pass.count == 2) {
        tile->ahead = next + pass.index * (job->panel_bytes / 2);
        tile->ahead_step = width_bytes / 2;
    } else {
        tile->ahead = next + pass.index * (job->panel_bytes / 3);
        tile->ahead_step = width_bytes / 3;
    }
}

// The range of a panel as the products take it, in the worker's memory.
static void widen(const job *job, int64_t panel, int64_t from, unsigned char *widened) {
    const ck_weights *weights = job->weights;
    int width = panel_width(weights, panel);
    ck_widening widening = {.format = weights->format, .products = weights->products, .width = width, .from = from,
                            .group = weights->group, .group_of = weights->group_of, .panel = widened};
    widening.count = smaller(job->k_span, weights->k - from);
    widening.weights = panel_data(weights, panel);
    if (from > 0) widening.weights += width * column_bytes(weights->format, from);
    widening.scales = panel_scales(weights, panel);
    widening.zero = middle_code(weights->format);
    if (!one_zero_point(weights)) widening.zeros = panel_zeros(weights, panel);
    job->kernels->widen(&widening);
}

static void multiply_block(const job *job, int64_t panel, int64_t block, int64_t from, ck_pass pass, float *sums,
                           int64_t pitch) {
    const ck_weights *weights = job->weights;
    int64_t rows = rows_of_block(job, block), width = panel_width(weights, panel);
    ck_tile tile = {.rows = (int)rows, .width = (int)width, .group = weights->group, .sums = sums,
                    .pitch = pitch, .row_bytes = job->row_bytes};
    tile.count = smaller(job->k_span, weights->k - from);
    tile.continues = from > 0;
    tile.weights = weights->data + panel * job->panel_bytes;
    if (from > 0) tile.weights += width * column_bytes(weights->format, from);
    if (pass.widened != NULL) tile.weights = pass.widened;
    choose_prefetch(job, &tile, pass);
    int64_t packed_bytes = from * job->kernels->packed_bytes[job->products];
    if (!job->kernels->row_major[job->products]) packed_bytes *= rows;
    tile.rows_packed = job->packed + block * job->block_bytes + packed_bytes;
    if (is_integer(job->products)) {
        int64_t g = from > 0 ? from / weights->group : 0, at = panel * CK_PANEL * job->groups + g * width;
        tile.scales = (const float *)(const void *)(weights->data + weights->scales_offset) + at;
        tile.zeros = one_zero_point(weights) ? NULL : weights->data + weights->zeros_offset + at;
        tile.row_scales = (const float *)(const void *)block_scales(job, block) + g * rows;
        tile.row_corrections = (const int32_t *)(const void *)block_corrections(job, block) + g * rows;
    }
    job->kernels->multiply[job->products](&tile);
}

static void finish_block(const job *job, int64_t panel, int64_t block, const float *sums) {
    int64_t column = panel * CK_PANEL, row = block * job->block_rows;
    ck_finish finish = {.sums = sums, .rows = rows_of_block(job, block), .stride = job->ldy,
                        .accumulate = job->accumulate};
    finish.columns = (int)smaller(CK_PANEL, job->weights->n - column);
    finish.bias = job->bias != NULL ? job->bias + column : NULL;
    finish.y = job->y + row * job->ldy + column;
    job->kernels->finish(&finish);
}

// Threads take chunks in turn, so the chunk after the next ones of the other threads is likely to be this one's.
static int64_t next_panel(const job *job, int64_t chunk, int64_t panel) {
    int64_t next = panel + 1;
    if (next % job->chunk_panels == 0) next = (chunk + job->threads) / job->row_chunks * job->chunk_panels;
    return next == panel || next >= job->panels ? -1 : next;
}

// Whether the sums may grow in y itself: nothing is to be added to them, and the panel has no filling.
static bool sums_in_result(const job *job, int64_t panel) {
    int64_t columns = job->weights->n - panel * CK_PANEL;
    return job->bias == NULL && !job->accumulate && (columns >= CK_PANEL || columns % CK_COLUMNS == 0);
}

// Blocks of rows times a panel. A span of the panel stays in the cache while all rows meet it; where there is more
// than one span, the sums of all rows wait in y or in the worker's scratch memory between them.
static void multiply_panel(const job *job, int64_t panel, int64_t first_block, int64_t end_block, int64_t next,
                           float *scratch) {
    int64_t k = job->weights->k, block = job->block_rows;
    bool in_place = sums_in_result(job, panel), whole = job->k_span >= k;
    unsigned char *widened = is_widened(job->weights) ? (unsigned char *)scratch + WORKER_SUMS_BYTES : NULL;
    for (int64_t from = 0; from < k || from == 0; from += job->k_span) {
        if (widened != NULL) widen(job, panel, from, widened);
        for (int64_t b = first_block; b < end_block; b++) {
            ck_pass pass = {b - first_block, end_block - first_block, next, widened};
            if (in_place) {
                float *sums = job->y + b * block * job->ldy + panel * CK_PANEL;
                multiply_block(job, panel, b, from, pass, sums, job->ldy);
                continue;
            }
            float *sums = whole ? scratch : scratch + (b - first_block) * block * CK_SUMS_PITCH;
            multiply_block(job, panel, b, from, pass, sums, CK_SUMS_PITCH);
            if (from + job->k_span >= k) finish_block(job, panel, b, sums);
        }
    }
}

static void multiply_chunk(void *context, int64_t chunk, int worker) {
    const job *job = context;
    int64_t block = job->block_rows;
    int64_t first_block = chunk % job->row_chunks * job->chunk_rows / block;
    int64_t end_block = smaller(first_block + job->chunk_rows / block, (job->m + block - 1) / block);
    int64_t first_panel = chunk / job->row_chunks * job->chunk_panels;
    int64_t end_panel = smaller(first_panel + job->chunk_panels, job->panels);
    float *scratch = (float *)(void *)(job->sums + worker * job->worker_bytes);
    for (int64_t panel = first_panel; panel < end_panel; panel++) {
        multiply_panel(job, panel, first_block, end_block, next_panel(job, chunk, panel), scratch);
    }
}

// Pieces: small enough that threads end together, large enough that handing them out costs nothing. The results do
// not depend on them.
static void cut(job *job) {
    const ck_weights *weights = job->weights;
    int64_t block = job->block_rows, wanted = 32 * job->threads;
    job->k_span = larger(1, weights->k);
    if (job->m > block) {
        int64_t span = PANEL_CACHE_BYTES / (CK_PANEL * column_bytes(weights->format, 128)) * 128;
        job->k_span = smaller(job->k_span, span);
    }
    if (is_widened(weights)) job->k_span = smaller(job->k_span, CK_WIDENED);
    job->chunk_rows = CHUNK_ROWS;
    while (job->chunk_rows > 4 * block &&
           job->panels * ((job->m + job->chunk_rows - 1) / job->chunk_rows) < wanted) {
        job->chunk_rows /= 2;
    }
    job->row_chunks = (job->m + job->chunk_rows - 1) / job->chunk_rows;
    const double least_products = 1 << 20;  // some 10 microseconds
    double products = (double)smaller(job->m, job->chunk_rows) * CK_PANEL * (double)larger(1, weights->k);
    job->chunk_panels = larger(1, (int64_t)(least_products / products));
    job->chunk_panels = smaller(job->chunk_panels, larger(1, job->panels * job->row_chunks / wanted));
}

void ck_linear(ck_pool *pool, const ck_weights *weights, const float *x, int64_t m, int64_t ldx,
               const float *bias, float *y, int64_t ldy, bool accumulate, void *scratch) {
    if (m <= 0 || weights->n <= 0) return;
    job job = {.kernels = ck_current_linear_kernels(), .weights = weights, .x = x, .bias = bias, .m = m, .ldx = ldx,
               .ldy = ldy, .y = y, .accumulate = accumulate, .products = weights->products};
    job.block_rows = job.kernels->block_rows[job.products];
    job.worker_bytes = bytes_of_worker(weights);
    int64_t blocks = (m + job.block_rows - 1) / job.block_rows;
    job.groups = groups(weights);
    job.panels = panels(weights);
    job.panel_bytes = panel_bytes(weights);
    job.threads = pool != NULL ? ck_pool_threads(pool) : 1;
    int64_t packed_bytes = job.kernels->packed_bytes[job.products];
    job.row_bytes = packed_elements(weights) * packed_bytes;
    job.block_bytes = bytes_of_block(weights, job.block_rows, packed_bytes);
    job.packed = scratch;
    job.packed += (64 - (uintptr_t)scratch % 64) % 64;
    job.sums = job.packed + blocks * job.block_bytes;
    cut(&job);
    job.pack_pieces = (weights->k + PACK_ELEMENTS - 1) / PACK_ELEMENTS;
    ck_pool_run(m * weights->k > SERIAL_ELEMENTS ? pool : NULL, blocks * job.pack_pieces, pack_chunk, &job);
    int64_t panel_chunks = (job.panels + job.chunk_panels - 1) / job.chunk_panels;
    ck_pool_run(pool, panel_chunks * job.row_chunks, multiply_chunk, &job);
}
