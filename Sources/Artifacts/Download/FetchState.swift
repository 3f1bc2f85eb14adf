// What a running fetch knows of its files: which bytes are there, who fetches which, what failed. Plain
// values; the threads of the fetch change them under one lock.

import Text

/// One range that a thread is to fetch.
struct Segment: Sendable {
    var file: Int
    /// Of the file's content; a restart begins another generation, and what is of an older one is dropped.
    var generation: Int
    /// Nil for the first request of a file of unknown size: from the first byte as far as it goes.
    var range: Range<Int>?
}

/// One file of a fetch.
struct FileState: Sendable {
    enum Phase: Sendable, Equatable {
        /// Nobody works on it.
        case waiting
        /// Its first exchange is to tell whether the server knows ranges; nobody else joins.
        case probing
        /// Ranges may be taken by any thread.
        case open
        /// Threads that still work on it are leaving, then it begins anew.
        case restarting
        /// All bytes are there and are being verified.
        case completing
        case done(DownloadedFile)
    }

    let job: DownloadJob
    var phase = Phase.waiting
    var partial: PartialFile?
    var hasher: FileHasher?
    var generation = 0
    /// Threads that fetch ranges of it.
    var active = 0
    var sizeBytes: Int?
    var received = ByteRanges()
    var assigned = ByteRanges()
    /// Made durable, or written by a process before and durable then.
    var durable = ByteRanges()
    var acceptsRanges = true
    var validator: ContentValidator?
    var etag: String?
    var addressIndex = 0
    /// Where redirects of the address led: asking there spares the hub the question for each range.
    var resolved: WebAddress?
    var ledgers: [RetryLedger]
    /// Why addresses were given up.
    var failures: [DownloadError] = []
    var corruptions = 0
    var restarts = 0
    var bytesFetched = 0

    init(_ job: DownloadJob) {
        self.job = job
        sizeBytes = job.file.sizeBytes
        ledgers = Array(repeating: RetryLedger(), count: job.file.addresses.count)
    }

    var isComplete: Bool { sizeBytes.map { received.prefixCount >= $0 } ?? false }

    var isDone: Bool {
        if case .done = phase { true } else { false }
    }

    /// Takes the next range that nobody fetches; nil when there is none.
    mutating func takeSegment(_ index: Int, segmentBytes: Int) -> Segment? {
        guard let sizeBytes else { return nil }
        let limit =
            acceptsRanges ? Self.segmentLimit(sizeBytes: sizeBytes, segmentBytes: segmentBytes) : sizeBytes
        let taken = assigned.isEmpty ? received : received.union(assigned)
        guard let range = taken.firstMissing(to: sizeBytes, limit: limit) else { return nil }
        assigned.insert(range)
        return Segment(file: index, generation: generation, range: range)
    }

    /// Files of up to two segments go in one; those of terabytes do not get a hundred thousand.
    static func segmentLimit(sizeBytes: Int, segmentBytes: Int) -> Int {
        let segment = max(1, segmentBytes)
        return sizeBytes <= 2 * segment ? max(1, sizeBytes) : max(segment, sizeBytes / 4096)
    }

    /// Begins the content anew once all threads have left.
    mutating func restart(acceptsRanges: Bool) {
        guard phase != .restarting else {
            self.acceptsRanges = self.acceptsRanges && acceptsRanges
            return
        }
        phase = .restarting
        generation += 1
        restarts += 1
        self.acceptsRanges = acceptsRanges
        hasher?.cancel()
    }

    /// Forgets all that was received.
    mutating func clear() {
        received = ByteRanges()
        assigned = ByteRanges()
        durable = ByteRanges()
        validator = nil
        resolved = nil
        sizeBytes = job.file.sizeBytes
        // Its thread would wait for bytes of a content that does not come any more.
        hasher?.cancel()
        hasher = nil
    }

    /// Lets go of the open file.
    mutating func closePartial() {
        partial = nil
        hasher = nil
    }

    /// What to do about a failed attempt.
    enum Verdict: Sendable {
        case again(after: Duration)
        case giveUp(DownloadError)
    }

    /// - Parameters:
    ///   - address: that the attempt asked.
    ///   - started: when the attempt began.
    mutating func failed(
        _ failure: ExchangeFailure, address: Int, started: Duration, now: Duration, jitter: Double,
        settings: DownloadSettings
    ) -> Verdict {
        // Another thread has moved on to the next mirror meanwhile.
        guard address == addressIndex else { return .again(after: .zero) }
        let pause = ledgers[address].pause(
            after: failure, started: started, now: now, jitter: jitter, settings: settings)
        if let pause { return .again(after: pause) }
        failures.append(failure.error)
        resolved = nil
        if addressIndex + 1 < job.file.addresses.count {
            addressIndex += 1
            return .again(after: .zero)
        }
        return .giveUp(finalError)
    }

