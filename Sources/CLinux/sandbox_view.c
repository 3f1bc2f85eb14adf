// Builds the step's view: trees are detached from the machine's own view first, then the attempt's directory
// becomes the root, and only then are they attached. So a link that a step's input left inside the attempt's
// directory can never lead a mount outside of it. Needs Linux 5.2; recursive read-only is at hand from 5.12.

#include "sandbox_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// The C library's names for these came late, and its header quarrels with the kernel's.
#define TREE_CLONE 1
#define TREE_CLOEXEC O_CLOEXEC
#define TREE_RECURSIVE 0x8000
#define MOVE_FROM_EMPTY 0x4
#define ATTRIBUTE_READ_ONLY 0x1
#define ATTRIBUTE_NO_SUID 0x2
#define ATTRIBUTE_NO_DEVICES 0x4
#define ATTRIBUTE_NO_EXEC 0x8
#define FS_CLOEXEC 1
#define FS_CONFIG_STRING 1
#define FS_CONFIG_CREATE 6

#define MAX_ENTRIES 512

struct tree_attributes {
    uint64_t set, clear, propagation, user_namespace;
};

static int failed(char *text, size_t size, const char *what, const char *which) {
    int error = errno;
    snprintf(text, size, "%s %s: %s", what, which, strerror(error));
    return -error;
}

static int clone_tree(const char *path, int recursive) {
    unsigned flags = TREE_CLONE | TREE_CLOEXEC | (recursive ? TREE_RECURSIVE : 0);
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
}

static int attach(int tree, const char *target) {
    return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_FROM_EMPTY);
}

/// Returns -1 with ENOSYS on kernels before 5.12, where `remount_read_only` does it after attaching.
static int set_read_only(int tree) {
    struct tree_attributes attributes = {.set = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID};
    return (int)syscall(
        SYS_mount_setattr, tree, "", AT_EMPTY_PATH | TREE_RECURSIVE, &attributes, sizeof attributes);
}

/// A new file system that is attached nowhere yet.
static int detached_mount(const char *type, const char *key, const char *value, unsigned attributes) {
    int context = (int)syscall(SYS_fsopen, type, FS_CLOEXEC);
    if (context < 0) return -1;
    int mount = -1;
    if ((key == NULL || syscall(SYS_fsconfig, context, FS_CONFIG_STRING, key, value, 0) == 0)
        && syscall(SYS_fsconfig, context, FS_CONFIG_CREATE, NULL, NULL, 0) == 0) {
        mount = (int)syscall(SYS_fsmount, context, FS_CLOEXEC, attributes);
    }
    int error = errno;
    close(context);
    errno = error;
    return mount;
}

int martlet_make_directories(const char *path, unsigned mode) {
    if (mkdir(path, mode) == 0 || errno == EEXIST) return 0;
    if (errno != ENOENT) return -errno;
    char partial[4096];
    size_t length = strlen(path);
    if (length >= sizeof partial) return -ENAMETOOLONG;
    memcpy(partial, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (partial[i] != '/') continue;
        partial[i] = 0;
        if (mkdir(partial, mode) < 0 && errno != EEXIST) return -errno;
        partial[i] = '/';
    }
    if (mkdir(path, mode) < 0 && errno != EEXIST) return -errno;
    return 0;
}

/// Creates what a tree is attached to: a directory or an empty file, as its source is.
static int make_target(const char *target, int tree) {
    struct stat status;
    if (fstat(tree, &status) < 0) return -1;
    if (S_ISDIR(status.st_mode)) {
        int result = martlet_make_directories(target, 0755);
        if (result < 0) errno = -result;
        return result < 0 ? -1 : 0;
    }
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 && errno == ENOENT) {
        char parent[4096];
        if (snprintf(parent, sizeof parent, "%s", target) >= (int)sizeof parent) return -1;
        char *slash = strrchr(parent, '/');
        if (slash != NULL && slash != parent) {
            *slash = 0;
            martlet_make_directories(parent, 0755);
        }
        fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    }
    if (fd >= 0) close(fd);
    return fd >= 0 || errno == EEXIST ? 0 : -1;
}

