// Products of two changing matrices: how one is cut into blocks for caches and pieces for threads, after Van Zee and
// van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality" (ACM TOMS 41, 2015). The arithmetic is
// in the files of the instruction sets, behind `ck_gemm_kernels`.
//
// For a span of k, the operand with fewer lanes (rows of A or columns of B) is packed first, by all threads, and
// resides in the shared cache. The other one is divided into chunks; who takes a chunk packs it into its own scratch
// memory, which fits into the second-level cache, and multiplies it with all that resides. Meanwhile the memory of the
// chunk to come is fetched.

#include "include/gemm.h"

#include "gemm_kernels.h"
#include "include/cpu.h"

// Steps in a span of k, at most. Each span has a sum of its own, which is added to those before it. Spans depend on k
// alone, and so does the order of the sums.
#define MAX_STEPS 1024
// Packed bytes that reside at a time.
#define RESIDENT_BYTES (4 << 20)
// Packed bytes of a chunk: MAX_STEPS of LEAST_ROW bytes, and of a strip more, are less than this.
#define CHUNK_BYTES (384 << 10)
// Sums that wait in fp32 for the next span of k where C is bf16.
#define PARTIAL_BYTES (2 << 20)
// Elements in a piece of packing, and below which more threads than one do not pay.
#define PIECE_ELEMENTS 16384
// Bytes of fp32 that are read at a time from a row in memory, at least.
#define LEAST_ROW 256
// Bytes that are fetched ahead at once, at most.
#define MOST_BYTES 1024
// C with at most so many columns, and more rows, is computed as its transpose: vectors along m are full.
#define NARROW 24
// With fewer steps than this, C takes longer than the products.
#define FEW_STEPS 64

// One operand, seen as lanes of k elements each.
typedef struct side {
    ck_type type;
    const unsigned char *data;
    int64_t pitch;  // bytes from lane to lane if k is contiguous, else from one k to the next
    bool k_contiguous;
    int64_t lanes;
    int width, step;  // of strips
    // What is packed of it at the moment.
    int64_t first, count;
} side;

typedef struct job {
    const ck_gemm_kernels *kernels;
    const ck_product *product;
    // Whether the tiles' rows are columns of C: C [m, n] of few columns is computed as its transpose, of few rows.
    bool swapped;
    ck_gemm_format format;
    void (*multiply)(const ck_gemm_tile *tile);
    side a, b;  // the tiles' rows and columns
    side *resident, *own;
    // The current span of k.
    int64_t k, k_count, steps;
    int64_t per_step;  // elements of k
    int64_t piece;     // strips, or elements of k, in a piece of packing what resides
    // Chunks are of some strips of `own`, each with one of `parts` parts of what resides.
    int64_t chunk_strips, parts, chunks;
    unsigned char *resident_packed, *own_packed;
    float *partial;  // or NULL
    int threads;
} job;

static int64_t up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
static int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static const ck_gemm_kernels *current_kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512_BF16) return &ck_gemm_avx512_bf16;
    if (isa >= CK_ISA_AVX512) return &ck_gemm_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_gemm_avx2;
#endif
    return &ck_gemm_portable;
}

// Packing.

// An odd number of cache lines, so that neighboring strips, which are written together, do not compete for places in
// the first-level cache.
static int64_t strip_bytes(const job *job, const side *side) { return up(side->width * job->steps * 4, 64) | 64; }

static const unsigned char *element(const side *side, int64_t lane, int64_t k) {
    int64_t row = side->k_contiguous ? lane : k, column = side->k_contiguous ? k : lane;
    return side->data + row * side->pitch + column * ck_type_bytes(side->type);
}

// Packs strips [first, end) of a side's current lanes and elements [from, to) of the current span of k.
static void pack(const job *job, const side *side, int64_t first, int64_t end, int64_t from, int64_t to,
                 unsigned char *packed) {
    int64_t lane = first * side->width;
    ck_gemm_strips strips = {.format = job->format, .type = side->type, .pitch = side->pitch,
                             .k_contiguous = side->k_contiguous, .width = side->width, .step = side->step,
                             .packed = packed, .strip_bytes = strip_bytes(job, side)};
    strips.source = element(side, side->first + lane, job->k + from);
    strips.lanes = smaller(end * side->width, side->count) - lane;
    strips.k = to - from;
    strips.first_step = from / job->per_step;
    job->kernels->pack(&strips);
}

// Pieces are of whole rows in memory: some lanes where k is contiguous, some elements of k where lanes are.
static void pack_resident(void *context, int64_t chunk, int worker) {
    (void)worker;
    const job *job = context;
    const side *side = job->resident;
    int64_t strips = quotient_up(side->count, side->width);
    if (side->k_contiguous) {
        int64_t first = chunk * job->piece, end = smaller(first + job->piece, strips);
        pack(job, side, first, end, 0, job->k_count, job->resident_packed + first * strip_bytes(job, side));
    } else {
        int64_t from = chunk * job->piece, to = smaller(from + job->piece, job->k_count);
        pack(job, side, 0, strips, from, to, job->resident_packed);
    }
}

