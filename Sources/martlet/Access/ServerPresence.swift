// Whether a server serves a data directory now: it holds the lock there for as long as it lives.

import Glibc
import Synchronization

extension ServerLock {
    static func isHeld(_ directory: String) -> Bool {
        let descriptor = open(directory + "/server.lock", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // Shared, so that two commands that look at a time do not take each other for a server.
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }
}

/// Tells the first call from later ones.
final class FirstCall: Sendable {
    private let isOver = Mutex(false)

    func take() -> Bool {
        isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
    }
}
