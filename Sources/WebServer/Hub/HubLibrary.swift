// What is on the shelves now: snapshots of repositories, made anew when their files changed.
import NIOPosix
import Text

/// Keeps the snapshots of one served directory. A repository is looked through by one task at a time; others
/// that ask meanwhile get its result.
actor HubLibrary {
    /// How recent a look at the files must be.
    enum Freshness: Sendable {
        /// One that begins now.
        case now
        /// One not longer ago than the setting says.
        case recent
        /// Any one.
        case any
    }

    private struct Shelf: Hashable {
        var place: RepositoryPlace
        /// Empty for the one of a plain folder.
        var commit: String
    }

    private struct Kept {
        var snapshot: RepositorySnapshot
        var found: Set<FoundFile>
        var seen: Duration
    }

    private static let shelfLimit = 4_096
    private static let attempts = 3

    nonisolated let scan: RepositoryScan
    nonisolated let digests: FileDigests
    private let pool: NIOThreadPool
    private let freshness: Duration
    private let now: @Sendable () -> Duration
    private var kept: [Shelf: Kept] = [:]
    private var places: [RepositoryName: RepositoryPlace] = [:]
    private var waiting: [Shelf: [CheckedContinuation<RepositorySnapshot, any Error>]] = [:]

    /// - Parameter pool: runs what blocks, for minutes if files are large; the caller starts and ends it.
    init(
        scan: RepositoryScan, digests: FileDigests, pool: NIOThreadPool, freshness: Duration,
        now: @escaping @Sendable () -> Duration
    ) {
        self.scan = scan
        self.digests = digests
        self.pool = pool
        self.freshness = freshness
        self.now = now
    }

    func repositories(_ kind: RepositoryKind) async throws -> [RepositoryName] {
        try await pool.runIfActive { [scan] in scan.repositories(kind) }
    }

    /// A repository's branches with their commits.
    func references(of name: RepositoryName) async throws -> [(name: String, commit: String)] {
        switch try await place(of: name, .now) {
        case .cache(let cache):
            let references = try await pool.runIfActive { [scan] in scan.references(cache) }
            if references.contains(where: { $0.name == "main" }) { return references }
            return try await pool.runIfActive { [scan] in
                Self.commit(of: "main", cache, scan).map { [("main", $0)] + references } ?? references
            }
        case .folder:
            return [("main", try await snapshot(of: name, revision: "main", .now).commit)]
        }
    }

    private func place(of name: RepositoryName, _ freshness: Freshness) async throws -> RepositoryPlace {
        // Who asks for the thousandth file of a repository need not wait for its folder to be found again.
        if case .now = freshness {} else if let place = places[name] { return place }
        places[name] = nil
        guard let place = try await pool.runIfActive({ [scan] in scan.place(of: name) }) else {
            throw HubError.repositoryNotFound(name)
        }
        if places.count >= Self.shelfLimit { places.removeAll() }
        places[name] = place
        return place
    }

    /// The files of a repository at a revision: `main`, `master`, a name that the cache folder knows, or a
    /// commit.
    /// - Throws: `HubError`.
    func snapshot(
        of name: RepositoryName, revision: String, _ freshness: Freshness
    ) async throws -> RepositorySnapshot {
        let revision =
            revision.utf8.starts(with: "refs/heads/".utf8) ? String(revision.dropFirst(11)) : revision
        switch try await place(of: name, freshness) {
        case .cache(let cache):
            guard
                let commit = try await pool.runIfActive({ [scan] in Self.commit(of: revision, cache, scan) })
            else { throw HubError.revisionNotFound(revision, of: name) }
            return try await snapshot(Shelf(place: .cache(cache), commit: commit), freshness)
        case .folder(let folder):
            let shelf = Shelf(place: .folder(folder), commit: "")
            if revision == "main" || revision == "master" { return try await snapshot(shelf, freshness) }
            guard GitObjects.isDigest(revision, digits: 40) else {
                throw HubError.revisionNotFound(revision, of: name)
            }
            // The commit says what the files must be, so an old look is as good as a new one while it agrees.
            if let old = kept[shelf]?.snapshot, old.commit == revision, case .any = freshness { return old }
            let snapshot = try await snapshot(shelf, .now)
            guard snapshot.commit == revision else { throw HubError.revisionNotFound(revision, of: name) }
            return snapshot
        }
    }

    private static func commit(of revision: String, _ cache: String, _ scan: RepositoryScan) -> String? {
        let commits = scan.commits(cache)
        if commits.contains(revision) { return revision }
        let references = scan.references(cache)
        if let found = references.first(where: { $0.name == revision }) { return found.commit }
        guard revision == "main" || revision == "master" else { return nil }
        if let main = references.first(where: { $0.name == "main" }) { return main.commit }
        // What was downloaded by its commit has no `main`.
        return commits.count == 1 ? commits[0] : nil
    }

    // MARK: Looking

    private func snapshot(_ shelf: Shelf, _ freshness: Freshness) async throws -> RepositorySnapshot {
        if let old = kept[shelf] {
            switch freshness {
            case .any: return old.snapshot
            case .recent where now() - old.seen < self.freshness: return old.snapshot
            default: break
            }
        }
        if waiting[shelf] != nil {
            return try await withCheckedThrowingContinuation { waiting[shelf, default: []].append($0) }
        }
        waiting[shelf] = []
        let result: Result<RepositorySnapshot, any Error>
        do {
            result = .success(try await look(shelf))
        } catch {
            result = .failure(error)
        }
        for other in waiting.removeValue(forKey: shelf) ?? [] { other.resume(with: result) }
        return try result.get()
    }

    private func look(_ shelf: Shelf) async throws -> RepositorySnapshot {
        let start = now()
        let old = kept[shelf]
        let look = try await pool.runIfActive { [scan, digests] in
            try Self.look(shelf, old, scan, digests)
        }
        // More repositories than this are looked through again when they are asked for.
        if kept.count >= Self.shelfLimit, kept[shelf] == nil { kept.removeAll() }
        kept[shelf] = Kept(snapshot: look.snapshot, found: look.found, seen: start)
        return look.snapshot
    }

    private static func look(
        _ shelf: Shelf, _ old: Kept?, _ scan: RepositoryScan, _ digests: FileDigests
    ) throws -> (snapshot: RepositorySnapshot, found: Set<FoundFile>) {
        var failure: UnreadableFile?
        // Files may change while they are read; whoever writes without end gets an error.
        for _ in 0..<attempts {
            do {
                switch shelf.place {
                case .folder(let folder):
                    let found = try scan.files(folder)
                    if let old, old.found == Set(found) { return (old.snapshot, old.found) }
                    let files = try found.map { try file($0, digests) }
                    return (RepositorySnapshot(files: files), Set(found))
                case .cache(let cache):
                    let found = try scan.files(cache + "/snapshots/" + shelf.commit)
                    if let old, old.found == Set(found) { return (old.snapshot, old.found) }
                    let files = try found.map { try cachedFile($0, digests) }
                    return (RepositorySnapshot(files: files, commit: shelf.commit), Set(found))
                }
            } catch let error as UnreadableFile {
                failure = error
            }
        }
        throw HubError.unavailable(
            "\(failure?.path ?? ""): \(failure?.problem ?? ""); try again when nobody writes there")
    }

    private static func file(_ found: FoundFile, _ digests: FileDigests) throws(UnreadableFile) -> HubFile {
        let isLarge = LargeFiles.contains(found.path, sizeBytes: found.stamp.sizeBytes)
        let value = try digests.digests(found.realPath, found.stamp, withGitBlob: !isLarge)
        return HubFile(
            path: found.path, realPath: found.realPath, stamp: found.stamp, sha256: value.sha256,
            gitBlob: isLarge ? nil : value.gitBlob)
    }

    /// In a cache the name of the blob says what it is, so large files need not be read.
    private static func cachedFile(
        _ found: FoundFile, _ digests: FileDigests
    ) throws(UnreadableFile) -> HubFile {
        let blob = found.realPath.split(separator: "/").last ?? ""
        if GitObjects.isDigest(blob, digits: 64) {
            return HubFile(
                path: found.path, realPath: found.realPath, stamp: found.stamp, sha256: String(blob),
                gitBlob: nil)
        }
        guard GitObjects.isDigest(blob, digits: 40) else { return try file(found, digests) }
        let value = try digests.digests(found.realPath, found.stamp, withGitBlob: true)
        return HubFile(
            path: found.path, realPath: found.realPath, stamp: found.stamp, sha256: value.sha256,
            gitBlob: value.gitBlob)
    }
}

/// Which files the Hub keeps apart from Git (LFS), and describes by their SHA-256.
enum LargeFiles {
    private static let thresholdBytes = 10_000_000

    /// As in the `.gitattributes` of a new repository.
    private static let endings: Set = [
        "7z", "arrow", "avro", "bin", "bz2", "ckpt", "ftz", "gguf", "gz", "h5", "joblib", "lz4", "mlmodel",
        "model", "msgpack", "npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt", "pth", "rar",
        "safetensors", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst",
    ]

    static func contains(_ path: String, sizeBytes: Int) -> Bool {
        // Git keeps empty files itself, whatever their names.
        if sizeBytes == 0 { return false }
        if sizeBytes >= thresholdBytes { return true }
        guard let ending = path.split(separator: ".").last, path.contains(".") else { return false }
        return endings.contains(ending.lowercased())
    }
}
