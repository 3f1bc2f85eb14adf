// Attention over the paged cache: the cache's layout, storing in it, and the division of a step into chunks.

#include "include/attention.h"

#include <stdbool.h>
#include <string.h>

#include "attention_kernels.h"
#include "include/cpu.h"

// Sequences whose chunks are run together; the table of their first chunks lives on the stack.
#define MOST_SEQUENCES 512

static size_t element_bytes(ck_kv_layout layout) { return layout.type == CK_BF16 ? 2 : 4; }

// Keys of one head in one block, and as many of values.
static size_t half_bytes(ck_kv_layout layout) {
    return CK_KV_BLOCK * (size_t)layout.head_dim * element_bytes(layout);
}

size_t ck_kv_block_bytes(ck_kv_layout layout) { return 2 * half_bytes(layout) * (size_t)layout.kv_heads; }

// Storing.

typedef struct store_task {
    ck_kv_layout layout;
    unsigned char *cache;
    const float *keys;
    const float *values;
    int64_t ld;
    int64_t rows;
    const int32_t *slots;
} store_task;

// One key or value of head_dim floats as every `stride`th pair or single element from `to` on.
static void scatter(ck_kv_layout layout, const float *from, unsigned char *to, int64_t stride) {
    int64_t bytes = (int64_t)element_bytes(layout);
    if (layout.type != CK_BF16) {
        for (int64_t j = 0; j < layout.head_dim; j++) memcpy(to + j * stride * bytes, from + j, 4);
        return;
    }
    uint16_t rounded[64];
    for (int64_t start = 0; start < layout.head_dim; start += 64) {
        int64_t count = layout.head_dim - start < 64 ? layout.head_dim - start : 64;
        ck_from_f32(CK_BF16, from + start, rounded, count);
        for (int64_t j = 0; j < count; j++) memcpy(to + (start + j) * stride * bytes, rounded + j, 2);
    }
}

// Both elements of a pair of dimensions lie together.
static void scatter_key_pairs(ck_kv_layout layout, const float *from, unsigned char *to) {
    uint16_t rounded[64];
    for (int64_t start = 0; start < layout.head_dim; start += 64) {
        int64_t count = layout.head_dim - start < 64 ? layout.head_dim - start : 64;
        ck_from_f32(CK_BF16, from + start, rounded, count);
        for (int64_t j = 0; j < count; j += 2) memcpy(to + (start + j) / 2 * CK_KV_BLOCK * 4, rounded + j, 4);
    }
}

// A chunk is the keys, or the values, of one head: so one thread clears a block before it fills it.
static void store_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const store_task *task = context;
    ck_kv_layout layout = task->layout;
    int64_t head = chunk / 2, dim = layout.head_dim;
    bool values = chunk % 2 == 1, pairs = layout.type == CK_BF16;
    size_t half = half_bytes(layout), block_bytes = ck_kv_block_bytes(layout);
    for (int64_t row = 0; row < task->rows; row++) {
        int64_t block = task->slots[row] / CK_KV_BLOCK, offset = task->slots[row] % CK_KV_BLOCK;
        unsigned char *to = task->cache + (size_t)block * block_bytes + (size_t)chunk * half;
        if (offset == 0) memset(to, 0, half);
        const float *from = (values ? task->values : task->keys) + row * task->ld + head * dim;
        if (values && pairs) {
            scatter(layout, from, to + offset / 2 * dim * 4 + offset % 2 * 2, 2);
        } else if (values) {
            scatter(layout, from, to + offset * dim * 4, 1);
        } else if (pairs) {
            scatter_key_pairs(layout, from, to + offset * 4);
        } else {
            scatter(layout, from, to + offset * 4, CK_KV_BLOCK);
        }
    }
}

void ck_kv_store(ck_pool *pool, ck_kv_layout layout, void *cache, const float *keys, const float *values,
                 int64_t ld, int64_t rows, const int32_t *slots) {
    store_task task = {layout, cache, keys, values, ld, rows, slots};
    // A few rows are stored sooner than another thread is told of them.
    ck_pool_run(rows * layout.head_dim < 4096 ? NULL : pool, 2 * layout.kv_heads, store_chunk, &task);
}

// Attending.

