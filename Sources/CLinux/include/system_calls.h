// Thin calls that Swift's importer lacks: variadic ones, and those the C library has no wrapper for yet.
// Each returns a negative errno instead of setting errno.

#ifndef MARTLET_SYSTEM_CALLS_H
#define MARTLET_SYSTEM_CALLS_H

// Only fixed-width types: a header of the C library included here would make Swift count its types as ours.
#include <stdint.h>

/// A close-on-exec descriptor for the process `pid`, which must exist.
int martlet_pidfd_open(int32_t pid);

/// Sends `signal` to the process behind `pidfd`; never reaches another process that got the same number.
int martlet_pidfd_send_signal(int pidfd, int signal);

/// Takes an exclusive or shared lock of the open file without waiting.
/// Returns 0, or -EWOULDBLOCK when another holds it.
int martlet_try_lock(int fd, int exclusive);

/// Reaps the child behind `pidfd` without waiting. Returns 1 when it was reaped, 0 when it still runs,
/// -ECHILD when it is no child of this process. `*status` gets the exit code, or minus the signal's number.
int martlet_reap(int pidfd, int32_t *status);

/// Starts `path` in a session of its own with standard input and output on /dev/null, standard error
/// appended to `error_path`, an empty environment, default signals and no other descriptor.
/// Returns the process number.
int32_t martlet_spawn_detached(const char *path, const char *argument, const char *error_path);

/// Runs `path option argument` in the same way but with standard output on `output_fd` and no standard error.
int32_t martlet_spawn_captured(const char *path, const char *option, const char *argument, int output_fd);

/// From now on each large block has a place of its own, which goes back to the system with it. Without this the C
/// library takes ever larger blocks from its heaps once some were freed, where they leave holes.
void martlet_keep_large_blocks_apart(void);

/// Gives pages of the heap that hold nothing back to the system.
void martlet_return_free_memory(void);

/// Whether `path` lies on a file system in memory, tmpfs or ramfs. 0 also when it does not exist.
int martlet_is_in_memory(const char *path);

/// A close-on-exec epoll descriptor.
int martlet_poller_open(void);

/// Watches `fd` until it is removed; `token` is what `martlet_poller_wait` tells when it can be read.
int martlet_poller_add(int poller, int fd, uint64_t token);

int martlet_poller_remove(int poller, int fd);

/// Waits without limit. Sets at most `capacity`, 64 at most, of `tokens` and returns how many.
int martlet_poller_wait(int poller, uint64_t *tokens, int capacity);

/// Makes the caller adopt the orphans among its descendants.
int martlet_become_subreaper(void);

/// Sets `ends` to a close-on-exec pipe; reading from `ends[0]` never waits. Returns 0.
int martlet_pipe(int32_t *ends);

/// Blocks every signal and ignores SIGPIPE. Returns a descriptor that tells of SIGTERM and SIGUSR1.
int martlet_block_signals(void);

/// The number of the next such signal, 0 when there is none.
int martlet_next_signal(int fd);

#endif
