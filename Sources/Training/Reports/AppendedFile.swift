// A file that grows by whole lines or records, and is readable after every one of them.

import Glibc
import Tensors

/// A file that is written at its end only.
final class AppendedFile {
    private let path: String
    private let descriptor: Int32
    /// The end of the last whole record.
    private var byteCount: Int

    /// - Parameter isNew: the file must not be there yet.
    init(path: String, isNew: Bool = false) throws(FileError) {
        self.path = path
        let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (isNew ? O_EXCL : 0)
        descriptor = open(path, flags, 0o644)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "open") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let number = errno
            close(descriptor)
            throw FileError(errno: number, path: path, while: "examine")
        }
        byteCount = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Appends bytes as one record: all of them or, where the disk is full, none.
    func append(_ bytes: [UInt8]) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let length = bytes.withUnsafeBytes { raw in
                write(descriptor, raw.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else {
                let number = errno
                // Half a record would spoil the next one. A pipe cannot be cut, and needs it less.
                _ = ftruncate(descriptor, off_t(byteCount))
                throw FileError(errno: number, path: path, while: "write")
            }
            written += length
        }
        byteCount += written
    }

    func append(line: String) throws(FileError) { try append(Array(line.utf8) + [0x0A]) }

    /// Gives a last line without its end, which a killed writer left, an end.
    func endTornLine() throws(FileError) {
        var last: UInt8 = 0x0A
        if byteCount > 0, pread(descriptor, &last, 1, off_t(byteCount - 1)) == 1, last != 0x0A {
            try append([0x0A])
        }
    }

    /// Brings what was written to disk.
    func sync() { _ = fsync(descriptor) }
}
