// Reaching all descendants of a process where no process namespace keeps them together.

#ifndef MARTLET_PROCESS_TREE_H
#define MARTLET_PROCESS_TREE_H

/// Sends `signal` to every descendant of the caller, found by walking /proc. Returns how many were found.
int martlet_signal_descendants(int signal);

#endif
