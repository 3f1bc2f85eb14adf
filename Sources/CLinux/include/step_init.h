// The first process of a step: it makes the view the step sees, starts containers as it is told over a
// socket, reaps whatever ends, and takes the whole tree with it when it goes.

#ifndef MARTLET_STEP_INIT_H
#define MARTLET_STEP_INIT_H

#include <stdint.h>

/// How far the step is kept apart from the machine.
enum martlet_isolation {
    MARTLET_PLAIN = 0,            // nothing but a session; paths are the machine's
    MARTLET_NAMESPACES = 1,       // needs CAP_SYS_ADMIN
    MARTLET_USER_NAMESPACES = 2,  // the same view for ordinary users
};

/// What an entry of the view is.
enum martlet_entry_kind {
    MARTLET_BIND_READ_ONLY = 0,
    MARTLET_BIND_READ_WRITE = 1,
    MARTLET_BIND_OPTIONAL = 2,  // read-only, and left out when the source does not exist
    MARTLET_LINK = 3,           // a symbolic link at `target` that says `source`
    MARTLET_DIRECTORY = 4,      // a directory at `target`
};

struct martlet_view_entry {
    int32_t kind;
    const char *source;
    const char *target;
};

struct martlet_container {
    char *const *arguments;    // ends with NULL
    char *const *environment;  // ends with NULL
    const char *working_directory;
    int32_t output_fd;
    int32_t error_fd;
};

struct martlet_step {
    int32_t isolation;
    int32_t private_tmp;
    const char *root;  // absolute; becomes "/" unless isolation is plain
    const struct martlet_view_entry *entries;
    int32_t entry_count;
    const struct martlet_container *containers;
    int32_t container_count;
    int32_t control_fd;        // the step's end of the control socket
    int32_t cgroup_fd;         // -1 without one
    const uint64_t *cpu_mask;  // 16 words, or NULL to leave the processors as they are
};

/// From the supervisor to the step's first process.
enum martlet_command_kind {
    MARTLET_START = 1,       // container `index`
    MARTLET_START_LAST = 2,  // the same; when it ends so does the whole tree, without being asked
    MARTLET_SIGNAL = 3,      // `signal` to every process of the step, which ends when the last one has
};

struct martlet_command {
    int32_t kind;
    int32_t index;
    int32_t signal;
};

/// From the step's first process to the supervisor.
enum martlet_report_kind {
    MARTLET_ENDED = 1,         // container `index` ended with `status`, as wait(2) gives it
    MARTLET_START_FAILED = 2,  // container `index` could not be started: for `error`; `text` is the subject
    MARTLET_VIEW_FAILED = 3,   // there is no view, so nothing will ever be started
};

struct martlet_report {
    int32_t kind;
    int32_t index;
    int32_t status;
    int32_t error;
    int64_t started_ns;  // since 1970
    int64_t finished_ns;
    int64_t user_us;
    int64_t system_us;
    int64_t max_rss_kib;
    char text[256];
};

/// A failed lookup of the command, or of the interpreter its first line names; used in `error` beside errnos.
#define MARTLET_ERROR_NOT_FOUND 4001
#define MARTLET_ERROR_NO_INTERPRETER 4002

/// Makes the step's first process. It ends by itself when the caller does, or closes the control socket.
/// Returns its number and sets `*pidfd`, or returns a negative errno.
int32_t martlet_step_start(const struct martlet_step *step, int32_t *pidfd);

/// Ends every descendant of the caller and reaps it; for the plain mode, where no namespace does so.
/// Gives up after `limit_ms`. Returns 0 when none is left.
int martlet_kill_descendants(int32_t limit_ms);

#endif
