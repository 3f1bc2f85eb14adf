// The step's first process: a loop over its children and the supervisor's orders. It is a copy of the
// supervisor, made while that had a single thread, and never returns into Swift.

#include "include/step_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process_tree.h"
#include "sandbox_view.h"

#define MAX_CONTAINERS 128
#define MAX_SHELL_ARGUMENTS 4096

enum { AT_WORKING_DIRECTORY = 1, AT_EXEC = 2 };

struct running {
    pid_t pid;
    int64_t started_ns;
};

static struct running running[MAX_CONTAINERS];
static int32_t last_container = -1;
/// Set once the step was asked to end: from then on this process stays for whoever is still saving its work,
/// also when main, perhaps a shell that heeds no child, has gone before.
static int is_ending;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void report(const struct martlet_step *step, const struct martlet_report *message) {
    // A supervisor that is gone closes the socket, which the loop notices by itself.
    send(step->control_fd, message, sizeof *message, MSG_NOSIGNAL);
}

// MARK: Starting a container

/// A script without an interpreter line is the shell's, as every shell holds.
static void execute_by_shell(const char *path, const struct martlet_container *container) {
    char *arguments[MAX_SHELL_ARGUMENTS];
    int count = 0;
    arguments[count++] = (char *)"sh";
    arguments[count++] = (char *)path;
    for (int i = 1; container->arguments[i] != NULL; i++) {
        if (count == MAX_SHELL_ARGUMENTS - 1) {
            errno = E2BIG;
            return;
        }
        arguments[count++] = container->arguments[i];
    }
    arguments[count] = NULL;
    execve("/bin/sh", arguments, container->environment);
}

/// Returns the error when the file at `path` could not be run.
static int execute_path(const char *path, const struct martlet_container *container) {
    execve(path, container->arguments, container->environment);
    if (errno == ENOEXEC) execute_by_shell(path, container);
    if (errno != ENOENT) return errno;
    return access(path, F_OK) == 0 ? MARTLET_ERROR_NO_INTERPRETER : MARTLET_ERROR_NOT_FOUND;
}

static int execute(const struct martlet_container *container) {
    const char *name = container->arguments[0];
    if (name == NULL || *name == 0) return MARTLET_ERROR_NOT_FOUND;
    if (strchr(name, '/') != NULL) return execute_path(name, container);
    const char *search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (int i = 0; container->environment[i] != NULL; i++) {
        if (strncmp(container->environment[i], "PATH=", 5) == 0) search = container->environment[i] + 5;
    }
    int error = MARTLET_ERROR_NOT_FOUND;
    while (*search != 0) {
        size_t length = strcspn(search, ":");
        char path[4096];
        int written = snprintf(path, sizeof path, "%.*s/%s", (int)length, length ? search : ".", name);
        if (length == 0) written = snprintf(path, sizeof path, "./%s", name);
        search += length + (search[length] == ':');
        if (written >= (int)sizeof path) continue;
        // Asking first is much cheaper than a failing execve, and most places do not have the program.
        if (access(path, X_OK) < 0) {
            if (errno == EACCES) error = EACCES;
            continue;
        }
        int failure = execute_path(path, container);
        if (failure != EACCES && failure != MARTLET_ERROR_NOT_FOUND) return failure;
        if (failure == EACCES) error = EACCES;
    }
    return error;
}

/// Runs in a child that shares the caller's memory until it becomes the command or exits.
__attribute__((noinline)) static pid_t spawn(
    const struct martlet_step *step, const struct martlet_container *container, volatile int *stage,
    volatile int *error) {
    pid_t pid = vfork();
    if (pid != 0) return pid;
    setsid();
    if (step->isolation == MARTLET_PLAIN) prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    *stage = AT_WORKING_DIRECTORY;
    if (chdir(container->working_directory) < 0) {
        *error = errno;
        _exit(127);
    }
    *stage = AT_EXEC;
    if (dup2(container->output_fd, 1) < 0 || dup2(container->error_fd, 2) < 0) {
        *error = errno;
        _exit(127);
    }
    // Everything above was opened close-on-exec; this catches what was inherited from the engine's own start.
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    *error = execute(container);
    _exit(127);
}

static void start(const struct martlet_step *step, int32_t index) {
    const struct martlet_container *container = &step->containers[index];
    volatile int stage = 0, error = 0;
    if (step->isolation != MARTLET_PLAIN) martlet_make_directories(container->working_directory, 0755);
    int64_t started_ns = now_ns();
    pid_t pid = spawn(step, container, &stage, &error);
    if (pid > 0 && error == 0) {
        running[index] = (struct running){.pid = pid, .started_ns = started_ns};
        return;
    }
    struct martlet_report message = {
        .kind = MARTLET_START_FAILED, .index = index, .error = pid < 0 ? errno : error,
        .started_ns = started_ns, .finished_ns = now_ns(),
    };
    if (pid > 0) waitpid(pid, NULL, 0);
    const char *subject =
        stage == AT_WORKING_DIRECTORY ? container->working_directory : container->arguments[0];
    const char *format = pid < 0 ? "fork: %s" : stage == AT_WORKING_DIRECTORY ? "chdir: %s" : "exec: %s";
    snprintf(message.text, sizeof message.text, format, subject != NULL ? subject : "");
    report(step, &message);
}

// MARK: The loop

static void end_tree(const struct martlet_step *step) {
    // In a namespace of its own the end of this process is the end of all.
    if (step->isolation == MARTLET_PLAIN) martlet_kill_descendants(30000);
    _exit(0);
}

