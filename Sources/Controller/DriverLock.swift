// Which process drives a run: the one that holds the lock on its directory.

import Glibc

/// A held lock. It goes with the process that holds it, however that ends.
package final class DriverLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The lock of a run; nil while another process drives it.
    package static func take(runDirectory: String) throws(ControllerError) -> DriverLock? {
        guard makeDirectory(runDirectory) else {
            throw ControllerError("cannot create \(runDirectory): \(String(cString: strerror(errno)))")
        }
        let path = runDirectory + "/driver.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ControllerError("cannot open \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return DriverLock(descriptor: descriptor)
    }

    /// Whether some process drives the run now.
    package static func isHeld(runDirectory: String) -> Bool {
        let descriptor = open(runDirectory + "/driver.lock", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }

    private static func makeDirectory(_ path: String) -> Bool {
        var current = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            current += "/" + part
            if mkdir(current, 0o700) != 0, errno != EEXIST { return false }
        }
        return true
    }
}

/// Why the controller refused something, in words for people.
package struct ControllerError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package init(_ message: String) { self.message = message }
    package var description: String { message }
}
