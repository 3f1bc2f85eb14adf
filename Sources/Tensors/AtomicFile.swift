// A file that appears at its path complete and on disk, or not at all.

import Glibc

/// A file written under a temporary name in the same directory. Without `commit` it is deleted.
package final class AtomicFile {
    private let path: String
    private let temporaryPath: String
    private let directory: String
    private var descriptor: Int32
    private var isCommitted = false

    package init(path: String) throws(FileError) {
        guard !path.utf8.contains(0), let name = path.split(separator: "/").last, !path.hasSuffix("/") else {
            throw FileError(path: path, problem: "this is not the path of a file", remedy: "check the path")
        }
        self.path = path
        let prefix = path.dropLast(name.count)
        directory = prefix.isEmpty ? "." : String(prefix)
        var suffix = SystemRandomNumberGenerator()
        // The dot keeps readers that list *.safetensors from seeing a file that is half written.
        temporaryPath = "\(prefix).\(name.prefix(100)).\(String(suffix.next(), radix: 16)).tmp"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            let number = errno
            // The temporary file is an implementation detail; the path the reader knows is the one asked for.
            throw FileError(errno: number, path: number == ENOENT ? directory : path, while: "create")
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unlink(temporaryPath) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let length = Glibc.write(descriptor, piece.baseAddress, piece.count)
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { throw FileError(errno: errno, path: path, while: "write") }
            rest = rest.dropFirst(length)
        }
    }

    package func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Brings the bytes to disk and gives the file its name, replacing what had it; when this returns, the file
    /// outlasts a loss of power.
    package func commit() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(errno: errno, path: path, while: "write") }
        let closed = close(descriptor)
        let closeError = errno
        descriptor = -1
        guard closed == 0 else { throw FileError(errno: closeError, path: path, while: "write") }
        guard rename(temporaryPath, path) == 0 else {
            throw FileError(errno: errno, path: path, while: "rename")
        }
        isCommitted = true
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw FileError(errno: errno, path: directory, while: "open") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw FileError(errno: errno, path: directory, while: "write") }
    }
}
