// Threads that share the chunks of one computation at a time.
#ifndef CKERNELS_THREAD_POOL_H
#define CKERNELS_THREAD_POOL_H

#include <stdint.h>

typedef struct ck_pool ck_pool;

// One piece of a computation. `chunk` counts from 0; `worker` is below the pool's thread count and no two pieces
// that run at the same time have the same one, so that it can choose a scratch area.
typedef void (*ck_task)(void *context, int64_t chunk, int worker);

// A pool of `threads` threads (at least 1), the calling one included. Returns NULL if the threads cannot be made.
ck_pool *ck_pool_create(int threads);

// Ends the threads. No computation may be running.
void ck_pool_destroy(ck_pool *pool);

int ck_pool_threads(const ck_pool *pool);

// Cores that this process may use.
int ck_core_count(void);

// Runs `task` for every chunk from 0 to `chunks` - 1 and returns when all are done. Which chunks there are is the
// caller's choice and never depends on timing; who runs one does, so that a thread which lost its core to another
// process delays only the chunk it holds. Waiting threads spin for some microseconds, then sleep. One caller at a
// time. A NULL pool runs everything on the calling thread.
void ck_pool_run(ck_pool *pool, int64_t chunks, ck_task task, void *context);

#endif
