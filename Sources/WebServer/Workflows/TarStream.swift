// A directory as a .tgz, made while it is sent: tar (POSIX.1-2001, ustar and pax) inside gzip (RFC 1952)
// whose blocks are stored. Most artifacts are weights or images, which shrink by nothing.

import Artifacts
import Glibc
import Text

/// CRC-32 as gzip has it (RFC 1952, section 8).
struct CRC32: Sendable {
    private static let table: [UInt32] = (0..<256).map { number in
        var value = UInt32(number)
        for _ in 0..<8 { value = value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
        return value
    }

    private var state: UInt32 = 0xFFFF_FFFF

    var value: UInt32 { ~state }

    mutating func update(_ bytes: [UInt8]) {
        var state = state
        Self.table.withUnsafeBufferPointer { table in
            bytes.withUnsafeBufferPointer { bytes in
                for byte in bytes { state = table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8 }
            }
        }
        self.state = state
    }
}

/// A gzip member whose blocks are stored as they are.
struct StoredGzip: Sendable {
    private static let blockBytes = 65_535
    private var checksum = CRC32()
    private var count: UInt64 = 0

    static let head: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]

    /// The bytes as blocks.
    mutating func blocks(_ bytes: [UInt8]) -> [UInt8] {
        checksum.update(bytes)
        count += UInt64(bytes.count)
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count + bytes.count / Self.blockBytes * 5 + 5)
        var rest = bytes[...]
        while !rest.isEmpty {
            let block = rest.prefix(Self.blockBytes)
            rest = rest.dropFirst(block.count)
            let length = UInt16(block.count)
            out += [0, UInt8(length & 0xFF), UInt8(length >> 8), UInt8(~length & 0xFF), UInt8(~length >> 8)]
            out += block
        }
        return out
    }

    /// The empty last block, the checksum and the length.
    func tail() -> [UInt8] {
        func little(_ number: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        return [1, 0, 0, 0xFF, 0xFF] + little(checksum.value) + little(UInt32(truncatingIfNeeded: count))
    }
}

/// Headers of tar's entries.
enum TarHeader {
    static let blockBytes = 512

    enum Kind: UInt8 {
        case file = 0x30
        case link = 0x32
        case directory = 0x35
        /// A pax header, about the next entry.
        case pax = 0x78
    }

    /// The header of an entry, with a pax header before it where names or sizes are too long for it.
    static func bytes(path: String, kind: Kind, mode: UInt32, size: Int, target: String = "") -> [UInt8] {
        var records: [UInt8] = []
        if path.utf8.count > 100 { records += record("path", path) }
        if target.utf8.count > 100 { records += record("linkpath", target) }
        if size >= 1 << 33 { records += record("size", "\(size)") }
        var out: [UInt8] = []
        if !records.isEmpty {
            out += block(path: "PaxHeader", kind: .pax, mode: 0o644, size: records.count, target: "")
            out += padded(records)
        }
        return out
            + block(path: path, kind: kind, mode: mode, size: size >= 1 << 33 ? 0 : size, target: target)
    }

    /// Filled up with zeros to whole blocks.
    static func padded(_ bytes: [UInt8]) -> [UInt8] { bytes + padding(after: bytes.count) }

    static func padding(after count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: (blockBytes - count % blockBytes) % blockBytes)
    }

    static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    /// `LENGTH KEY=VALUE`, where the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n".utf8
        var length = rest.count + 1
        while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
        return Array("\(length)".utf8) + Array(rest)
    }

    private static func block(path: String, kind: Kind, mode: UInt32, size: Int, target: String) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockBytes)
        func put(_ bytes: some Collection<UInt8>, at offset: Int, limit: Int) {
            for (index, byte) in bytes.prefix(limit).enumerated() { block[offset + index] = byte }
        }
        func octal(_ number: Int, at offset: Int, digits: Int) {
            let text = String(number, radix: 8)
            put(
                (String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8, at: offset,
                limit: digits)
        }
        put(path.utf8, at: 0, limit: 100)
        octal(Int(mode & 0o7777), at: 100, digits: 7)
        octal(0, at: 108, digits: 7)
        octal(0, at: 116, digits: 7)
        octal(size, at: 124, digits: 11)
        // No time: the same contents always give the same archive.
        octal(0, at: 136, digits: 11)
        put([UInt8](repeating: 0x20, count: 8), at: 148, limit: 8)
        block[156] = kind.rawValue
        put(target.utf8, at: 157, limit: 100)
        put(Array("ustar\u{0}00".utf8), at: 257, limit: 8)
        let sum = block.reduce(0) { $0 + Int($1) }
        octal(sum, at: 148, digits: 6)
        block[154] = 0
        return block
    }
}