typedef struct attention_task {
    ck_kv_layout layout;
    const unsigned char *cache;
    const ck_sequence *sequences;
    int64_t sequence_count;
    int64_t first_chunks[MOST_SEQUENCES + 1];  // of each sequence, and the end
    int64_t group;             // query heads of a kv head
    int64_t parts;             // chunks that a group is divided into
    int64_t heads_per_part;
    int64_t queries_per_tile;
    const float *q;
    int64_t ldq;
    float scale;
    int64_t window;
    float *out;
    int64_t ldo;
    unsigned char *scratch;
    size_t scratch_bytes;  // of one thread
    void (*attend)(const ck_query_tile *tile);
} attention_task;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static void attend_chunk(void *context, int64_t chunk, int worker) {
    const attention_task *task = context;
    // From the end: the last queries of a prompt see most keys, and long chunks should not come last.
    int64_t index = task->first_chunks[task->sequence_count] - 1 - chunk;
    int64_t low = 0, high = task->sequence_count;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        *(task->first_chunks[middle] <= index ? &low : &high) = middle;
    }
    const ck_sequence *sequence = &task->sequences[low];
    index -= task->first_chunks[low];
    int64_t units = task->layout.kv_heads * task->parts;
    int64_t query = index / units * task->queries_per_tile;
    int64_t kv_head = index % units / task->parts, part_head = index % task->parts * task->heads_per_part;
    int64_t heads = smaller(task->heads_per_part, task->group - part_head);
    if (heads <= 0) return;
    int64_t row = sequence->query_start + query, dim = task->layout.head_dim;
    int64_t column = (kv_head * task->group + part_head) * dim;
    ck_query_tile tile = {
        .head_dim = dim,
        .blocks = task->cache + 2 * half_bytes(task->layout) * (size_t)kv_head,
        .block_bytes = ck_kv_block_bytes(task->layout),
        .values_offset = half_bytes(task->layout),
        .block_table = sequence->block_table,
        .position = sequence->context - sequence->query_count + query,
        .queries = smaller(task->queries_per_tile, sequence->query_count - query),
        .heads = heads,
        .window = task->window,
        .scale = task->scale,
        .q = task->q + row * task->ldq + column,
        .ldq = task->ldq,
        .out = task->out + row * task->ldo + column,
        .ldo = task->ldo,
        .scratch = (float *)(void *)(task->scratch + (size_t)worker * task->scratch_bytes),
    };
    task->attend(&tile);
}

static const ck_attention_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512_BF16) return &ck_attention_avx512_bf16;
    if (isa >= CK_ISA_AVX512) return &ck_attention_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_attention_avx2;
#endif
    return &ck_attention_portable;
}

static size_t thread_scratch_bytes(ck_kv_layout layout) {
    return ((size_t)ck_attention_floats(layout.head_dim) * sizeof(float) + 63) / 64 * 64;
}

size_t ck_attention_scratch_bytes(ck_kv_layout layout, int64_t heads, int threads) {
    (void)heads;
    return (size_t)threads * thread_scratch_bytes(layout) + 64;
}

// Tiles of queries in the sequence, times kv heads.
static int64_t whole_groups(const attention_task *task, const ck_sequence *sequence) {
    return divided_up(sequence->query_count, task->queries_per_tile) * task->layout.kv_heads;
}

static void run_sequences(ck_pool *pool, attention_task *task) {
    int64_t groups = 0;
    for (int64_t i = 0; i < task->sequence_count; i++) groups += whole_groups(task, &task->sequences[i]);
    if (groups == 0) return;
    // Where threads would go without, heads of a group go their own ways, though they read the same keys. No
    // bit depends on it, since every row is computed by itself.
    int64_t threads = ck_pool_threads(pool);
    int64_t most_heads = smaller(task->group, CK_ATTENTION_ROWS);
    int64_t wanted = groups < threads ? smaller(task->group, divided_up(threads, groups)) : 1;
    task->heads_per_part = smaller(most_heads, divided_up(task->group, wanted));
    task->parts = divided_up(task->group, task->heads_per_part);
    task->first_chunks[0] = 0;
    for (int64_t i = 0; i < task->sequence_count; i++) {
        int64_t chunks = whole_groups(task, &task->sequences[i]) * task->parts;
        task->first_chunks[i + 1] = task->first_chunks[i] + chunks;
    }
    ck_pool_run(pool, task->first_chunks[task->sequence_count], attend_chunk, task);
}

void ck_attention(ck_pool *pool, ck_kv_layout layout, const void *cache, const ck_sequence *sequences,
                  int64_t sequence_count, const float *q, int64_t ldq, int64_t heads, float scale,
                  int64_t window, float *out, int64_t ldo, void *scratch) {
    int64_t group = heads / layout.kv_heads;
    attention_task task = {
        .layout = layout, .cache = cache, .group = group, .q = q, .ldq = ldq, .scale = scale,
        .window = window, .out = out, .ldo = ldo,
        .queries_per_tile = group < CK_ATTENTION_ROWS ? CK_ATTENTION_ROWS / group : 1,
        .scratch = (unsigned char *)(((uintptr_t)scratch + 63) / 64 * 64),
        .scratch_bytes = thread_scratch_bytes(layout),
        .attend = layout.type == CK_BF16 ? kernels()->attend_bf16 : kernels()->attend_f32,
    };
    for (int64_t i = 0; i < sequence_count; i += MOST_SEQUENCES) {
        task.sequences = sequences + i;
        task.sequence_count = smaller(MOST_SEQUENCES, sequence_count - i);
        run_sequences(pool, &task);
    }
}
