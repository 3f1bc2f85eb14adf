// Snapshots as plain directories: what `--local_dir` asks for, and ModelScope's cache.

import Glibc

/// Real files under their paths, and beside them, out of the way, what is known of each: three lines with the
/// commit, the digest or ETag, and when that was seen. A file that was not changed since then need not be
/// fetched again, nor read.
package struct DirectoryStore: SnapshotStore {
    package let root: String
    /// Where the files lie.
    private let files: String
    /// Holds a `.metadata` and while it is fetched an `.incomplete` for each file.
    private let notes: String
    private let lock: @Sendable (_ path: String) -> String
    /// Holds the listings; nil where other tools expect none.
    private let listings: String?
    private let now: @Sendable () -> Int64

    /// A directory with the files of a repository, bookkeeping in `.cache/huggingface` as `huggingface_hub`
    /// does it.
    /// - Parameter now: nanoseconds since 1970.
    package init(
        localDirectory: String, now: @escaping @Sendable () -> Int64 = { Self.wallTime() }
    ) {
        root = localDirectory
        files = localDirectory
        let notes = "\(localDirectory)/.cache/huggingface/download"
        self.notes = notes
        listings = "\(localDirectory)/.cache/huggingface"
        lock = { "\(notes)/\($0).lock" }
        self.now = now
    }

    /// ModelScope's cache: `models/owner--name/snapshots/<revision>`.
    /// - Parameter root: usually `~/.cache/modelscope/hub`.
    package init(
        modelScopeCache root: String, repository: HubRepository, revision: String,
        now: @escaping @Sendable () -> Int64 = { Self.wallTime() }
    ) {
        self.root = root
        let name = repository.id.split(separator: "/").joined(separator: "--")
        let folder = "\(root)/\(repository.kind.plural)/\(name)"
        files = "\(folder)/snapshots/\(revision)"
        notes = "\(folder)/.martlet/\(revision)"
        listings = nil
        let owner = repository.id.split(separator: "/").joined(separator: "___")
        lock = { path in
            let flat = path.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "___")
            let name = String(flat.map { $0 == "." ? "_" : $0 })
            return "\(root)/.lock/\(repository.kind.rawValue)_\(owner)_\(name).lock"
        }
        self.now = now
    }

    package static func wallTime() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    package func directory(commit: String) -> String { files }

    package func place(of file: SourceFile) throws(DownloadError) -> FilePlace {
        guard file.path != ".cache", !file.path.hasPrefix(".cache/huggingface") else {
            throw DownloadError(
                .badRequest, path: file.path, problem: "the name is taken by the directory's bookkeeping",
                remedy: "leave it out with --exclude")
        }
        return FilePlace(
            destination: "\(files)/\(file.path)", partial: "\(notes)/\(file.path).incomplete",
            lock: lock(file.path))
    }

    // MARK: What is there

    package func state(of file: SourceFile, at place: FilePlace, commit: String) -> FilePresence {
        guard let status = Disk.targetStatus(place.destination), status.kind == .file,
            file.remote.sizeBytes == nil || file.remote.sizeBytes == status.sizeBytes
        else { return .absent }
        if let note = note(of: file.path, modified: status.modifiedNanoseconds) {
            if let tag = file.tag {
                if note.tag == tag { return note.commit == commit ? .complete : .stored }
            } else if note.commit == commit, HubPath.isCommit(commit) {
                return .complete
            }
        }
        // Nobody noted what it is, or it was changed since: its content tells.
        guard let digest = file.remote.digest, FileDigest.matches(place.destination, digest) else {
            return .absent
        }
        return .stored
    }

    private struct Note {
        var commit: String
        var tag: String
    }

    /// What was noted of a file; nil if it was changed since.
    private func note(of path: String, modified: Int64) -> Note? {
        guard let bytes = try? Disk.read("\(notes)/\(path).metadata", limitBytes: 4096) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, let seconds = Double(lines[2]), seconds.isFinite else { return nil }
        // Some file systems keep whole seconds only.
        guard Double(modified) / 1e9 - 1 <= seconds else { return nil }
        return Note(commit: String(lines[0]), tag: String(lines[1]))
    }

    // MARK: What comes

    package func begin(
        _ listing: SourceListing, wanted: [SourceFile]
    ) throws(DownloadError) {
        do {
            try Disk.makeDirectories(notes)
            for file in wanted {
                for path in ["\(files)/\(file.path)", "\(notes)/\(file.path)", lock(file.path)] {
                    let parent = Disk.parent(of: path)
                    if !Disk.exists(parent) { try Disk.makeDirectories(parent) }
                }
            }
        } catch {
            throw DownloadError(error)
        }
        guard let listings else { return CacheTag.mark(root) }
        CacheTag.mark(listings)
        let ignore = "\(listings)/.gitignore"
        if !Disk.exists(ignore) { try? Disk.write(Array("*".utf8), to: ignore) }
        TreeListing.save(listing, in: listings)
    }

    package func add(
        _ file: SourceFile, at place: FilePlace, commit: String
    ) throws(DownloadError) {
        let nanoseconds = now()
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
        let digits = String(rest + 1_000_000_000).dropFirst()
        let text = "\(commit)\n\(file.tag ?? "")\n\(seconds).\(digits)\n"
        do {
            try Disk.makeDirectories(Disk.parent(of: "\(notes)/\(file.path)"))
            try Disk.replace("\(notes)/\(file.path).metadata", with: Array(text.utf8), durable: false)
        } catch {
            throw DownloadError(error)
        }
    }

    package func finish(_ listing: SourceListing, revision: String) throws(DownloadError) {}

    package func existing(revision: String, filter: FileFilter) -> ExistingSnapshot? {
        if let listings, HubPath.isCommit(revision) {
            return TreeListing.check(files, commit: revision, folder: listings, filter: filter)
        }
        let (count, bytes) = ExistingSnapshot.counted(files, filter)
        guard count > 0 else { return nil }
        return ExistingSnapshot(
            directory: files, commit: revision, missing: [], isListed: false, files: count, bytes: bytes)
    }
}

/// Digests of files that lie here.
enum FileDigest {
    /// Whether the file has the digest; false also when it cannot be read.
    static func matches(_ path: String, _ digest: ExpectedDigest) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        guard let size = Disk.status(descriptor: file)?.sizeBytes else { return false }
        var needsGitBlob = false
        if case .gitBlobSHA1 = digest { needsGitBlob = true }
        var digests = RunningDigests(sizeBytes: size, needsGitBlob: needsGitBlob)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        return digests.read(file, to: size, buffer: buffer) == 0 && digests.finished().agrees(with: digest)
    }
}
