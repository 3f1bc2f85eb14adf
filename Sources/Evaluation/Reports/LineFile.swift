// A file of JSON lines to which lines are added one by one.

import Glibc
import Tensors
import Text

/// Lines that were there before, and an end to add to. A last line without its end was being written when a
/// run was killed; it is cut off.
final class LineFile {
    /// Larger files are refused: they are read whole.
    static let maximumBytes = 1 << 32

    /// The lines that were there, without those that are not JSON.
    let lines: [OrderedJSON]
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: path, while: "create") }
        self.descriptor = descriptor
        var bytes: [UInt8] = []
        do {
            bytes = try SmallFile.read(path, limitBytes: Self.maximumBytes)
        } catch {
            close(descriptor)
            throw error
        }
        let end = bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        guard ftruncate(descriptor, off_t(end)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
            let number = errno
            close(descriptor)
            throw FileError(errno: number, path: path, while: "write")
        }
        lines = bytes[..<end].split(separator: 0x0A).compactMap { try? OrderedJSON(parsingUTF8: Array($0)) }
    }

    deinit { close(descriptor) }

    /// Adds a line with one write, so that a line is there whole or is the torn last one.
    func append(_ value: OrderedJSON) throws(FileError) {
        var bytes: [UInt8] = []
        value.appendCompact(to: &bytes)
        bytes.append(0x0A)
        var done = 0
        while done < bytes.count {
            let length = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { throw FileError(errno: errno, path: path, while: "write") }
            done += length
        }
    }

    func synchronize() throws(FileError) {
        guard fsync(descriptor) == 0 else { throw FileError(errno: errno, path: path, while: "write") }
    }
}
