// Tokenized rows on disk: written once, in their order, while rows before are read already. Memory keeps only
// where each one is.
import Glibc
import Synchronization
import Text

/// Where a row lies in the file, and what it is made of.
struct TokenFileEntry: Sendable, Hashable {
    var offset: UInt64
    var byteCount: UInt32
    /// `TrainingRow.length`.
    var length: UInt32
    /// Which of the chosen rows of the data set's files it comes from.
    var reference: UInt32
}

/// A file of tokenized rows. All access is by position, so that any thread may read while one writes.
///
/// Layout: 8 bytes of magic; rows as `RowCodec` writes them; 20 bytes for each row (`TokenFileEntry`); notes
/// in JSON; last 32 bytes: the offset of the entries, their number, the bytes of the notes, the magic.
/// Numbers are little-endian.
final class TokenFile: Sendable {
    /// Also the version of the layout and of what tokenizing does.
    static let magic: UInt64 = 0x3130_5357_4F52_544D

    /// The first row's offset.
    static let start = 8
    private static let entryBytes = 20
    private static let trailerBytes = 32
    /// Notes are small; more is damage.
    private static let notesLimit = 1 << 20

    private let descriptor: Int32
    private let path: String
    /// Where the file goes when it is complete; nil for one that nobody will find.
    private let finalPath: String?
    private let isTemporary: Mutex<Bool>

    private init(descriptor: Int32, path: String, finalPath: String?) {
        self.descriptor = descriptor
        self.path = path
        self.finalPath = finalPath
        isTemporary = Mutex(finalPath != nil)
    }

    deinit {
        close(descriptor)
        if isTemporary.withLock({ $0 }) { unlink(path) }
    }

    /// - Parameter finalPath: nil for a file that goes away with this value, or with the process.
    static func create(in directory: String, finalPath: String?) throws(TrainingError) -> TokenFile {
        if mkdir(directory, 0o755) != 0 && errno != EEXIST {
            throw failure("make the folder", directory)
        }
        var random = SystemRandomNumberGenerator()
        let path = "\(directory)/.martlet-rows-\(String(random.next(), radix: 16))"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("make a file in", directory) }
        if finalPath == nil { unlink(path) }
        let file = TokenFile(descriptor: descriptor, path: path, finalPath: finalPath)
        var head: [UInt8] = []
        append(magic, to: &head)
        try file.write(head, at: 0)
        return file
    }

    func write(_ bytes: [UInt8], at offset: Int) throws(TrainingError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(
                    descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done,
                    off_t(offset + done))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write tokenized rows to", path) }
            done += count
        }
    }

    func read(offset: Int, count: Int) throws(TrainingError) -> [UInt8] {
        var done = 0
        var bytes = [UInt8](repeating: 0, count: count)
        while done < count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
            }
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw Self.failure("read tokenized rows from", path) }
            guard got > 0 else { throw damaged() }
            done += got
        }
        return bytes
    }

    func damaged() -> TrainingError {
        TrainingError(
            .failed, "\(finalPath ?? path): the file of tokenized rows is damaged", remedy: "delete it")
    }

    private static func failure(_ action: String, _ path: String) -> TrainingError {
        let number = errno
        return TrainingError(
            .failed, "cannot \(action) \(path): \(String(cString: strerror(number)))",
            remedy: "check the disk, or name another one by TMPDIR or the cache directory")
    }

    // MARK: Complete files

    /// Adds what is needed to use the file again, and gives it its name.
    func finish(_ entries: [TokenFileEntry], end: Int, notes: JSONValue) throws(TrainingError) {
        guard let finalPath else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Self.entryBytes + 4096)
        for entry in entries {
            Self.append(entry.offset, to: &bytes)
            for word in [entry.byteCount, entry.length, entry.reference] { Self.append(word, to: &bytes) }
        }
        let text = Array(notes.compactText.utf8)
        bytes += text
        for word in [UInt64(end), UInt64(entries.count), UInt64(text.count), Self.magic] {
            Self.append(word, to: &bytes)
        }
        try write(bytes, at: end)
        guard fsync(descriptor) == 0, rename(path, finalPath) == 0 else {
            throw Self.failure("write", finalPath)
        }
        isTemporary.withLock { $0 = false }
    }

    /// A complete file, nil where there is none that can be used.
    static func openComplete(
        _ path: String
    ) -> (file: TokenFile, entries: [TokenFileEntry], notes: JSONValue)? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let file = TokenFile(descriptor: descriptor, path: path, finalPath: nil)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size >= start + trailerBytes,
            let tail = try? file.read(offset: Int(status.st_size) - trailerBytes, count: trailerBytes)
        else { return nil }
        let words = (0..<4).map { word(tail, $0 * 8, as: UInt64.self) }
        let size = Int(status.st_size) - trailerBytes
        guard words[3] == magic, words[0] <= UInt64(size), words[1] <= UInt64(size / entryBytes),
            words[2] <= UInt64(notesLimit),
            Int(words[0]) + Int(words[1]) * entryBytes + Int(words[2]) == size
        else { return nil }
        let end = Int(words[0])
        guard let bytes = try? file.read(offset: end, count: size - end),
            let notes = try? JSONValue(parsingUTF8: Array(bytes.suffix(Int(words[2]))))
        else { return nil }
        var entries: [TokenFileEntry] = []
        entries.reserveCapacity(Int(words[1]))
        for place in stride(from: 0, to: Int(words[1]) * entryBytes, by: entryBytes) {
            let entry = TokenFileEntry(
                offset: word(bytes, place, as: UInt64.self),
                byteCount: word(bytes, place + 8, as: UInt32.self),
                length: word(bytes, place + 12, as: UInt32.self),
                reference: word(bytes, place + 16, as: UInt32.self))
            guard entry.offset <= UInt64(end), entry.offset + UInt64(entry.byteCount) <= UInt64(end) else {
                return nil
            }
            entries.append(entry)
        }
        return (file, entries, notes)
    }

    private static func append(_ word: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func word<Word: FixedWidthInteger>(
        _ bytes: [UInt8], _ offset: Int, as type: Word.Type
    ) -> Word {
        bytes.withUnsafeBytes { Word(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
    }
}