    /// Of all addresses' failures the one that says most, with what the others said.
    private var finalError: DownloadError {
        let order: [DownloadError.Kind] = [
            .gated, .unauthorized, .forbidden, .revisionNotFound, .repositoryNotFound, .notFound,
            .rateLimited,
            .corrupt, .server, .network,
        ]
        let ranked = failures.indices.min { left, right in
            let ranks = [left, right].map { order.firstIndex(of: failures[$0].kind) ?? order.count }
            return (ranks[0], left) < (ranks[1], right)
        }
        guard let ranked else {
            return DownloadError(.network, path: job.file.name, problem: "has no address")
        }
        var error = failures[ranked]
        let place = WebAddress.shown(job.file.addresses[min(ranked, job.file.addresses.count - 1)].url)
        if error.path != job.file.name { error.problem = "\(error.path): \(error.problem)" }
        if !error.problem.contains(place) { error.problem = "\(place): \(error.problem)" }
        for index in failures.indices where index != ranked {
            error.problem += "; also tried \(failures[index].path): \(failures[index].problem)"
        }
        error.path = job.file.name
        return error
    }

    /// - Returns: false when the file has been fetched anew often enough.
    mutating func foundCorrupt(limit: Int) -> Bool {
        corruptions += 1
        guard corruptions <= limit else { return false }
        restart(acceptsRanges: acceptsRanges)
        // Another mirror may have better bytes.
        addressIndex = (addressIndex + 1) % max(1, job.file.addresses.count)
        failures = []
        return true
    }
}

/// All files of a fetch.
struct FetchState: Sendable {
    var files: [FileState]
    /// The first file that nobody has begun.
    var nextWaiting = 0
    /// Begun and not done, in the order of their beginning.
    var active: [Int] = []
    var filesDone = 0
    var bytesDone = 0
    var bytesTotal = 0
    /// Over the network, this time.
    var bytesFetched = 0
    var threads = 0
    var failure: DownloadError?
    var isStopped = false
    /// Folders whose entries are to be made durable at the end.
    var folders: Set<String> = []

    init(_ jobs: [DownloadJob]) {
        files = jobs.map(FileState.init)
        bytesTotal = jobs.reduce(0) { $0 + ($1.file.sizeBytes ?? 0) }
    }

    var isFinished: Bool { filesDone == files.count }

    enum Work: Sendable {
        /// Open the file and make its first exchange.
        case begin(Int)
        case fetch(Segment)
        case leave
    }

    /// The next piece of work for a thread; nil when it should wait.
    mutating func next(segmentBytes: Int, maxActive: Int) -> Work? {
        if isStopped || isFinished { return .leave }
        for index in active {
            switch files[index].phase {
            case .open:
                if let segment = files[index].takeSegment(index, segmentBytes: segmentBytes) {
                    files[index].active += 1
                    return .fetch(segment)
                }
            case .restarting where files[index].active == 0:
                begin(index)
                return .begin(index)
            default: break
            }
        }
        guard nextWaiting < files.count, active.count < maxActive else { return nil }
        active.append(nextWaiting)
        begin(nextWaiting)
        nextWaiting += 1
        return .begin(nextWaiting - 1)
    }

    private mutating func begin(_ index: Int) {
        files[index].phase = .probing
        files[index].active = 1
    }

    mutating func stop(_ error: DownloadError) {
        if failure == nil { failure = error }
        isStopped = true
    }

    /// A total that was unknown, or is another one now.
    mutating func setSize(_ index: Int, _ sizeBytes: Int?) {
        bytesTotal += (sizeBytes ?? 0) - (files[index].sizeBytes ?? 0)
        files[index].sizeBytes = sizeBytes
    }

    /// Forgets what was received of a file.
    mutating func clear(_ index: Int) {
        bytesDone -= files[index].received.count
        let sizeBytes = files[index].sizeBytes
        files[index].clear()
        bytesTotal += (files[index].sizeBytes ?? 0) - (sizeBytes ?? 0)
    }

    mutating func received(_ index: Int, _ range: Range<Int>) {
        files[index].received.insert(range)
        files[index].bytesFetched += range.count
        bytesFetched += range.count
        bytesDone += range.count
        let (address, size) = (files[index].addressIndex, files[index].sizeBytes)
        files[index].ledgers[address].progressed(range.count, sizeBytes: size)
    }

    mutating func done(_ index: Int, _ file: DownloadedFile) {
        files[index].phase = .done(file)
        files[index].closePartial()
        active.removeAll { $0 == index }
        filesDone += 1
    }
}
