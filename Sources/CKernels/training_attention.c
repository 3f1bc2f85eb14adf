// Attention of packed sequences for training: its division into pieces, none of which depends on timing, and whose
// sums do not depend on the number of threads.

#include "include/training_attention.h"

#include <stdbool.h>
#include <stdlib.h>

#include "include/cpu.h"
#include "training_attention_kernels.h"

// Sequences that are run together; the table of them lives on the stack.
#define MOST_SEQUENCES 512
// Up to this length the heads of a group go backward together, beyond it each by itself: then the gradients of
// keys and values are kept in parts, one a head, which are summed at the end.
#define LONGEST_WHOLE_GROUP 256
// Key tiles whose parts are held at a time, if the longest sequence has no more.
#define LEAST_PART_TILES 32

typedef struct sequence_plan {
    int64_t start, length;
    int64_t first_chunk;
    int64_t pieces;       // of each kv head: queries are divided forward, the group's heads backward
    int64_t first_tile;   // backward: of its key tiles among those with parts, or -1
} sequence_plan;

typedef struct attention_plan {
    const ck_train_attention *attention;
    const ck_attention_gradients *gradients;
    const ck_train_attention_kernels *kernels;
    int64_t group;  // query heads of a kv head
    float *scratch, *parts;
    int64_t worker_floats;
    int64_t part_floats;  // from the part of one head to that of the next
    int64_t count;
    sequence_plan sequences[MOST_SEQUENCES];
} attention_plan;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static const ck_train_attention_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512_BF16) return &ck_train_attention_avx512_bf16;
    if (isa >= CK_ISA_AVX512) return &ck_train_attention_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_train_attention_avx2;
#endif
    return &ck_train_attention_portable;
}

static int64_t group_of(const ck_train_attention *attention) { return attention->heads / attention->kv_heads; }

static int64_t most_forward_rows(const ck_train_attention *attention) {
    return larger(CK_FORWARD_ROWS, group_of(attention));
}

static int64_t most_backward_rows(const ck_train_attention *attention, int64_t longest) {
    return larger(longest, smaller(longest, LONGEST_WHOLE_GROUP) * group_of(attention));
}

// Floats of a thread's scratch memory.
static int64_t worker_floats(const ck_train_attention *attention, int64_t longest) {
    int64_t forward = ck_forward_floats(attention->head_dim, most_forward_rows(attention));
    int64_t backward = ck_backward_floats(attention->head_dim, most_backward_rows(attention, longest));
    return ck_whole(larger(forward, backward), 16);
}

// Key tiles whose parts the scratch memory has room for.
static int64_t part_tiles(const ck_train_attention *attention, int64_t longest) {
    if (longest <= LONGEST_WHOLE_GROUP || group_of(attention) == 1) return 0;
    return larger(divided_up(longest, CK_BACKWARD_KEYS), LEAST_PART_TILES);
}

size_t ck_train_attention_scratch_bytes(const ck_train_attention *attention, int64_t longest, int threads) {
    int64_t floats = threads * worker_floats(attention, longest);
    floats += attention->heads * part_tiles(attention, longest) * ck_key_gradient_floats(attention->head_dim);
    return (size_t)floats * sizeof(float) + 64;
}

static int64_t longest_of(const ck_train_attention *attention) {
    int64_t longest = 0;
    for (int64_t i = 0; i < attention->sequences; i++) {
        longest = larger(longest, attention->starts[i + 1] - attention->starts[i]);
    }
    return longest;
}

static void begin(attention_plan *plan, const ck_train_attention *attention, int threads, int64_t longest,
                  void *scratch) {
    plan->attention = attention;
    plan->kernels = kernels();
    plan->group = group_of(attention);
    plan->worker_floats = worker_floats(attention, longest);
    plan->scratch = (float *)(((uintptr_t)scratch + 63) / 64 * 64);
    plan->parts = plan->scratch + threads * plan->worker_floats;
}

static int by_length(const void *a, const void *b) {
    const sequence_plan *x = a, *y = b;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

// Takes sequences from `*next` on, as many as run together, the longest first. With `most_tiles`, long ones have
// parts. False: there are none left.
static bool take_sequences(attention_plan *plan, int64_t *next, int64_t most_tiles) {
    const ck_train_attention *attention = plan->attention;
    int64_t tiles = 0;
    plan->count = 0;
    for (; *next < attention->sequences && plan->count < MOST_SEQUENCES; (*next)++) {
        int64_t start = attention->starts[*next], length = attention->starts[*next + 1] - start;
        if (length <= 0) continue;
        sequence_plan sequence = {.start = start, .length = length, .pieces = 1, .first_tile = -1};
        if (most_tiles > 0 && length > LONGEST_WHOLE_GROUP) {
            int64_t more = divided_up(length, CK_BACKWARD_KEYS);
            if (tiles + more > most_tiles) break;
            sequence.pieces = plan->group;
            sequence.first_tile = tiles;
            tiles += more;
        }
        plan->sequences[plan->count++] = sequence;
    }
    plan->part_floats = tiles * ck_key_gradient_floats(attention->head_dim);
    // Whoever comes late should not be left with the most work.
    qsort(plan->sequences, (size_t)plan->count, sizeof(sequence_plan), by_length);
    return plan->count > 0;
}

// Numbers the chunks of all sequences and returns how many there are.
static int64_t number_chunks(attention_plan *plan) {
    int64_t chunks = 0;
    for (int64_t i = 0; i < plan->count; i++) {
        plan->sequences[i].first_chunk = chunks;
        chunks += plan->sequences[i].pieces * plan->attention->kv_heads;
    }
    return chunks;
}

// The sequence that a chunk belongs to.
static const sequence_plan *sequence_of(const attention_plan *plan, int64_t chunk) {
    int64_t low = 0, high = plan->count;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        *(plan->sequences[middle].first_chunk <= chunk ? &low : &high) = middle;
    }
    return &plan->sequences[low];
}