/// A stored directory as the pieces of a .tgz. Its calls read files, and belong on threads of their own.
struct TarStream: Sendable {
    typealias Opener = @Sendable (_ hash: String, _ bytes: Int) throws -> any ByteSource

    /// What is read of a file at one time.
    private static let pieceBytes = 256 << 10
    /// Each reading of a file elsewhere is a request of its own.
    private static let remotePieceBytes = RemoteObject.pieceBytes

    private let manifest: TreeManifest
    private let name: String
    private let openFile: Opener
    private var gzip = StoredGzip()
    private var next = -1
    /// The file that is being sent, and how far.
    private var open: (file: any ByteSource, offset: Int, size: Int)?
    private var isDone = false

    /// - Parameters:
    ///   - name: of the directory inside the archive.
    ///   - open: finds a file's bytes.
    init(_ manifest: TreeManifest, name: String, open: @escaping Opener) {
        self.manifest = manifest
        self.name = name
        openFile = open
    }

    /// The next piece; nil behind the last.
    mutating func piece() throws -> [UInt8]? {
        if isDone { return nil }
        var out: [UInt8] = []
        if next < 0 {
            next = 0
            out = StoredGzip.head
            out += gzip.blocks(
                TarHeader.bytes(path: name + "/", kind: .directory, mode: manifest.mode, size: 0))
        }
        while out.count < Self.pieceBytes {
            if let (file, offset, size) = open {
                let most = file is OpenBlob ? Self.pieceBytes : Self.remotePieceBytes
                let bytes = try file.read(at: offset, count: min(most, size - offset))
                out += gzip.blocks(bytes)
                let place = offset + bytes.count
                open = place < size ? (file, place, size) : nil
                if place == size { out += gzip.blocks(TarHeader.padding(after: size)) }
            } else if next < manifest.entries.count {
                out += gzip.blocks(try begin(manifest.entries[next]))
                next += 1
            } else {
                isDone = true
                out += gzip.blocks(TarHeader.end)
                out += gzip.tail()
                break
            }
        }
        return out
    }

    private mutating func begin(_ entry: TreeEntry) throws -> [UInt8] {
        let path = name + "/" + entry.path
        switch entry.content {
        case .directory: return TarHeader.bytes(path: path + "/", kind: .directory, mode: entry.mode, size: 0)
        case .link(let target):
            return TarHeader.bytes(path: path, kind: .link, mode: 0o777, size: 0, target: target)
        case .file(let hash, let size):
            if size > 0 { open = (try openFile(hash, size), 0, size) }
            return TarHeader.bytes(path: path, kind: .file, mode: entry.mode, size: size)
        }
    }
}

/// Bytes of which any part can be read, by calls that block.
protocol ByteSource: Sendable {
    /// - Throws: when not all of the part can be had.
    func read(at offset: Int, count: Int) throws -> [UInt8]
}

extension RemoteObject: ByteSource {}

/// A descriptor that is closed with its last reference.
final class OpenBlob: ByteSource {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Throws: `FileEnded` when the file is shorter.
    func read(at offset: Int, count: Int) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let length = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled)
                )
                if length < 0, errno == EINTR { continue }
                guard length > 0 else { throw FileEnded() }
                filled += length
            }
        }
        return bytes
    }
}