/// For kernels without mount_setattr: every mount at or below `target`, one by one.
static int remount_read_only(const char *target) {
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (mounts == NULL) return -1;
    size_t length = strlen(target);
    char line[8192], point[4096];
    int result = 0;
    while (result == 0 && fgets(line, sizeof line, mounts) != NULL) {
        if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1) continue;
        if (strncmp(point, target, length) != 0) continue;
        if (point[length] != 0 && point[length] != '/') continue;
        unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID;
        // A user namespace may not take away what the machine's own mount forbids, so it is asked for again.
        if (strstr(line, ",nodev") != NULL) flags |= MS_NODEV;
        if (strstr(line, ",noexec") != NULL) flags |= MS_NOEXEC;
        if (strstr(line, ",noatime") != NULL) flags |= MS_NOATIME;
        result = mount(NULL, point, NULL, flags, NULL);
    }
    fclose(mounts);
    return result;
}

static const char *const device_names[] = {"null", "zero", "full", "random", "urandom", "tty"};
static const int device_numbers[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}};
#define DEVICE_COUNT 6

/// What is detached from the machine's view, to be attached in the step's.
struct trees {
    int root, proc, dev;
    int proc_is_new;
    int must_remount;  // the kernel cannot make a detached tree read-only
    int devices[DEVICE_COUNT];  // -1 when the node was made in `dev` itself
    int entries[MAX_ENTRIES];   // -1 when there is nothing to attach
};

/// A tmpfs with the few devices every program expects. Nodes are made when that is allowed and they can be
/// opened then; a user namespace, or a container's device rules, leave only binding the machine's own.
static int prepare_devices(struct trees *trees, char *text, size_t size) {
    for (int i = 0; i < DEVICE_COUNT; i++) trees->devices[i] = -1;
    trees->dev = detached_mount("tmpfs", "mode", "0755", ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_EXEC);
    if (trees->dev < 0) return failed(text, size, "mount", "/dev");
    int usable = 1;
    for (int i = 0; i < DEVICE_COUNT && usable; i++) {
        dev_t device = makedev((unsigned)device_numbers[i][0], (unsigned)device_numbers[i][1]);
        usable = mknodat(trees->dev, device_names[i], S_IFCHR | 0666, device) == 0;
    }
    if (usable) {
        int null = openat(trees->dev, "null", O_RDWR | O_CLOEXEC);
        usable = null >= 0;
        if (null >= 0) close(null);
    }
    for (int i = 0; i < DEVICE_COUNT && !usable; i++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/%s", device_names[i]);
        unlinkat(trees->dev, device_names[i], 0);
        int fd = openat(trees->dev, device_names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0) return failed(text, size, "create", path);
        close(fd);
        trees->devices[i] = clone_tree(path, 0);
        if (trees->devices[i] < 0) return failed(text, size, "bind", path);
    }
    symlinkat("/proc/self/fd", trees->dev, "fd");
    symlinkat("/proc/self/fd/0", trees->dev, "stdin");
    symlinkat("/proc/self/fd/1", trees->dev, "stdout");
    symlinkat("/proc/self/fd/2", trees->dev, "stderr");
    symlinkat("pts/ptmx", trees->dev, "ptmx");
    if (mkdirat(trees->dev, "shm", 01777) < 0) return failed(text, size, "create", "/dev/shm");
    if (mkdirat(trees->dev, "pts", 0755) < 0) return failed(text, size, "create", "/dev/pts");
    return 0;
}

static int prepare(const struct martlet_step *step, struct trees *trees, char *text, size_t size) {
    if (step->entry_count > MAX_ENTRIES) {
        errno = E2BIG;
        return failed(text, size, "view with", "more than 512 entries");
    }
    trees->root = clone_tree(step->root, 0);
    if (trees->root < 0) return failed(text, size, "bind", step->root);
    trees->proc = detached_mount(
        "proc", NULL, NULL, ATTRIBUTE_NO_SUID | ATTRIBUTE_NO_DEVICES | ATTRIBUTE_NO_EXEC);
    trees->proc_is_new = trees->proc >= 0;
    // A container that hides parts of /proc forbids a new one. The one at hand still resolves /proc/self.
    if (trees->proc < 0) trees->proc = clone_tree("/proc", 1);
    if (trees->proc < 0) return failed(text, size, "mount", "/proc");
    int result = prepare_devices(trees, text, size);
    for (int i = 0; i < step->entry_count && result == 0; i++) {
        const struct martlet_view_entry *entry = &step->entries[i];
        trees->entries[i] = -1;
        if (entry->kind == MARTLET_LINK || entry->kind == MARTLET_DIRECTORY) continue;
        int tree = clone_tree(entry->source, 1);
        if (tree < 0) {
            if (entry->kind == MARTLET_BIND_OPTIONAL) continue;
            return failed(text, size, "bind", entry->source);
        }
        trees->entries[i] = tree;
        if (entry->kind == MARTLET_BIND_READ_WRITE || set_read_only(tree) == 0) continue;
        if (errno != ENOSYS) return failed(text, size, "make read-only", entry->source);
        trees->must_remount = 1;
    }
    return result;
}