static ck_attention_piece piece_of(const attention_plan *plan, const sequence_plan *sequence, int64_t head,
                                   int64_t heads, int worker) {
    return (ck_attention_piece){
        .attention = plan->attention, .start = sequence->start, .length = sequence->length, .head = head,
        .heads = heads, .scratch = plan->scratch + worker * plan->worker_floats,
    };
}

// Forward.

static void forward_chunk(void *context, int64_t chunk, int worker) {
    const attention_plan *plan = context;
    const sequence_plan *sequence = sequence_of(plan, chunk);
    int64_t index = chunk - sequence->first_chunk, kv_heads = plan->attention->kv_heads;
    // From the end: the last queries see most keys.
    int64_t part = sequence->pieces - 1 - index / kv_heads, head = index % kv_heads * plan->group;
    ck_attention_piece piece = piece_of(plan, sequence, head, plan->group, worker);
    piece.first_query = sequence->length * part / sequence->pieces;
    piece.queries = sequence->length * (part + 1) / sequence->pieces - piece.first_query;
    plan->kernels->forward(&piece);
}

void ck_train_attention_forward(ck_pool *pool, const ck_train_attention *attention, void *scratch) {
    attention_plan plan;
    int threads = ck_pool_threads(pool);
    begin(&plan, attention, threads, longest_of(attention), scratch);
    int64_t most_queries = larger(1, CK_FORWARD_ROWS / plan.group), next = 0;
    // Some pieces for every thread, as long as they are worth their packing. Rows do not depend on it.
    int64_t queries = attention->starts[attention->sequences] * attention->kv_heads;
    int64_t wanted = smaller(most_queries, larger(16, divided_up(queries, threads * 8)));
    while (take_sequences(&plan, &next, 0)) {
        for (int64_t i = 0; i < plan.count; i++) {
            plan.sequences[i].pieces = divided_up(plan.sequences[i].length, wanted);
        }
        ck_pool_run(pool, number_chunks(&plan), forward_chunk, &plan);
    }
}

// Backward.

// Parts of `head` for the sequence's first key tile.
static float *parts_of(const attention_plan *plan, const sequence_plan *sequence, int64_t head) {
    if (sequence->first_tile < 0) return NULL;
    return plan->parts + head * plan->part_floats +
           sequence->first_tile * ck_key_gradient_floats(plan->attention->head_dim);
}

static void backward_chunk(void *context, int64_t chunk, int worker) {
    const attention_plan *plan = context;
    const sequence_plan *sequence = sequence_of(plan, chunk);
    int64_t heads = plan->group / sequence->pieces, head = (chunk - sequence->first_chunk) * heads;
    ck_attention_piece piece = piece_of(plan, sequence, head, heads, worker);
    plan->kernels->backward(&piece, plan->gradients, parts_of(plan, sequence, head));
}

static void gather_chunk(void *context, int64_t chunk, int worker) {
    const attention_plan *plan = context;
    const sequence_plan *sequence = sequence_of(plan, chunk);
    int64_t index = chunk - sequence->first_chunk, kv_heads = plan->attention->kv_heads;
    int64_t head = index % kv_heads * plan->group, tile = index / kv_heads;
    ck_attention_piece piece = piece_of(plan, sequence, head, plan->group, worker);
    const float *parts =
        parts_of(plan, sequence, head) + tile * ck_key_gradient_floats(plan->attention->head_dim);
    plan->kernels->gather(&piece, plan->gradients, tile * CK_BACKWARD_KEYS, parts, plan->group, plan->part_floats);
}

// Sums the parts of long sequences.
static void gather_parts(ck_pool *pool, attention_plan *plan) {
    int64_t count = 0;
    // The longest sequences come first.
    while (count < plan->count && plan->sequences[count].first_tile >= 0) {
        plan->sequences[count].pieces = divided_up(plan->sequences[count].length, CK_BACKWARD_KEYS);
        count++;
    }
    plan->count = count;
    if (count > 0) ck_pool_run(pool, number_chunks(plan), gather_chunk, plan);
}

void ck_train_attention_backward(ck_pool *pool, const ck_train_attention *attention, const void *dout,
                                 int64_t dout_stride, void *dq, int64_t dq_stride, void *dk, int64_t dk_stride,
                                 void *dv, int64_t dv_stride, void *scratch) {
    ck_attention_gradients gradients = {
        .dout = dout, .dout_stride = dout_stride, .dq = dq, .dk = dk, .dv = dv, .dq_stride = dq_stride,
        .dk_stride = dk_stride, .dv_stride = dv_stride,
    };
    attention_plan plan;
    int64_t longest = longest_of(attention), next = 0;
    begin(&plan, attention, ck_pool_threads(pool), longest, scratch);
    plan.gradients = &gradients;
    while (take_sequences(&plan, &next, part_tiles(attention, longest))) {
        ck_pool_run(pool, number_chunks(&plan), backward_chunk, &plan);
        gather_parts(pool, &plan);
    }
}