static void reap(const struct martlet_step *step) {
    int status;
    struct rusage usage;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0 || (pid < 0 && errno == EINTR)) {
        for (int32_t i = 0; i < step->container_count && pid > 0; i++) {
            if (running[i].pid != pid) continue;
            running[i].pid = 0;
            struct martlet_report message = {
                .kind = MARTLET_ENDED, .index = i, .status = status,
                .started_ns = running[i].started_ns, .finished_ns = now_ns(),
                .user_us = (int64_t)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec,
                .system_us = (int64_t)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec,
                .max_rss_kib = usage.ru_maxrss,
            };
            report(step, &message);
            if (i == last_container && !is_ending) end_tree(step);
            break;
        }
    }
    if (pid < 0 && is_ending) _exit(0);
}

static void obey(const struct martlet_step *step, const struct martlet_command *command) {
    if (command->kind == MARTLET_SIGNAL) {
        if (step->isolation == MARTLET_PLAIN) {
            martlet_signal_descendants(command->signal);
        } else {
            kill(-1, command->signal);
        }
        is_ending = 1;
        reap(step);
        return;
    }
    if (command->index < 0 || command->index >= step->container_count) return;
    if (command->kind == MARTLET_START_LAST) last_container = command->index;
    start(step, command->index);
}

static void loop(const struct martlet_step *step) {
    sigset_t waiting;
    sigfillset(&waiting);
    sigdelset(&waiting, SIGCHLD);
    for (;;) {
        struct pollfd control = {.fd = step->control_fd, .events = POLLIN};
        int ready = ppoll(&control, 1, NULL, &waiting);
        reap(step);
        if (ready <= 0) continue;
        struct martlet_command command;
        ssize_t length = recv(step->control_fd, &command, sizeof command, MSG_DONTWAIT);
        if (length == sizeof command) {
            obey(step, &command);
        } else if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
            end_tree(step);
        }
    }
}

// MARK: Becoming the first process

static void on_child(int signal) { (void)signal; }

static int ascending(const void *left, const void *right) {
    return *(const int *)left - *(const int *)right;
}

/// Leaves only what the step needs. The attempt's lock above all must end with the supervisor, and what is
/// attached to the view needs no descriptor any more.
static void close_others(const struct martlet_step *step) {
    int kept[2 * MAX_CONTAINERS + 1];
    int count = 0;
    kept[count++] = step->control_fd;
    for (int i = 0; i < step->container_count; i++) {
        kept[count++] = step->containers[i].output_fd;
        kept[count++] = step->containers[i].error_fd;
    }
    qsort(kept, (size_t)count, sizeof *kept, ascending);
    int next = 3;
    for (int i = 0; i < count; i++) {
        if (kept[i] > next) syscall(SYS_close_range, next, kept[i] - 1, 0);
        if (kept[i] >= next) next = kept[i] + 1;
    }
    syscall(SYS_close_range, next, ~0U, 0);
}

static int write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    ssize_t written = write(fd, text, strlen(text));
    int result = written < 0 ? -errno : 0;
    close(fd);
    return result;
}

/// The user stays who they are, so that files made by a step are theirs inside and out.
static int map_user(uid_t user, gid_t group) {
    char line[64];
    int result = write_file("/proc/self/setgroups", "deny");
    if (result < 0 && result != -ENOENT) return result;
    snprintf(line, sizeof line, "%u %u 1", user, user);
    result = write_file("/proc/self/uid_map", line);
    if (result < 0) return result;
    snprintf(line, sizeof line, "%u %u 1", group, group);
    return write_file("/proc/self/gid_map", line);
}

_Noreturn static void run(const struct martlet_step *step, uid_t user, gid_t group) {
    struct martlet_report message = {.kind = MARTLET_VIEW_FAILED};
    // In the plain mode this process must outlive the supervisor for long enough to end the others.
    if (step->isolation != MARTLET_PLAIN) prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "martlet-init");
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGCHLD, &action, NULL);
    int result = 0;
    if (step->isolation == MARTLET_USER_NAMESPACES) {
        result = map_user(user, group);
        if (result < 0) snprintf(message.text, sizeof message.text, "map the user: %s", strerror(-result));
    }
    if (step->cpu_mask != NULL) sched_setaffinity(0, 128, (const cpu_set_t *)step->cpu_mask);
    if (result == 0 && step->isolation != MARTLET_PLAIN) {
        result = martlet_view_enter(step, message.text, sizeof message.text);
        if (result == 0) result = martlet_drop_privileges();
    } else if (result == 0) {
        result = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
    }
    if (result < 0) {
        message.error = -result;
        if (message.text[0] == 0) snprintf(message.text, sizeof message.text, "%s", strerror(-result));
        report(step, &message);
        _exit(1);
    }
    close_others(step);
    // The step runs as the same user, and must not look into this process by way of /proc/1.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    loop(step);
    _exit(0);
}

int32_t martlet_step_start(const struct martlet_step *step, int32_t *pidfd) {
    if (step->container_count > MAX_CONTAINERS) return -E2BIG;
    uid_t user = geteuid();
    gid_t group = getegid();
    int fd = -1;
    struct clone_args arguments = {
        .flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&fd, .exit_signal = SIGCHLD,
    };
    if (step->isolation != MARTLET_PLAIN) {
        arguments.flags |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    }
    if (step->isolation == MARTLET_USER_NAMESPACES) arguments.flags |= CLONE_NEWUSER;
    if (step->cgroup_fd >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)step->cgroup_fd;
    }
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) run(step, user, group);
    if (pid < 0) return -errno;
    *pidfd = fd;
    return (int32_t)pid;
}
