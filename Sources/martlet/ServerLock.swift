// Which server serves a data directory: the one that holds a lock there, and where it can be reached.

import Glibc
import Text

/// A held lock on a data directory, and the note beside it that tells other commands the server's address.
final class ServerLock: Sendable {
    private let descriptor: Int32
    private let notePath: String

    private init(descriptor: Int32, notePath: String) {
        self.descriptor = descriptor
        self.notePath = notePath
    }

    deinit { close(descriptor) }

    /// - Throws: `CommandError` while another server holds it.
    static func take(_ directory: String) throws -> ServerLock {
        let path = directory + "/server.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandError("cannot open \(path): \(String(cString: strerror(errno)))", status: 2)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            close(descriptor)
            guard reason == EWOULDBLOCK else {
                throw CommandError("cannot lock \(path): \(String(cString: strerror(reason)))", status: 2)
            }
            throw CommandError(
                "a server serves \(directory) already\(other(directory)); stop that one, or take another directory by "
                    + "--data-dir", status: 2)
        }
        return ServerLock(descriptor: descriptor, notePath: directory + "/server.json")
    }

    /// What the other server says of itself, for the error.
    private static func other(_ directory: String) -> String {
        guard let bytes = try? Environment.read(directory + "/server.json", limit: 64 << 10),
            let note = try? JSONValue(parsingUTF8: bytes), let address = note["address"]?.stringValue,
            let process = note["pid"]?.intValue
        else { return "" }
        return " (process \(process), \(address))"
    }

    /// Tells where the server can be reached. The file appears whole or not at all, and only its owner may read it.
    func announce(address: String, startedAt: Timestamp) throws {
        let note = JSONValue.object([
            "address": .string(address), "pid": .int(Int(getpid())), "startedAt": .string(startedAt.rfc3339),
        ])
        let temporary = "\(notePath).\(getpid())"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure(temporary) }
        let bytes = Array((note.compactText + "\n").utf8)
        let isWritten = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == bytes.count
        close(file)
        guard isWritten, rename(temporary, notePath) == 0 else {
            unlink(temporary)
            throw failure(notePath)
        }
    }

    private func failure(_ path: String) -> CommandError {
        CommandError("cannot write \(path): \(String(cString: strerror(errno)))", status: 2)
    }

    /// Takes the note away: the server was stopped in order. The lock goes with the process.
    func withdraw() { unlink(notePath) }
}
