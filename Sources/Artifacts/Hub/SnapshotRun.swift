// The fetching of one snapshot: files whose lock is free are fetched in batches, for the others this process
// waits until whoever has the lock is done.

struct SnapshotRun {
    private struct Item {
        var file: SourceFile
        var place: FilePlace
    }

    private let download: SnapshotDownload
    private let commit: String
    private let report: @Sendable (SnapshotProgress) -> Void
    private let isCancelled: @Sendable () -> Bool
    private var progress = SnapshotProgress()
    private var bytesFetched = 0

    init(
        download: SnapshotDownload, commit: String,
        progress: @escaping @Sendable (SnapshotProgress) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) {
        self.download = download
        self.commit = commit
        report = progress
        self.isCancelled = isCancelled
    }

    private var store: any SnapshotStore { download.store }

    /// Returns when all files are there.
    mutating func fetch(_ files: [SourceFile]) throws -> (bytes: Int, bytesFetched: Int) {
        var pending: [Item] = []
        progress.filesTotal = files.count
        progress.bytesTotal = files.reduce(0) { $0 + ($1.remote.sizeBytes ?? 0) }
        for file in files {
            let item = Item(file: file, place: try store.place(of: file))
            let isPresent = try !download.isForced && addIfPresent(item)
            if !isPresent { pending.append(item) }
            try checkCancelled()
        }
        report(progress)
        try checkSpace(pending)
        var wait = WaitLimit(download.longestWait, now: download.clock.now())
        while !pending.isEmpty {
            try checkCancelled()
            let (rest, didWork) = try fetchBatch(pending)
            pending = rest
            if didWork || pending.isEmpty {
                wait = WaitLimit(download.longestWait, now: download.clock.now())
                continue
            }
            try pause(pending, &wait)
        }
        report(progress)
        return (progress.bytesDone, bytesFetched)
    }

    private func checkCancelled() throws {
        guard isCancelled() else { return }
        throw DownloadError(
            .cancelled, path: download.source.name, problem: "interrupted",
            remedy: "the same command goes on from here")
    }

    // MARK: Batches

    /// Fetches the files whose locks can be had.
    /// - Returns: the files that are not there yet, and whether any other was dealt with.
    private mutating func fetchBatch(_ pending: [Item]) throws -> ([Item], didWork: Bool) {
        var rest: [Item] = []
        var batch: [Item] = []
        var locks: [FileLock] = []
        var didWork = false
        for item in pending {
            guard batch.count < download.batchSize, let lock = try FileLock.take(item.place.lock) else {
                rest.append(item)
                continue
            }
            // Whoever had the lock before may have fetched it.
            if !download.isForced, try addIfPresent(item) {
                didWork = true
                continue
            }
            batch.append(item)
            locks.append(lock)
        }
        if !batch.isEmpty {
            try withExtendedLifetime(locks) { try fetch(batch: batch) }
            didWork = true
        }
        return (rest, didWork)
    }

    private mutating func fetch(batch: [Item]) throws {
        let jobs = batch.map {
            DownloadJob(
                file: $0.file.remote, destination: $0.place.destination, partial: $0.place.partial)
        }
        progress.isWaiting = false
        let before = progress
        let report = report
        let fetched: [DownloadedFile]
        do {
            fetched = try download.transport.fetch(
                jobs,
                progress: { part in
                    var whole = before
                    whole.filesDone += part.filesDone
                    whole.bytesDone += part.bytesDone
                    whole.bytesPerSecond = part.bytesPerSecond
                    report(whole)
                }, isCancelled: isCancelled)
        } catch {
            // What is there is kept for the next time, also under the commit.
            for item in batch { _ = try? addIfPresent(item) }
            throw error
        }
        for (item, file) in zip(batch, fetched) {
            try store.add(item.file, at: item.place, commit: commit)
            progress.filesDone += 1
            progress.bytesDone += file.bytes
            if item.file.remote.sizeBytes == nil { progress.bytesTotal += file.bytes }
            bytesFetched += file.bytesFetched
        }
        report(progress)
    }

    private mutating func addIfPresent(_ item: Item) throws -> Bool {
        switch store.state(of: item.file, at: item.place, commit: commit) {
        case .absent: return false
        case .stored: try store.add(item.file, at: item.place, commit: commit)
        case .complete: break
        }
        let bytes = item.file.remote.sizeBytes ?? Disk.targetStatus(item.place.destination)?.sizeBytes ?? 0
        progress.filesDone += 1
        progress.bytesDone += bytes
        if item.file.remote.sizeBytes == nil { progress.bytesTotal += bytes }
        return true
    }

    // MARK: Waiting

    private mutating func pause(_ pending: [Item], _ wait: inout WaitLimit) throws {
        // What another process has on disk already is progress that this one's user wants to see, too.
        let places = pending.prefix(256).map(\.place)
        var seen: [Int64] = []
        for place in places {
            let status = Disk.status(place.partial) ?? Disk.status(place.destination)
            seen += [status?.changedNanoseconds ?? 0, Int64(status?.sizeBytes ?? 0)]
        }
        guard wait.goesOn(seen, now: download.clock.now()) else {
            let minutes = download.longestWait.components.seconds / 60
            throw DownloadError(
                .disk, path: places.first?.lock ?? "",
                problem:
                    "another process has held this lock for \(minutes) minutes without fetching anything",
                remedy: "end that process (fuser shows it), then start again")
        }
        if !progress.isWaiting {
            progress.isWaiting = true
            progress.bytesPerSecond = 0
            report(progress)
        }
        download.clock.sleep(.milliseconds(100))
    }

    // MARK: Space

    /// Refuses before the first byte what cannot fit.
    private func checkSpace(_ pending: [Item]) throws {
        var needed = 0
        var counted: Set<String> = []
        for item in pending where counted.insert(item.place.destination).inserted {
            let there = DiskSpace.allocatedBytes(item.place.partial)
            needed += max(0, (item.file.remote.sizeBytes ?? 0) - there)
        }
        guard needed > 0, let free = DiskSpace.freeBytes(store.root), needed > free else { return }
        throw DownloadError(
            .noSpace, path: store.root,
            problem: "\(ByteCount.text(needed)) are to be fetched, but only \(ByteCount.text(free)) are free",
            remedy: "free space, leave files out with --exclude, or choose another place with HF_HOME, "
                + "MODELSCOPE_CACHE or --local_dir")
    }
}

/// How long nothing may change while another process is waited for.
private struct WaitLimit {
    private let limit: Duration
    private var since: Duration
    private var last: [Int64] = []

    init(_ limit: Duration, now: Duration) {
        self.limit = limit
        since = now
    }

    mutating func goesOn(_ seen: [Int64], now: Duration) -> Bool {
        if seen != last {
            last = seen
            since = now
        }
        return now - since < limit
    }
}
