// Digests of files, each computed once: remembered by path, size, time and inode, in memory and, if wanted,
// in a file that outlives the server.
import Crypto
import Glibc
import Synchronization
import Text

/// What tells a file from a later one at the same path.
struct FileStamp: Sendable, Hashable {
    var sizeBytes: Int
    /// Nanoseconds since 1970.
    var modifiedNanoseconds: Int
    var inode: UInt64

    init(sizeBytes: Int, modifiedNanoseconds: Int, inode: UInt64) {
        self.sizeBytes = sizeBytes
        self.modifiedNanoseconds = modifiedNanoseconds
        self.inode = inode
    }

    init(_ status: stat) {
        sizeBytes = Int(status.st_size)
        modifiedNanoseconds = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
        inode = UInt64(status.st_ino)
    }
}

/// A file changed while it was read, or cannot be read.
struct UnreadableFile: Error {
    var path: String
    var problem: String
}

/// The digests of one server. Calls block while they read.
final class FileDigests: Sendable {
    struct Digests: Sendable, Hashable {
        var sha256: String
        /// The id of Git's blob; nil for what lies in large-file storage.
        var gitBlob: String?
    }

    private struct Remembered {
        var stamp: FileStamp
        var digests: Digests
    }

    private static let bufferBytes = 1 << 20
    /// Lines of the file that are read at most; beyond it digests are computed again.
    private static let lineLimit = 4_000_000

    private let remembered = Mutex<[String: Remembered]>([:])
    /// The file for lines to come; nil keeps them in memory only.
    private let log: Int32?
    private let isStopped = Atomic(false)
    private let computed = Atomic(0)

    /// - Parameter stateDirectory: created when it is missing.
    /// - Throws: when nothing can be written there.
    init(stateDirectory: String?) throws(HubSettingsError) {
        guard let stateDirectory else {
            log = nil
            return
        }
        if mkdir(stateDirectory, 0o755) != 0, errno != EEXIST {
            throw HubSettingsError(
                place: stateDirectory, problem: "cannot be created: \(String(cString: strerror(errno)))")
        }
        let path = stateDirectory + "/digests.jsonl"
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else {
            throw HubSettingsError(
                place: path, problem: "cannot be opened: \(String(cString: strerror(errno)))")
        }
        log = file
        let (lines, isTorn) = Self.lines(of: file)
        remembered.withLock { remembered in
            for (path, value) in lines { remembered[path] = value }
        }
        // A torn line must not take the next one with it.
        if isTorn { _ = write(file, "\n", 1) }
    }

    deinit { if let log { close(log) } }

    /// How many files were read to their end.
    var computedCount: Int { computed.load(ordering: .relaxed) }

    /// Makes running and coming computations fail soon: hundreds of gigabytes must not hold up the end.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// - Parameter withGitBlob: whether the id of Git's blob is wanted, too.
    /// - Throws: `UnreadableFile` when the file is not, or does not stay, what the stamp says.
    func digests(_ path: String, _ stamp: FileStamp, withGitBlob: Bool) throws(UnreadableFile) -> Digests {
        let known = remembered.withLock { $0[path] }
        if let known, known.stamp == stamp, !withGitBlob || known.digests.gitBlob != nil {
            return known.digests
        }
        let digests = try compute(path, stamp, withGitBlob: withGitBlob)
        computed.add(1, ordering: .relaxed)
        let entry = Remembered(stamp: stamp, digests: digests)
        remembered.withLock { $0[path] = entry }
        if let log { Self.append(path, entry, to: log) }
        return digests
    }

    private func compute(
        _ path: String, _ stamp: FileStamp, withGitBlob: Bool
    ) throws(UnreadableFile) -> Digests {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            throw UnreadableFile(path: path, problem: String(cString: strerror(errno)))
        }
        defer { close(file) }
        guard Self.stamp(of: file) == stamp else {
            throw UnreadableFile(path: path, problem: "it changed meanwhile")
        }
        var sha256 = SHA256()
        var sha1 = Insecure.SHA1()
        if withGitBlob { sha1.update(data: GitObjects.blobHeader(sizeBytes: stamp.sizeBytes)) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, min(stamp.sizeBytes, Self.bufferBytes)), alignment: 64)
        defer { buffer.deallocate() }
        var total = 0
        while !isStopped.load(ordering: .relaxed) {
            let count = read(file, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            sha256.update(bufferPointer: piece)
            if withGitBlob { sha1.update(bufferPointer: piece) }
            total += count
        }
        guard total == stamp.sizeBytes, Self.stamp(of: file) == stamp else {
            throw UnreadableFile(path: path, problem: "it changes or cannot be read to its end")
        }
        return Digests(
            sha256: GitObjects.hexadecimal(sha256.finalize()),
            gitBlob: withGitBlob ? GitObjects.hexadecimal(sha1.finalize()) : nil)
    }

    static func stamp(of descriptor: Int32) -> FileStamp? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return FileStamp(status)
    }

    // MARK: The file

    /// A line a file, in one write: a server that was killed leaves at most its last line torn.
    private static func append(_ path: String, _ entry: Remembered, to log: Int32) {
        let line = OrderedJSON.object([
            .init("path", .string(path)), .init("size", .int(entry.stamp.sizeBytes)),
            .init("mtime_ns", .int(entry.stamp.modifiedNanoseconds)),
            .init("inode", .int(Int(truncatingIfNeeded: entry.stamp.inode))),
            .init("sha256", .string(entry.digests.sha256)),
            .init("git_blob", entry.digests.gitBlob.map { .string($0) } ?? .null),
        ])
        let bytes = Array((line.compactText + "\n").utf8)
        // A digest that cannot be kept is computed again after the next start: a full disk does no harm.
        _ = bytes.withUnsafeBytes { write(log, $0.baseAddress, $0.count) }
    }

    /// What the file holds; lines that are torn or from elsewhere are passed over.
    private static func lines(of file: Int32) -> (lines: [(String, Remembered)], isTorn: Bool) {
        var found: [(String, Remembered)] = []
        var buffer = [UInt8](repeating: 0, count: bufferBytes)
        var rest: [UInt8] = []
        while found.count < lineLimit {
            let count = buffer.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            rest += buffer[..<count]
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                if let entry = entry(Array(rest[start..<end])) { found.append(entry) }
                start = end + 1
            }
            rest.removeFirst(start)
            // No path makes a line of this length.
            if rest.count > bufferBytes { break }
        }
        return (found, !rest.isEmpty)
    }

    private static func entry(_ line: [UInt8]) -> (String, Remembered)? {
        guard let members = try? OrderedJSON(parsingUTF8: line).objectValue else { return nil }
        let values = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        guard let path = values["path"]?.stringValue, let size = values["size"]?.intValue,
            let modified = values["mtime_ns"]?.intValue, let inode = values["inode"]?.intValue,
            let sha256 = values["sha256"]?.stringValue, GitObjects.isDigest(sha256, digits: 64)
        else { return nil }
        let blob = values["git_blob"]?.stringValue
        guard blob.map({ GitObjects.isDigest($0, digits: 40) }) ?? true else { return nil }
        let stamp = FileStamp(
            sizeBytes: size, modifiedNanoseconds: modified, inode: UInt64(bitPattern: Int64(inode)))
        return (path, Remembered(stamp: stamp, digests: Digests(sha256: sha256, gitBlob: blob)))
    }
}
