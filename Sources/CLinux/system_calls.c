// Wrappers of single system calls, and the spawning of supervisors.

#include "include/system_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int martlet_pidfd_open(int32_t pid) {
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

int martlet_pidfd_send_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int martlet_try_lock(int fd, int exclusive) {
    int operation = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
    while (flock(fd, operation) < 0) {
        if (errno != EINTR) return -errno;
    }
    return 0;
}

int martlet_reap(int pidfd, int32_t *status) {
    siginfo_t info;
    info.si_pid = 0;
    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) {
        if (errno != EINTR) return -errno;
    }
    if (info.si_pid == 0) return 0;
    *status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

static pid_t spawn(char *const *arguments, const char *error_path, int output_fd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int error = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!error) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (!error) {
        error = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    if (!error) error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!error) {
        error = output_fd >= 0 ? posix_spawn_file_actions_adddup2(&actions, output_fd, 1)
                               : posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    }
    if (!error) {
        error = posix_spawn_file_actions_addopen(
            &actions, 2, error_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    pid_t pid = -1;
    if (!error) {
        char *environment[] = {NULL};
        error = posix_spawn(&pid, arguments[0], &actions, &attributes, arguments, environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

int32_t martlet_spawn_detached(const char *path, const char *argument, const char *error_path) {
    char *arguments[] = {(char *)path, (char *)argument, NULL};
    return spawn(arguments, error_path, -1);
}

int32_t martlet_spawn_captured(const char *path, const char *option, const char *argument, int output_fd) {
    char *arguments[] = {(char *)path, (char *)option, (char *)argument, NULL};
    return spawn(arguments, "/dev/null", output_fd);
}

int martlet_is_in_memory(const char *path) {
    struct statfs status;
    if (statfs(path, &status) != 0) return 0;
    return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

int martlet_poller_open(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int martlet_poller_add(int poller, int fd, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int martlet_poller_remove(int poller, int fd) {
    return epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

int martlet_poller_wait(int poller, uint64_t *tokens, int capacity) {
    struct epoll_event events[64];
    int count = epoll_wait(poller, events, capacity < 64 ? capacity : 64, -1);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) tokens[i] = events[i].data.u64;
    return count;
}

int martlet_become_subreaper(void) {
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int martlet_pipe(int32_t *ends) {
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    // Only the reader's end: programs do not expect their output to refuse bytes for a while.
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) return -errno;
    return 0;
}

int martlet_block_signals(void) {
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGUSR1);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int martlet_next_signal(int fd) {
    struct signalfd_siginfo information;
    ssize_t length = read(fd, &information, sizeof information);
    return length == sizeof information ? (int)information.ssi_signo : 0;
}

void martlet_keep_large_blocks_apart(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

void martlet_return_free_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
