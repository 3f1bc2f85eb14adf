// Walks /proc for descendants. The caller must be a subreaper, so that orphans stay within its tree.

#include "process_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/step_init.h"

#define MAX_PROCESSES 65536

struct process {
    pid_t pid, parent;
    int descends;
};

static pid_t parent_of(int proc, const char *name) {
    char path[64], text[512];
    snprintf(path, sizeof path, "%s/stat", name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return -1;
    text[length] = 0;
    // A program may put anything in its name, parentheses too, so the fields count from the last one.
    char *end = strrchr(text, ')');
    int parent;
    return end != NULL && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

int martlet_signal_descendants(int signal) {
    static struct process processes[MAX_PROCESSES];
    DIR *proc = opendir("/proc");
    if (proc == NULL) return 0;
    int count = 0;
    struct dirent *entry;
    while (count < MAX_PROCESSES && (entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        pid_t parent = parent_of(dirfd(proc), entry->d_name);
        if (parent < 0) continue;
        processes[count++] = (struct process){.pid = atoi(entry->d_name), .parent = parent};
    }
    closedir(proc);
    // Parents mostly precede their children, so this settles in two or three rounds.
    pid_t self = getpid();
    int found = 0, changed = 1;
    while (changed) {
        changed = 0;
        for (int i = 0; i < count; i++) {
            if (processes[i].descends) continue;
            int descends = processes[i].parent == self;
            for (int j = 0; j < count && !descends; j++) {
                descends = processes[j].descends && processes[j].pid == processes[i].parent;
            }
            if (!descends) continue;
            processes[i].descends = changed = 1;
            found++;
        }
    }
    for (int i = 0; i < count; i++) {
        if (processes[i].descends) kill(processes[i].pid, signal);
    }
    return found;
}

int martlet_kill_descendants(int32_t limit_ms) {
    struct timespec pause = {.tv_nsec = 1000000};
    for (int32_t waited = 0; waited < limit_ms; waited++) {
        pid_t pid = 1;
        while (pid > 0 || (pid < 0 && errno == EINTR)) pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) return 0;
        // A process may fork between the walk and its death, so the walk repeats until nobody is left.
        martlet_signal_descendants(SIGKILL);
        nanosleep(&pause, NULL);
    }
    return -ETIMEDOUT;
}
