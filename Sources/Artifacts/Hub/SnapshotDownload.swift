// From a source to a snapshot on disk: what is missing is fetched, by one process for all that wait for it.

import Glibc
import Text

/// What came of a download.
package struct SnapshotResult: Sendable, Hashable {
    package var directory: String
    /// The commit that was fetched, or the revision where a source has no commits.
    package var commit: String
    /// Wanted files, all of which are there.
    package var paths: [String]
    package var bytes: Int
    /// Of these, how many came over the network this time.
    package var bytesFetched: Int
    /// What the user should know although nothing failed.
    package var warnings: [String]
}

/// How far a snapshot has come.
package struct SnapshotProgress: Sendable, Hashable {
    package var filesDone = 0
    package var filesTotal = 0
    package var bytesDone = 0
    package var bytesTotal = 0
    package var bytesPerSecond = 0.0
    /// Set while nothing is done but to wait for another process that fetches the same.
    package var isWaiting = false
}

/// What a download would do.
package struct SnapshotPlan: Sendable {
    package struct File: Sendable {
        package var path: String
        package var sizeBytes: Int?
        package var isPresent: Bool
    }

    package var directory: String
    package var commit: String
    package var files: [File]

    package var bytes: Int { files.reduce(0) { $0 + ($1.sizeBytes ?? 0) } }
    package var bytesMissing: Int { files.reduce(0) { $0 + ($1.isPresent ? 0 : $1.sizeBytes ?? 0) } }
}

