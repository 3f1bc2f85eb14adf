// Locks that processes take on a data directory. They are held by an open file, so a killed process lets go.

import Foundation
import Glibc

/// A held `flock`. The file is closed on exec: a step's supervisor outlives the engine and must not keep it.
final class DirectoryLock: Sendable {
    /// How long an opening process waits for another that opens, migrates or restores.
    static let openingLimitSeconds = 60

    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Held by every process that has the directory open; `exclusive` is for the one that replaces the
    /// database.
    /// - Returns: nil if the lock is held in a way that excludes this one.
    static func use(_ directory: String, exclusive: Bool = false) throws -> DirectoryLock? {
        let path = directory + "/martlet.lock"
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.io(path: path, detail: String(cString: strerror(errno)))
        }
        let lock = DirectoryLock(descriptor: descriptor)
        return try lock.take(exclusive ? LOCK_EX : LOCK_SH, path) ? lock : nil
    }

    /// Held while the database is created, checked, migrated or replaced, so that one process does it at a
    /// time.
    static func opening(_ directory: String) throws -> DirectoryLock {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StoreError.io(path: directory, detail: String(cString: strerror(errno)))
        }
        let lock = DirectoryLock(descriptor: descriptor)
        let pauseMicroseconds: UInt32 = 10_000
        for _ in 0..<(openingLimitSeconds * 1_000_000 / Int(pauseMicroseconds)) {
            if try lock.take(LOCK_EX, directory) { return lock }
            usleep(pauseMicroseconds)
        }
        throw StoreError.busy(path: directory, detail: "another process has been opening it for a minute")
    }

    /// - Returns: whether the lock could be had at once.
    private func take(_ operation: Int32, _ path: String) throws -> Bool {
        if flock(descriptor, operation | LOCK_NB) == 0 { return true }
        guard errno == EWOULDBLOCK || errno == EINTR else {
            // A file system without locks cannot be shared between processes.
            throw StoreError.io(path: path, detail: "locking failed: \(String(cString: strerror(errno)))")
        }
        return false
    }
}

/// Makes what was written to a file or a directory survive a power cut.
func synchronizeToDisk(_ path: String) throws {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreError.io(path: path, detail: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
        throw StoreError.io(path: path, detail: String(cString: strerror(errno)))
    }
}
