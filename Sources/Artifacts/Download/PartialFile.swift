// The bytes of a download while they gather, with their journal.

import Glibc
import Synchronization

/// `<partial>` and `<partial>.journal`, open and locked against other processes.
final class PartialFile: Sendable {
    /// The boot that a journal's lines are of: what the kernel was given before a restart may be lost.
    static let boot: String = {
        let bytes = (try? Disk.read("/proc/sys/kernel/random/boot_id", limitBytes: 100)) ?? []
        return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
    }()

    let path: String
    let descriptor: Int32
    var journalPath: String { path + ".journal" }
    private struct Journal {
        /// -1 while there is none.
        var descriptor: Int32 = -1
        /// Counts the journals of this file: what belongs to an earlier one must not get into this one.
        var epoch = 0
        var identity: DownloadIdentity?
    }

    private let journal = Mutex(Journal())

    /// Opens or creates the file.
    /// - Throws: `disk` when another process is downloading into it.
    init(_ path: String) throws(DownloadError) {
        self.path = path
        do {
            try Disk.makeDirectories(Disk.parent(of: path))
        } catch {
            throw DownloadError(.disk, path: path, problem: error.problem, remedy: error.remedy)
        }
        descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw DownloadError(errno: errno, path: path, while: "create") }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            throw DownloadError(
                .disk, path: path, problem: "another download is writing it",
                remedy: "wait until that one has ended")
        }
    }

    deinit {
        journal.withLock { if $0.descriptor >= 0 { close($0.descriptor) } }
        if descriptor >= 0 { close(descriptor) }
    }

    var sizeBytes: Int { Disk.status(descriptor: descriptor)?.sizeBytes ?? 0 }

    /// Bytes that have room on the disk already.
    var allocatedBytes: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    /// What an earlier process left, as far as it can be trusted; nil when nothing.
    /// - Parameters:
    ///   - sizeBytes: what the content must have, nil when unknown.
    ///   - digest: likewise.
    func resume(sizeBytes: Int?, digest: String?) -> DownloadJournal? {
        guard self.sizeBytes > 0,
            let bytes = try? Disk.read(journalPath, limitBytes: DownloadJournal.limitBytes),
            var found = DownloadJournal(reading: bytes, boot: Self.boot)
        else { return nil }
        if let sizeBytes, found.identity.sizeBytes != sizeBytes { return nil }
        if let digest, let before = found.identity.digest, digest != before { return nil }
        found.received = found.received.clipped(to: self.sizeBytes)
        found.durable = found.durable.clipped(to: self.sizeBytes)
        return found.received.isEmpty ? nil : found
    }

    /// Writes the journal anew unless one is open, and keeps it open for more lines. Bytes that it does not name are
    /// not there. Several threads may get their first bytes at a time: what one has noted, no other may overwrite.
    /// - Returns: whether this call wrote it.
    @discardableResult
    func begin(_ content: DownloadJournal) throws(DownloadError) -> Bool {
        try journal.withLock { journal throws(DownloadError) in
            guard journal.descriptor < 0 else { return false }
            let file = try open(content)
            journal = Journal(descriptor: file, epoch: journal.epoch + 1, identity: content.identity)
            return true
        }
    }

    private func open(_ content: DownloadJournal) throws(DownloadError) -> Int32 {
        let text = Array(content.text(boot: Self.boot).utf8)
        do {
            try Disk.replace(journalPath, with: text, durable: !content.durable.isEmpty)
        } catch {
            throw DownloadError(
                error.kind == .noSpace ? .noSpace : .disk, path: journalPath, problem: error.problem,
                remedy: error.remedy)
        }
        let file = Glibc.open(journalPath, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard file >= 0 else { throw DownloadError(errno: errno, path: journalPath, while: "open") }
        return file
    }

    var hasJournal: Bool { journal.withLock { $0.descriptor >= 0 } }

    /// What the open journal's lines are of.
    var identity: DownloadIdentity? { journal.withLock { $0.identity } }

    /// Notes that the same bytes come from another mirror now, which names them otherwise.
    func append(_ identity: DownloadIdentity) throws(DownloadError) {
        journal.withLock { $0.identity = identity }
        try append(DownloadJournal.header(identity, boot: Self.boot))
    }

    /// Appends a line. One `write` each, so that lines of several threads never mix.
    func append(_ line: String) throws(DownloadError) {
        let error = journal.withLock { journal in
            journal.descriptor < 0
                ? 0 : Array(line.utf8).withUnsafeBytes { Disk.writeAll(journal.descriptor, $0) }
        }
        guard error == 0 else { throw DownloadError(errno: error, path: journalPath, while: "write") }
    }

    /// Gives the file its length, so that ranges can be written in any order. Blocks are taken when bytes
    /// come: where a file system cannot reserve them, the C library would write zeros into each, twice the
    /// work.
    func allocate(_ sizeBytes: Int) throws(DownloadError) {
        guard ftruncate(descriptor, off_t(sizeBytes)) == 0 else {
            throw DownloadError(
                errno: errno, path: path, while: "set the length", neededBytes: sizeBytes - allocatedBytes)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, sizeBytes: Int?) throws(DownloadError) {
        var done = 0
        while done < bytes.count {
            let length = pwrite(
                descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset + done))
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else {
                throw DownloadError(
                    errno: length == 0 ? EIO : errno, path: path, while: "write",
                    neededBytes: sizeBytes.map { max(0, $0 - allocatedBytes) } ?? bytes.count - done)
            }
            done += length
        }
    }

    /// Which journal is open; see `synchronize`.
    var epoch: Int { journal.withLock { $0.epoch } }

    /// Makes what was written so far survive a loss of power, then says so in the journal: the other way
    /// round, the journal would promise bytes that are lost.
    /// - Parameter epoch: of the journal that the ranges belong to; when another one is open by the end,
    ///   nothing is said.
    func synchronize(_ ranges: ByteRanges, epoch: Int) throws(DownloadError) {
        guard fdatasync(descriptor) == 0 else {
            throw DownloadError(errno: errno, path: path, while: "save to disk")
        }
        let text = ranges.ranges.map(DownloadJournal.synchronized).joined()
        let error: Int32 = journal.withLock { journal in
            guard journal.descriptor >= 0, journal.epoch == epoch else { return 0 }
            let error = Array(text.utf8).withUnsafeBytes { Disk.writeAll(journal.descriptor, $0) }
            return error == 0 && fdatasync(journal.descriptor) != 0 ? errno : error
        }
        guard error == 0 else { throw DownloadError(errno: error, path: journalPath, while: "write") }
    }

    /// Forgets all bytes. The journal goes first, so that a crash in between leaves no promise.
    func clear() throws(DownloadError) {
        journal.withLock { journal in
            if journal.descriptor >= 0 { close(journal.descriptor) }
            journal = Journal(descriptor: -1, epoch: journal.epoch + 1)
        }
        unlink(journalPath)
        guard ftruncate(descriptor, 0) == 0 else {
            throw DownloadError(errno: errno, path: path, while: "empty")
        }
    }

    /// Removes both files.
    func remove() {
        unlink(journalPath)
        unlink(path)
    }

    /// Gives the complete file its final name.
    func complete(as destination: String, sizeBytes: Int, isDurable: Bool) throws(DownloadError) {
        guard ftruncate(descriptor, off_t(sizeBytes)) == 0, !isDurable || fsync(descriptor) == 0 else {
            throw DownloadError(errno: errno, path: path, while: "save to disk")
        }
        do {
            try Disk.makeDirectories(Disk.parent(of: destination))
        } catch {
            throw DownloadError(.disk, path: destination, problem: error.problem, remedy: error.remedy)
        }
        guard rename(path, destination) == 0 else {
            throw DownloadError(errno: errno, path: destination, while: "rename into place")
        }
        unlink(journalPath)
    }
}