// Multiplying.

// Strips of both sides that meet, and where they lie packed.
typedef struct region {
    int64_t a_first, a_end, b_first, b_end;
    const unsigned char *a, *b;  // of the first ones
} region;

static int64_t lanes_of_strip(const side *side, int64_t strip) {
    return smaller(side->width, side->count - strip * side->width);
}

static unsigned char *c_at(const ck_product *product, int64_t row, int64_t column) {
    return (unsigned char *)product->c + (row * product->c_stride + column) * ck_type_bytes(product->c_type);
}

// Sums of a span go to C, or where C is bf16 and there is more than one span, from one to the next in fp32.
static void finish(const job *job, int64_t strip_a, int64_t strip_b, const float *sums) {
    const ck_product *product = job->product;
    const side *rows = job->swapped ? &job->b : &job->a, *columns = job->swapped ? &job->a : &job->b;
    int64_t strip_row = job->swapped ? strip_b : strip_a, strip_column = job->swapped ? strip_a : strip_b;
    int64_t row = strip_row * rows->width, column = strip_column * columns->width;
    bool starts = job->k == 0, ends = job->k + job->k_count >= product->k;
    ck_gemm_finish finish = {.sums = sums, .rows = (int)lanes_of_strip(rows, strip_row),
                             .columns = (int)lanes_of_strip(columns, strip_column), .alpha = product->alpha};
    if (starts && product->bias != NULL) finish.bias = product->bias + columns->first + column;
    finish.result = c_at(product, rows->first + row, columns->first + column);
    finish.result_type = product->c_type;
    finish.result_pitch = product->c_stride * ck_type_bytes(product->c_type);
    finish.addend = finish.result;
    finish.addend_type = finish.result_type;
    finish.addend_pitch = finish.result_pitch;
    if (starts && !product->accumulate) finish.addend = NULL;
    if (job->partial != NULL) {
        unsigned char *partial = (unsigned char *)(job->partial + row * columns->count + column);
        int64_t pitch = columns->count * (int64_t)sizeof(float);
        if (!starts) {
            finish.addend = partial;
            finish.addend_type = CK_F32;
            finish.addend_pitch = pitch;
        }
        if (!ends) {
            finish.result = partial;
            finish.result_type = CK_F32;
            finish.result_pitch = pitch;
        }
    }
    job->kernels->finish(&finish);
}

static void finish_swapped(const job *job, int64_t strip_a, int64_t strip_b, const float *sums) {
    float turned[CK_GEMM_MAX_COLUMNS * CK_GEMM_MAX_COLUMNS];
    for (int row = 0; row < job->a.width; row++) {
        for (int column = 0; column < job->b.width; column++) {
            turned[column * CK_GEMM_MAX_COLUMNS + row] = sums[row * CK_GEMM_MAX_COLUMNS + column];
        }
    }
    finish(job, strip_a, strip_b, turned);
}

static void multiply(const job *job, const region *region, int64_t strip_a, int64_t strip_b, ck_gemm_ahead *ahead) {
    _Alignas(64) float sums[CK_GEMM_MAX_ROWS * CK_GEMM_MAX_COLUMNS];
    const side *a = &job->a, *b = &job->b;
    ck_gemm_tile tile = {.steps = job->steps, .sums = sums, .ahead = ahead};
    tile.rows = (int)up(lanes_of_strip(a, strip_a), a->step);
    tile.columns = (int)up(lanes_of_strip(b, strip_b), b->step);
    tile.a = region->a + (strip_a - region->a_first) * strip_bytes(job, a);
    tile.b = region->b + (strip_b - region->b_first) * strip_bytes(job, b);
    if (job->swapped) {
        job->multiply(&tile);
        finish_swapped(job, strip_a, strip_b, sums);
        return;
    }
    // The products leave time to fetch this tile of C; if they are few, it was fetched before.
    int64_t bytes = ck_type_bytes(job->product->c_type);
    int64_t column = strip_b * b->width + (job->steps < FEW_STEPS ? 2 * b->width : 0);
    tile.c = c_at(job->product, a->first + strip_a * a->width, b->first + column);
    tile.c_pitch = job->product->c_stride * bytes;
    tile.c_lines = (int)quotient_up(tile.columns * bytes, 64);
    job->multiply(&tile);
    finish(job, strip_a, strip_b, sums);
}

