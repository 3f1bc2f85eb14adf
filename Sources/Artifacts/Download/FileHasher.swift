// The digests of a file that is being downloaded, computed on a thread of their own behind the bytes that
// arrive.

import Crypto
import Glibc

/// What a finished file turned out to be.
struct FileDigests: Sendable, Equatable {
    var sha256: String
    /// SHA-1 as git names a file; nil when nobody asked.
    var gitBlobSHA1: String?

    func agrees(with expected: ExpectedDigest?) -> Bool {
        switch expected {
        case .none: true
        case .sha256(let digits): digits.lowercased() == sha256
        case .gitBlobSHA1(let digits): digits.lowercased() == gitBlobSHA1
        }
    }

    /// The digest of the kind that was expected.
    func text(like expected: ExpectedDigest) -> String {
        switch expected {
        case .sha256: ExpectedDigest.sha256(sha256).description
        case .gitBlobSHA1: ExpectedDigest.gitBlobSHA1(gitBlobSHA1 ?? "").description
        }
    }
}

/// A running computation over a file from its first byte on.
struct RunningDigests {
    private var sha256 = SHA256()
    private var sha1: Insecure.SHA1?
    private(set) var position = 0

    /// - Parameter sizeBytes: the whole length, which git's name begins with.
    init(sizeBytes: Int, needsGitBlob: Bool) {
        guard needsGitBlob else { return }
        var hash = Insecure.SHA1()
        let header = Array("blob \(sizeBytes)".utf8) + [0]
        header.withUnsafeBytes { hash.update(bufferPointer: $0) }
        sha1 = hash
    }

    /// Reads on to `end` and stops there; what was just written comes out of memory, not from the disk.
    /// - Returns: 0 or an errno; `ENODATA` when the file is shorter.
    mutating func read(_ file: Int32, to end: Int, buffer: UnsafeMutableRawBufferPointer) -> Int32 {
        while position < end {
            let length = pread(file, buffer.baseAddress, min(buffer.count, end - position), off_t(position))
            if length < 0 && errno == EINTR { continue }
            if length < 0 { return errno }
            if length == 0 { return ENODATA }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[0..<length])
            sha256.update(bufferPointer: bytes)
            sha1?.update(bufferPointer: bytes)
            position += length
        }
        return 0
    }

    func finished() -> FileDigests {
        FileDigests(sha256: Self.text(sha256.finalize()), gitBlobSHA1: sha1.map { Self.text($0.finalize()) })
    }

    private static func text(_ digest: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// Follows the bytes of one file that are there without a gap, while connections write further ones.
final class FileHasher: Sendable {
    private struct State {
        /// Bytes from the first one on that may be read.
        var available = 0
        /// All bytes are there.
        var isComplete = false
        var isCancelled = false
    }

    /// Large enough to make calls rare, small enough to stay in the processor's cache.
    private static let pieceBytes = 1 << 19
    /// How often data is made durable while it gathers.
    private static let synchronizeEvery = Duration.seconds(2)

    private let partial: PartialFile
    private let sizeBytes: Int
    private let needsGitBlob: Bool
    private let state = Monitor(State())

    init(_ partial: PartialFile, sizeBytes: Int, needsGitBlob: Bool) {
        self.partial = partial
        self.sizeBytes = sizeBytes
        self.needsGitBlob = needsGitBlob
    }

    /// Tells that the bytes before `count` are there. Wakes the thread only when there is enough to do.
    func advance(to count: Int) {
        let isWorth = state.access { state in
            let isWorth = count >> 20 != state.available >> 20
            state.available = max(state.available, count)
            return isWorth
        }
        if isWorth { state.change { _ in } }
    }

    func complete() {
        state.change {
            $0.available = sizeBytes
            $0.isComplete = true
        }
    }

    func cancel() { state.change { $0.isCancelled = true } }

    /// Runs on its own thread until all bytes are there or it is cancelled, then gives nil.
    /// - Parameter keep: called every few seconds to make durable what has arrived.
    func run(keep: () throws -> Void, clock: DownloadClock) throws -> FileDigests? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
        defer { buffer.deallocate() }
        var digests = RunningDigests(sizeBytes: sizeBytes, needsGitBlob: needsGitBlob)
        var keepAt = clock.now() + Self.synchronizeEvery
        while true {
            let position = digests.position
            let next = state.wait(atMost: .milliseconds(200)) { state -> State? in
                state.isCancelled || state.isComplete || state.available > position ? state : nil
            }
            if next?.isCancelled == true { return nil }
            let end = min(next?.available ?? position, position + Self.pieceBytes)
            let error = digests.read(partial.descriptor, to: end, buffer: buffer)
            guard error == 0 else {
                throw DownloadError(errno: error, path: partial.path, while: "read back")
            }
            if next?.isComplete == true {
                if digests.position >= sizeBytes { return digests.finished() }
            } else if clock.now() >= keepAt {
                let started = clock.now()
                try keep()
                // A slow disk gets four times as long to do other things.
                keepAt = clock.now() + max(Self.synchronizeEvery, (clock.now() - started) * 4)
            }
        }
    }

    /// Digests of a complete file, on the calling thread.
    func digestsNow() throws(DownloadError) -> FileDigests {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(Self.pieceBytes, max(1, sizeBytes)), alignment: 4096)
        defer { buffer.deallocate() }
        var digests = RunningDigests(sizeBytes: sizeBytes, needsGitBlob: needsGitBlob)
        let error = digests.read(partial.descriptor, to: sizeBytes, buffer: buffer)
        guard error == 0 else { throw DownloadError(errno: error, path: partial.path, while: "read back") }
        return digests.finished()
    }
}
