// A sign that the supervisor of one container is alive, for those of the pod's other containers. Out of memory, the
// kernel ends a container with all that is in it: then nobody is left to say that the container ended.

import Glibc

/// A lock on a file of the shared volume. The kernel lets go of it with the process that holds it.
final class PodLife {
    private let file: Int32

    /// - Parameter directory: the container's own, which is there already.
    init(_ directory: String) {
        let fresh = directory + "/alive.new"
        file = open(fresh, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        // It gets its name with the lock on it, so that nobody sees it without. Where a volume knows no locks, there
        // is no such file, and the others wait for an end that is told.
        if flock(file, LOCK_EX | LOCK_NB) == 0 { rename(fresh, directory + "/alive") }
    }

    deinit { if file >= 0 { close(file) } }

    /// Whether the container was at work and is no longer; false for one that has not begun.
    static func isOver(_ directory: String) -> Bool {
        let file = open(directory + "/alive", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_SH | LOCK_NB) == 0
    }
}
