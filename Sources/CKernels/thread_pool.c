// Threads that share the chunks of one computation at a time: claimed from a counter, waited for by a short spin and
// then by sleeping in the kernel, so that neither an idle pool nor one whose core was taken away burns time.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "include/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ __volatile__("yield")
#else
#define RELAX() ((void)0)
#endif

// How long a thread looks for work before it sleeps. A step of a decoder has the next computation ready within a few
// microseconds; waking a sleeper costs about as much as this.
#define SPIN_NANOSECONDS 30000

struct worker {
    ck_pool *pool;
    pthread_t thread;
    int number;
};

struct ck_pool {
    int threads;
    struct worker *workers;
    ck_task task;
    void *context;
    int64_t chunks;
    // Which computation is on; a new one tells the workers. The lowest bit is set once the pool ends.
    _Alignas(64) _Atomic uint32_t generation;
    _Atomic uint32_t sleepers;
    // Chunks that nobody has claimed yet; zero or less when there are none. A thread that comes late takes one of
    // the next computation or none, and nobody waits for it.
    _Alignas(64) _Atomic int64_t unclaimed;
    // Chunks of the current computation that are not done.
    _Alignas(64) _Atomic uint32_t unfinished;
    _Atomic uint32_t caller_sleeps;
};

static void futex_wait(_Atomic uint32_t *address, uint32_t expected) {
    syscall(SYS_futex, (uint32_t *)address, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *address, int count) {
    syscall(SYS_futex, (uint32_t *)address, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static int64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// Spins until the value is no longer `old`, or the time is over. Returns the value.
static uint32_t spin(_Atomic uint32_t *value, uint32_t old) {
    uint32_t now = atomic_load_explicit(value, memory_order_acquire);
    if (now != old) return now;
    int64_t end = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < 32; i++) {
            RELAX();
            now = atomic_load_explicit(value, memory_order_acquire);
            if (now != old) return now;
        }
    } while (nanoseconds() < end);
    return now;
}

static void work(ck_pool *pool, int number) {
    while (true) {
        // A look first keeps late threads from counting down without end.
        if (atomic_load_explicit(&pool->unclaimed, memory_order_relaxed) <= 0) return;
        int64_t left = atomic_fetch_sub_explicit(&pool->unclaimed, 1, memory_order_acq_rel);
        if (left <= 0) return;
        // The claim keeps the computation from ending, so that these are its own.
        pool->task(pool->context, pool->chunks - left, number);
        // What this thread wrote is visible to the caller once the count is zero.
        if (atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_seq_cst) == 1 &&
            atomic_load_explicit(&pool->caller_sleeps, memory_order_seq_cst) != 0) {
            futex_wake(&pool->unfinished, 1);
        }
    }
}

static void *run_worker(void *argument) {
    struct worker *worker = argument;
    ck_pool *pool = worker->pool;
    uint32_t seen = 0;
    while (true) {
        uint32_t generation = spin(&pool->generation, seen);
        while (generation == seen) {
            atomic_fetch_add(&pool->sleepers, 1);
            futex_wait(&pool->generation, seen);
            atomic_fetch_sub(&pool->sleepers, 1);
            generation = atomic_load_explicit(&pool->generation, memory_order_acquire);
        }
        if (generation & 1) return NULL;
        seen = generation;
        work(pool, worker->number);
    }
}

ck_pool *ck_pool_create(int threads) {
    if (threads < 1) threads = 1;
    ck_pool *pool = NULL;
    if (posix_memalign((void **)&pool, 64, sizeof *pool) != 0) return NULL;
    *pool = (ck_pool){.threads = 1};
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        free(pool);
        return NULL;
    }
    for (int i = 1; i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->number = i;
        if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0) {
            ck_pool_destroy(pool);
            return NULL;
        }
        pool->threads = i + 1;
    }
    return pool;
}

void ck_pool_destroy(ck_pool *pool) {
    if (pool == NULL) return;
    atomic_fetch_add(&pool->generation, 1);
    futex_wake(&pool->generation, pool->threads);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    free(pool->workers);
    free(pool);
}

int ck_pool_threads(const ck_pool *pool) { return pool == NULL ? 1 : pool->threads; }

int ck_core_count(void) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
    return CPU_COUNT(&cores);
}

void ck_pool_run(ck_pool *pool, int64_t chunks, ck_task task, void *context) {
    // The counters hold as many chunks as fit into 32 bits; there are thousands at most.
    if (pool == NULL || pool->threads == 1 || chunks <= 1 || chunks > UINT32_MAX) {
        for (int64_t chunk = 0; chunk < chunks; chunk++) task(context, chunk, 0);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->chunks = chunks;
    atomic_store_explicit(&pool->unfinished, (uint32_t)chunks, memory_order_relaxed);
    atomic_store_explicit(&pool->unclaimed, chunks, memory_order_release);
    atomic_fetch_add_explicit(&pool->generation, 2, memory_order_seq_cst);
    if (atomic_load_explicit(&pool->sleepers, memory_order_seq_cst) != 0) {
        futex_wake(&pool->generation, pool->threads);
    }
    work(pool, 0);
    uint32_t left = atomic_load_explicit(&pool->unfinished, memory_order_acquire);
    while (left != 0) {
        left = spin(&pool->unfinished, left);
        if (left == 0) break;
        atomic_store_explicit(&pool->caller_sleeps, 1, memory_order_seq_cst);
        left = atomic_load_explicit(&pool->unfinished, memory_order_seq_cst);
        // A worker that comes to zero from here on sees that the caller sleeps.
        if (left != 0) futex_wait(&pool->unfinished, left);
        atomic_store_explicit(&pool->caller_sleeps, 0, memory_order_relaxed);
        left = atomic_load_explicit(&pool->unfinished, memory_order_acquire);
    }
}