static void multiply_region(const job *job, const region *region, ck_gemm_ahead *ahead) {
    if (job->steps < FEW_STEPS) {
        // Along the rows of C, which is most of the memory in question.
        for (int64_t i = region->a_first; i < region->a_end; i++) {
            for (int64_t j = region->b_first; j < region->b_end; j++) multiply(job, region, i, j, ahead);
        }
        return;
    }
    for (int64_t j = region->b_first; j < region->b_end; j++) {
        for (int64_t i = region->a_first; i < region->a_end; i++) multiply(job, region, i, j, ahead);
    }
}

// Memory of some lanes, from the first current one on, and elements of k.
static ck_gemm_ahead memory_of(const side *side, int64_t lane, int64_t lanes, int64_t k, int64_t count) {
    if (lanes <= 0 || count <= 0) return (ck_gemm_ahead){0};
    int64_t rows = side->k_contiguous ? lanes : count, columns = side->k_contiguous ? count : lanes;
    ck_gemm_ahead ahead = {.rows = rows - 1, .pitch = side->pitch, .width = columns * ck_type_bytes(side->type)};
    ahead.at = element(side, side->first + lane, k);
    ahead.end = ahead.at + ahead.width;
    return ahead;
}

// Threads take chunks in turn, so the chunk after the next ones of the other threads is likely to be this one's. The
// last ones fetch what will reside for the next span of k, each its share.
static ck_gemm_ahead memory_ahead(const job *job, int64_t chunk) {
    int64_t next = chunk + job->threads, lanes = job->chunk_strips * job->own->width;
    if (next < job->chunks) {
        int64_t first = next / job->parts * lanes;
        if (next / job->parts == chunk / job->parts) return (ck_gemm_ahead){0};
        return memory_of(job->own, first, smaller(lanes, job->own->count - first), job->k, job->k_count);
    }
    const side *side = job->resident;
    int64_t k = job->k + job->k_count, count = smaller(job->k_count, job->product->k - k);
    int64_t share = next - job->chunks, shares = job->threads;
    if (side->k_contiguous) {
        int64_t first = share * side->count / shares, end = (share + 1) * side->count / shares;
        return memory_of(side, first, end - first, k, count);
    }
    int64_t first = share * count / shares, end = (share + 1) * count / shares;
    return memory_of(side, 0, side->count, k + first, end - first);
}

// All of the memory in so many looks, as far as the memory is fast enough.
static void spread(ck_gemm_ahead *ahead, int64_t looks) {
    int64_t bytes = (ahead->rows + 1) * up(ahead->width, 128);
    ahead->rate = smaller(quotient_up(bytes, larger(1, looks)), MOST_BYTES);
}

static void multiply_chunk(void *context, int64_t chunk, int worker) {
    const job *job = context;
    const side *own = job->own, *resident = job->resident;
    int64_t first = chunk / job->parts * job->chunk_strips, part = chunk % job->parts;
    int64_t end = smaller(first + job->chunk_strips, quotient_up(own->count, own->width));
    int64_t strips = quotient_up(resident->count, resident->width);
    int64_t part_first = part * strips / job->parts, part_end = (part + 1) * strips / job->parts;
    unsigned char *packed = job->own_packed + worker * (int64_t)CHUNK_BYTES;
    const unsigned char *resident_packed = job->resident_packed + part_first * strip_bytes(job, resident);
    pack(job, own, first, end, 0, job->k_count, packed);
    ck_gemm_ahead ahead = memory_ahead(job, chunk);
    spread(&ahead, (end - first) * (part_end - part_first) * (job->steps / CK_GEMM_LOOK));
    region region;
    if (own == &job->b) {
        region = (struct region){part_first, part_end, first, end, resident_packed, packed};
    } else {
        region = (struct region){first, end, part_first, part_end, packed, resident_packed};
    }
    multiply_region(job, &region, &ahead);
}

// Driving.

static side side_of(const ck_operand *operand, bool k_contiguous, int64_t lanes, int width, int step) {
    return (side){.type = operand->type, .data = operand->data, .k_contiguous = k_contiguous, .lanes = lanes,
                  .pitch = operand->stride * ck_type_bytes(operand->type), .width = width, .step = step};
}

static void choose_format(job *job) {
    bool rounds = job->product->precision == CK_PRECISION_BF16, pairs = rounds && job->kernels->pairs;
    job->format = pairs ? CK_GEMM_PAIRS : rounds ? CK_GEMM_ROUNDED : CK_GEMM_FLOATS;
    job->multiply = pairs ? job->kernels->multiply_pairs : job->kernels->multiply_f32;
    job->per_step = pairs ? 2 : 1;
}