/// Root outside of a user namespace owns the files by which a kernel is steered, capabilities or not.
static int protect_proc(char *text, size_t size) {
    static const char *const paths[] = {
        "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int tree = clone_tree(paths[i], 1);
        if (tree < 0 && errno == ENOENT) continue;
        int lacking = tree >= 0 && set_read_only(tree) < 0;
        if (tree < 0 || (lacking && errno != ENOSYS) || attach(tree, paths[i]) < 0) {
            return failed(text, size, "protect", paths[i]);
        }
        close(tree);
        if (lacking && remount_read_only(paths[i]) < 0) return failed(text, size, "protect", paths[i]);
    }
    return 0;
}

static int attach_system(const struct martlet_step *step, struct trees *trees, char *text, size_t size) {
    if ((mkdir("/proc", 0755) < 0 && errno != EEXIST) || attach(trees->proc, "/proc") < 0) {
        return failed(text, size, "attach", "/proc");
    }
    if ((mkdir("/dev", 0755) < 0 && errno != EEXIST) || attach(trees->dev, "/dev") < 0) {
        return failed(text, size, "attach", "/dev");
    }
    for (int i = 0; i < DEVICE_COUNT; i++) {
        if (trees->devices[i] < 0) continue;
        char path[32];
        snprintf(path, sizeof path, "/dev/%s", device_names[i]);
        if (attach(trees->devices[i], path) < 0) return failed(text, size, "attach", path);
    }
    // Programs that never ask for a terminal do without, so a kernel that refuses this is no obstacle.
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
    if (step->private_tmp && mkdir("/tmp", 01777) < 0 && errno != EEXIST) {
        return failed(text, size, "create", "/tmp");
    }
    if (trees->proc_is_new && geteuid() == 0) return protect_proc(text, size);
    return 0;
}

static int attach_entries(const struct martlet_step *step, struct trees *trees, char *text, size_t size) {
    for (int i = 0; i < step->entry_count; i++) {
        const struct martlet_view_entry *entry = &step->entries[i];
        int tree = trees->entries[i];
        if (entry->kind == MARTLET_LINK) {
            if (symlink(entry->source, entry->target) < 0 && errno != EEXIST) {
                return failed(text, size, "link", entry->target);
            }
        } else if (entry->kind == MARTLET_DIRECTORY) {
            int result = martlet_make_directories(entry->target, 0755);
            if (result < 0) {
                errno = -result;
                return failed(text, size, "create", entry->target);
            }
        } else if (tree >= 0) {
            if (make_target(entry->target, tree) < 0 || attach(tree, entry->target) < 0) {
                return failed(text, size, "bind at", entry->target);
            }
        }
    }
    return 0;
}

int martlet_view_enter(const struct martlet_step *step, char *text, size_t size) {
    static struct trees trees;
    umask(0);
    // What is mounted here must not show on the machine, and a shared root cannot be pivoted.
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return failed(text, size, "make private", "/");
    int result = prepare(step, &trees, text, size);
    if (result < 0) return result;
    if (attach(trees.root, step->root) < 0 || chdir(step->root) < 0) {
        return failed(text, size, "enter", step->root);
    }
    if (syscall(SYS_pivot_root, ".", ".") < 0) return failed(text, size, "make the root of", step->root);
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) return failed(text, size, "leave", "the old root");
    result = attach_system(step, &trees, text, size);
    if (result == 0) result = attach_entries(step, &trees, text, size);
    for (int i = 0; i < step->entry_count && result == 0 && trees.must_remount; i++) {
        if (step->entries[i].kind == MARTLET_BIND_READ_WRITE || trees.entries[i] < 0) continue;
        if (remount_read_only(step->entries[i].target) < 0) {
            return failed(text, size, "make read-only", step->entries[i].target);
        }
    }
    umask(022);
    return result;
}

int martlet_drop_privileges(void) {
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
            if (errno == EINVAL) break;
            // Without CAP_SETPCAP there is nothing to drop either, as long as the sets below are empty.
            if (errno == EPERM) break;
            return -errno;
        }
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0) return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    return 0;
}
