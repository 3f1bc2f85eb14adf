// What this machine can do at most, with as many threads as asked for: read memory, and multiply from registers.
// Prints one line of JSON: GB/s, and G operations/s (a multiplication and an addition are two) by type; 0 where the
// processor has no such instructions.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { BUFFER_BYTES = 512 << 20, CHAINS = 12, TURNS = 8 << 20, ROUNDS = 3 };

static unsigned char *buffer;
static int thread_count;
static pthread_barrier_t barrier;
static double rates[4];  // read, fp32, bf16, int8
static uint64_t sink;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Adds up a part of the buffer, which is many times larger than the caches.
static double read_part(int thread) {
    size_t words = BUFFER_BYTES / 8 / (size_t)thread_count;
    const uint64_t *part = (const uint64_t *)(void *)buffer + words * (size_t)thread;
    uint64_t sums[32] = {0};
    for (size_t i = 0; i + 32 <= words; i += 32)
        for (int j = 0; j < 32; j++) sums[j] += part[i + (size_t)j];
    uint64_t sum = 0;
    for (int j = 0; j < 32; j++) sum += sums[j];
    __atomic_fetch_add(&sink, sum, __ATOMIC_RELAXED);
    return (double)(words * 8);
}

// Independent chains of one instruction, enough of them to hide its latency, each a variable of its own: an array would
// be kept in memory. The empty statement keeps the compiler from doing the sum itself.
#define STEP(chain, next) \
    chain = next(chain);  \
    __asm__ volatile("" : "+v"(chain));
#define PEAK(name, type, zero, next, operations)                                                              \
    static double name(int thread) {                                                                          \
        (void)thread;                                                                                         \
        type a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero, i = zero;         \
        type j = zero, k = zero, l = zero;                                                                    \
        for (int turn = 0; turn < TURNS; turn++) {                                                            \
            STEP(a, next) STEP(b, next) STEP(c, next) STEP(d, next) STEP(e, next) STEP(f, next)               \
            STEP(g, next) STEP(h, next) STEP(i, next) STEP(j, next) STEP(k, next) STEP(l, next)               \
        }                                                                                                     \
        return (double)TURNS * CHAINS * (operations);                                                         \
    }

#if defined(__AVX512F__)
#define NEXT_FP32(x) _mm512_fmadd_ps(_mm512_set1_ps(1), _mm512_set1_ps(1), x)
PEAK(fp32, __m512, _mm512_setzero_ps(), NEXT_FP32, 32)
#elif defined(__FMA__)
#define NEXT_FP32(x) _mm256_fmadd_ps(_mm256_set1_ps(1), _mm256_set1_ps(1), x)
PEAK(fp32, __m256, _mm256_setzero_ps(), NEXT_FP32, 16)
#else
#define fp32 NULL
#endif
#if defined(__AVX512BF16__)
#define ONES_BF16 ((__m512bh)_mm512_set1_epi32(0x3f803f80))
#define NEXT_BF16(x) _mm512_dpbf16_ps(x, ONES_BF16, ONES_BF16)
PEAK(bf16, __m512, _mm512_setzero_ps(), NEXT_BF16, 64)
#else
#define bf16 NULL
#endif
#if defined(__AVX512VNNI__)
#define NEXT_INT8(x) _mm512_dpbusd_epi32(x, _mm512_set1_epi8(1), _mm512_set1_epi8(1))
PEAK(int8, __m512i, _mm512_setzero_si512(), NEXT_INT8, 128)
#else
#define int8 NULL
#endif

static double (*const works[4])(int) = {read_part, fp32, bf16, int8};

// All threads do each work at the same time; the best round counts, since a limit is asked for.
static void *measure(void *argument) {
    int thread = (int)(intptr_t)argument;
    for (int work = 0; work < 4; work++) {
        if (!works[work]) continue;
        for (int round = 0; round < ROUNDS; round++) {
            pthread_barrier_wait(&barrier);
            double began = now();
            double amount = works[work](thread);
            pthread_barrier_wait(&barrier);
            double rate = amount * thread_count / (now() - began) * 1e-9;
            if (thread == 0 && rate > rates[work]) rates[work] = rate;
        }
    }
    return NULL;
}

int main(int count, char **words) {
    thread_count = count > 1 ? atoi(words[1]) : 1;
    if (thread_count < 1 || thread_count > 256) return 64;
    buffer = aligned_alloc(4096, BUFFER_BYTES);
    if (!buffer) return 1;
    memset(buffer, 1, BUFFER_BYTES);
    pthread_barrier_init(&barrier, NULL, (unsigned)thread_count);
    pthread_t threads[256];
    for (int i = 1; i < thread_count; i++)
        if (pthread_create(&threads[i], NULL, measure, (void *)(intptr_t)i) != 0) return 1;
    measure((void *)0);
    for (int i = 1; i < thread_count; i++) pthread_join(threads[i], NULL);
    printf("{\"read\": %.2f, \"fp32\": %.1f, \"bf16\": %.1f, \"int8\": %.1f}\n", rates[0], rates[1], rates[2],
           rates[3]);
    return 0;
}