static void choose_sides(job *job) {
    const ck_product *product = job->product;
    const ck_operand *a = &product->a, *b = &product->b;
    int rows = job->kernels->rows, row_step = job->kernels->row_step, columns = job->kernels->columns;
    job->swapped = product->n <= NARROW && product->n < product->m;
    if (job->swapped) {
        job->a = side_of(b, b->transposed, product->n, rows, row_step);
        job->b = side_of(a, !a->transposed, product->m, columns, CK_GEMM_COLUMN_STEP);
    } else {
        job->a = side_of(a, !a->transposed, product->m, rows, row_step);
        job->b = side_of(b, b->transposed, product->n, columns, CK_GEMM_COLUMN_STEP);
    }
    bool a_resides = job->a.lanes <= job->b.lanes;
    job->resident = a_resides ? &job->a : &job->b;
    job->own = a_resides ? &job->b : &job->a;
}

// Chunks as large as the cache allows, but several for each thread, and so that none waits long for the others.
static void cut(job *job) {
    int64_t strips = quotient_up(job->own->count, job->own->width);
    int64_t most = smaller(CHUNK_BYTES / strip_bytes(job, job->own), strips / (8 * job->threads));
    int64_t least = job->own->k_contiguous ? 1 : quotient_up(LEAST_ROW, job->own->width * 4);
    int64_t least_time = INT64_MAX;
    for (int64_t size = least; size <= larger(least, most); size++) {
        int64_t time = quotient_up(quotient_up(strips, size), job->threads) * size;
        if (time > least_time) continue;
        least_time = time;
        job->chunk_strips = size;
    }
    job->chunks = quotient_up(strips, job->chunk_strips);
    job->parts = 1;
    int64_t wanted = 4 * job->threads;
    if (job->threads > 1 && job->chunks < wanted) {
        int64_t resident = quotient_up(job->resident->count, job->resident->width);
        job->parts = larger(1, smaller(quotient_up(wanted, job->chunks), resident / 8));
    }
    job->chunks *= job->parts;
}

// One span of k: what resides is packed, then met by all chunks.
static void multiply_span(job *job, ck_pool *pool) {
    const side *resident = job->resident;
    int64_t extent = job->k_count, unit = job->per_step, across = resident->count;
    if (resident->k_contiguous) {
        extent = quotient_up(resident->count, resident->width);
        unit = 1;
        across = job->k_count * resident->width;
    }
    job->piece = up(larger(1, PIECE_ELEMENTS / larger(1, across)), unit);
    ck_pool *packers = resident->count * job->k_count > PIECE_ELEMENTS ? pool : NULL;
    ck_pool_run(packers, quotient_up(extent, job->piece), pack_resident, job);
    cut(job);
    ck_pool_run(pool, job->chunks, multiply_chunk, job);
}

// How many lanes to take at a time where at most `most` fit: equal shares, in whole strips.
static int64_t share(int64_t lanes, int64_t most, int width) {
    most = larger(width, most / width * width);
    return up(quotient_up(lanes, quotient_up(lanes, most)), width);
}

size_t ck_gemm_scratch_bytes(int threads) {
    return (size_t)(RESIDENT_BYTES + PARTIAL_BYTES + larger(1, threads) * CHUNK_BYTES);
}

// All spans of k for the current lanes of both sides.
static void multiply_lanes(job *job, ck_pool *pool, int64_t k, int64_t span) {
    job->k = 0;
    do {
        job->k_count = smaller(span, k - job->k);
        job->steps = quotient_up(job->k_count, job->per_step);
        multiply_span(job, pool);
        job->k += span;
    } while (job->k < k);
}

void ck_gemm(ck_pool *pool, const ck_product *product, void *scratch) {
    if (product->m <= 0 || product->n <= 0) return;
    job job = {.kernels = current_kernels(), .product = product, .resident_packed = scratch};
    job.threads = pool != NULL ? ck_pool_threads(pool) : 1;
    job.own_packed = job.resident_packed + RESIDENT_BYTES + PARTIAL_BYTES;
    choose_format(&job);
    choose_sides(&job);
    side *resident = job.resident, *own = job.own;

    int64_t k = larger(0, product->k), spans = larger(1, quotient_up(k, MAX_STEPS * job.per_step));
    int64_t span = up(quotient_up(k, spans), CK_GEMM_LOOK * job.per_step);
    job.steps = span / job.per_step;
    int64_t strips = RESIDENT_BYTES / strip_bytes(&job, resident);
    int64_t resident_share = share(resident->lanes, strips * resident->width, resident->width);
    int64_t own_share = own->lanes;
    if (product->c_type == CK_BF16 && spans > 1) {
        job.partial = (float *)(void *)(job.resident_packed + RESIDENT_BYTES);
        own_share = share(own_share, PARTIAL_BYTES / (4 * resident_share), own->width);
    }
    for (resident->first = 0; resident->first < resident->lanes; resident->first += resident_share) {
        resident->count = smaller(resident_share, resident->lanes - resident->first);
        for (own->first = 0; own->first < own->lanes; own->first += own_share) {
            own->count = smaller(own_share, own->lanes - own->first);
            multiply_lanes(&job, pool, k, span);
        }
    }
}
