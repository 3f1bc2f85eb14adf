// Reading small files and naming what the system refused.

import Glibc

/// A failed system call on a path, with what the reader can do.
package struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    package var path: String
    package var problem: String
    package var remedy: String
    /// There is nothing at the path.
    package var isMissing = false

    package init(path: String, problem: String, remedy: String) {
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    /// - Parameter number: the `errno` of the failure.
    package init(errno number: Int32, path: String, while action: String) {
        self.path = path
        problem = "cannot \(action) the file: \(String(cString: strerror(number)))"
        switch number {
        case ENOENT, ENOTDIR:
            isMissing = true
            problem = "there is no such file"
            remedy = "check the path"
        case EACCES, EPERM, EROFS: remedy = "check the owner and the mode of the path"
        case ENOSPC, EDQUOT: remedy = "free space on that disk, or choose a directory on another one"
        case EMFILE, ENFILE: remedy = "raise the limit of open files (ulimit -n)"
        case EISDIR: remedy = "give the path of a file"
        default: remedy = "check the disk and the path"
        }
    }

    package var description: String { "\(path): \(problem); \(remedy)" }
}

/// Whole small files, such as the JSON beside the weights.
package enum SmallFile {
    /// The whole content of a regular file.
    /// - Throws: an error also for a file that is larger than the limit, before it is read.
    package static func read(_ path: String, limitBytes: Int) throws(FileError) -> [UInt8] {
        let (descriptor, size) = try open(path)
        defer { close(descriptor) }
        guard size <= limitBytes else {
            throw FileError(
                path: path, problem: "the file has \(size) bytes, more than the \(limitBytes) that are read",
                remedy: "check that this is the file that was meant")
        }
        // One byte more than expected shows a file that grows while it is read.
        var bytes = [UInt8](repeating: 0, count: size + 1)
        var filled = 0
        while filled < bytes.count {
            let length = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled)
            }
            if length < 0 && errno == EINTR { continue }
            guard length >= 0 else { throw FileError(errno: errno, path: path, while: "read") }
            if length == 0 { break }
            filled += length
        }
        guard filled <= size else {
            throw FileError(
                path: path, problem: "the file grew while it was read",
                remedy: "wait until it is written, and try again")
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    /// Whether something is at the path, a broken symbolic link excluded.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Opens a regular file for reading. A pipe or a device is refused: reading one may wait for ever.
    static func open(_ path: String) throws(FileError) -> (descriptor: Int32, byteCount: Int) {
        guard !path.utf8.contains(0) else {
            throw FileError(path: path, problem: "the path has a zero byte", remedy: "check the path")
        }
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "open") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw FileError(errno: number, path: path, while: "examine")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError(
                path: path, problem: "this is not a regular file", remedy: "give the path of a file")
        }
        return (descriptor, Int(status.st_size))
    }
}
