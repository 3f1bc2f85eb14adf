// A file that is open for reading, by its descriptor: a file that shrinks meanwhile gives an error, where
// mapped memory would end the process.

import Glibc

/// An open regular file, closed when the last reference goes.
final class TableDescriptor: Sendable {
    let path: String
    /// At the time of opening.
    let byteCount: Int
    private let descriptor: Int32

    init(_ path: String) throws(TableError) {
        self.path = path
        guard !path.utf8.contains(0) else {
            throw TableError(file: path, problem: "the path has a zero byte", remedy: "check the path")
        }
        // A pipe would make opening wait; it is refused below.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure(errno, path, while: "open") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw Self.failure(number, path, while: "examine")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw TableError(
                file: path, problem: "this is not a regular file", remedy: "give the path of a file")
        }
        byteCount = Int(status.st_size)
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The bytes of a range.
    /// - Precondition: the range is within the file.
    func read(_ range: Range<Int>) throws(TableError) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "the range is in the file")
        let bytes = try read(at: range.lowerBound, atMost: range.count)
        guard bytes.count == range.count else {
            throw TableError(
                file: path, problem: "the file became shorter while it was read",
                remedy: "wait until it is written, and try again")
        }
        return bytes
    }

    /// Up to so many bytes; fewer only at the end of the file.
    func read(at offset: Int, atMost count: Int) throws(TableError) -> [UInt8] {
        var filled = 0
        var number: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while filled < count, let start = buffer.baseAddress {
                let length = pread(descriptor, start + filled, count - filled, off_t(offset + filled))
                if length < 0 && errno == EINTR { continue }
                if length < 0 { number = errno }
                if length <= 0 { break }
                filled += length
            }
            initialized = filled
        }
        guard number == 0 else { throw Self.failure(number, path, while: "read") }
        return bytes
    }

    private static func failure(_ number: Int32, _ path: String, while action: String) -> TableError {
        let remedy =
            switch number {
            case EACCES, EPERM: "check the owner and the mode of the path"
            case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
            default: "check the disk and the path"
            }
        if number == ENOENT || number == ENOTDIR {
            return TableError(file: path, problem: "there is no such file", remedy: "check the path")
        }
        let reason = String(cString: strerror(number))
        return TableError(file: path, problem: "cannot \(action) the file: \(reason)", remedy: remedy)
    }
}