/// One snapshot: a source, a place for it, and which of its files are wanted.
package struct SnapshotDownload: Sendable {
    package var source: any DownloadSource
    package var store: any SnapshotStore
    package var revision: String
    package var filter = FileFilter()
    /// Fetches also what is there.
    package var isForced = false
    /// Asks nobody and takes what is there.
    package var isOffline = false
    package var transport: any HubTransport
    package var clock = DownloadClock.system
    /// Files whose locks one process holds at once; those after them are left to others meanwhile.
    package var batchSize = 128
    /// After so long without a byte by whoever holds a lock, waiting for it ends.
    package var longestWait = Duration.seconds(1800)

    package init(
        source: any DownloadSource, store: any SnapshotStore, revision: String,
        transport: any HubTransport
    ) {
        self.source = source
        self.store = store
        self.revision = revision
        self.transport = transport
    }

    // MARK: Asking

    /// What `run` would fetch.
    package func plan(isCancelled: @escaping @Sendable () -> Bool = { false }) throws -> SnapshotPlan {
        let (listing, wanted) = try wanted(isCancelled)
        let files = try wanted.map { file in
            let state = store.state(of: file, at: try store.place(of: file), commit: listing.commit)
            return SnapshotPlan.File(
                path: file.path, sizeBytes: file.remote.sizeBytes, isPresent: !isForced && state != .absent)
        }
        return SnapshotPlan(
            directory: store.directory(commit: listing.commit), commit: listing.commit, files: files)
    }

    /// The listing, checked, and the files of it that the filter takes.
    private func wanted(
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> (SourceListing, [SourceFile]) {
        let hasFallback = !isForced && store.existing(revision: revision, filter: filter)?.isComplete == true
        let listing = try source.listing(
            hasFallback ? HastyTransport(base: transport) : transport, isCancelled: isCancelled)
        if let (path, problem) = HubPath.problem(among: listing.files.map(\.path)) {
            throw DownloadError(
                .badRequest, path: source.name,
                problem: "the file name \(Self.shown(path)) \(problem), so nothing of it is downloaded",
                remedy: "tell its owner; a server that sends such names may mean harm")
        }
        let wanted = listing.files.filter { filter.takes($0.path) }
        guard !wanted.isEmpty else {
            let names = listing.files.prefix(5).map(\.path).joined(separator: ", ")
            throw DownloadError(
                .notFound, path: source.name,
                problem: listing.files.isEmpty
                    ? "has no files" : "no file matches --include and --exclude",
                remedy: listing.files.isEmpty
                    ? "check the revision" : "it has \(listing.files.count) files, such as \(names)")
        }
        return (listing, wanted)
    }

    /// A name that may hold anything, for a message.
    private static func shown(_ name: String) -> String {
        JSONValue.string(String(name.prefix(200))).compactText
    }

    // MARK: Running

    /// Fetches what is missing. Blocks.
    /// - Throws: `DownloadError`. What was fetched stays, and the same call goes on from there.
    package func run(
        progress: @escaping @Sendable (SnapshotProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> SnapshotResult {
        if isOffline { return try offline() }
        // What a commit holds never changes, so a complete one needs nobody.
        if !isForced, HubPath.isCommit(revision),
            let found = store.existing(revision: revision, filter: filter),
            found.isComplete
        {
            return try result(found)
        }
        let (listing, wanted): (SourceListing, [SourceFile])
        do {
            (listing, wanted) = try self.wanted(isCancelled)
        } catch let error as DownloadError where Self.mayPass(error) && !isForced {
            guard let found = store.existing(revision: revision, filter: filter), found.isComplete else {
                throw error
            }
            return try result(
                found,
                warning: "\(error); using commit \(found.commit), which was downloaded before")
        }
        try store.begin(listing, wanted: wanted)
        var run = SnapshotRun(
            download: self, commit: listing.commit, progress: progress, isCancelled: isCancelled)
        let fetched = try run.fetch(wanted)
        try store.finish(listing, revision: revision)
        return SnapshotResult(
            directory: store.directory(commit: listing.commit), commit: listing.commit,
            paths: wanted.map(\.path), bytes: fetched.bytes, bytesFetched: fetched.bytesFetched,
            warnings: [])
    }

    /// Failures of the way to the server, not of what was asked for.
    private static func mayPass(_ error: DownloadError) -> Bool {
        [.network, .server, .rateLimited].contains(error.kind)
    }

    private func offline() throws -> SnapshotResult {
        let name = "\(source.name)@\(revision)"
        let remedy = "download it once without HF_HUB_OFFLINE and --local_files_only"
        guard let found = store.existing(revision: revision, filter: filter) else {
            throw DownloadError(
                .offline, path: name, problem: "is not in \(store.root), and the network may not be used",
                remedy: remedy)
        }
        guard found.missing.isEmpty else {
            let names = found.missing.prefix(3).joined(separator: ", ")
            throw DownloadError(
                .offline, path: name,
                problem: "\(found.missing.count) of its files are missing in \(found.directory) (\(names)"
                    + (found.missing.count > 3 ? ", ...)" : ")"), remedy: remedy)
        }
        let warning =
            found.isListed
            ? nil : "\(found.directory): nothing tells which files belong to it; it may be incomplete"
        return try result(found, warning: warning)
    }

    private func result(_ found: ExistingSnapshot, warning: String? = nil) throws -> SnapshotResult {
        var paths: [String] = []
        func collect(_ inside: String, _ depth: Int) {
            let names = Disk.list(inside.isEmpty ? found.directory : "\(found.directory)/\(inside)") ?? []
            for name in names.sorted() where depth < 64 {
                let path = inside.isEmpty ? name : "\(inside)/\(name)"
                if Disk.status("\(found.directory)/\(path)")?.kind == .directory {
                    if path != ".cache" { collect(path, depth + 1) }
                } else if Disk.targetStatus("\(found.directory)/\(path)")?.kind == .file, filter.takes(path) {
                    paths.append(path)
                }
            }
        }
        collect("", 0)
        return SnapshotResult(
            directory: found.directory, commit: found.commit, paths: paths, bytes: found.bytes,
            bytesFetched: 0, warnings: warning.map { [$0] } ?? [])
    }
}

/// Questions that nobody need wait long for, as there is something to fall back to.
private struct HastyTransport: HubTransport {
    let base: any HubTransport

    func fetch(
        _ jobs: [DownloadJob], progress: @escaping @Sendable (DownloadProgress) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws -> [DownloadedFile] {
        try base.fetch(jobs, progress: progress, isCancelled: isCancelled)
    }

    func exchange(_ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool) throws -> HubReply {
        var request = request
        request.retries = min(request.retries ?? 2, 2)
        return try base.exchange(request, isCancelled: isCancelled)
    }
}
