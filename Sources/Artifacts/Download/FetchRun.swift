// One call of `fetch`: threads that take ranges of files until all are there, and the caller, who looks on.

import Glibc
import Synchronization
import Text

final class FetchRun: Sendable {
    let downloader: Downloader
    let state: Monitor<FetchState>
    private let stopped = Atomic(false)
    /// How often the caller looks: a tenth of the second within which cancelling must show.
    private static let lookEvery = Duration.milliseconds(50)
    private static let tellEvery = Duration.milliseconds(200)

    init(_ downloader: Downloader, jobs: [DownloadJob]) {
        self.downloader = downloader
        state = Monitor(FetchState(jobs))
    }

    var settings: DownloadSettings { downloader.settings }
    var isStopped: Bool { stopped.load(ordering: .relaxed) }

    func generation(_ index: Int) -> Int { state.access { $0.files[index].generation } }

    func run(
        progress: (DownloadProgress) -> Void, isCancelled: () -> Bool
    ) throws -> [DownloadedFile] {
        try checkDiskSpace()
        let wanted = min(settings.maxConnections, state.access { usefulThreads($0) })
        var started = 0
        while started < max(1, wanted), start({ $0.work() }) { started += 1 }
        guard started > 0 else {
            throw DownloadError(
                .disk, path: "", problem: "no thread can be started", remedy: "raise the limit of processes")
        }
        watch(progress: progress, isCancelled: isCancelled)
        // Threads are gone but for their last instructions; the files' locks must not wait for those.
        let (failure, folders) = state.access { state in
            for index in state.active { state.files[index].closePartial() }
            return (state.failure, state.folders)
        }
        if settings.isDurable {
            for folder in folders.sorted() { try synchronizeFolder(folder) }
        }
        if let failure { throw failure }
        return state.access { state in
            state.files.compactMap { if case .done(let file) = $0.phase { file } else { nil } }
        }
    }

    /// Threads that would have something to do.
    private func usefulThreads(_ state: FetchState) -> Int {
        var count = 0
        for file in state.files where count < settings.maxConnections {
            let size = file.sizeBytes ?? .max
            let limit = FileState.segmentLimit(sizeBytes: size, segmentBytes: settings.segmentBytes)
            count += max(1, min(settings.maxConnections, size / limit))
        }
        return count
    }

    /// Runs the body on a thread that `watch` waits for.
    func start(_ body: @escaping @Sendable (FetchRun) -> Void) -> Bool {
        state.access { $0.threads += 1 }
        let status = SystemThread.start(stackBytes: Downloader.stackBytes) { [self] in
            body(self)
            state.change { $0.threads -= 1 }
        }
        let isStarted = status == 0
        if !isStarted { state.change { $0.threads -= 1 } }
        return isStarted
    }

    /// Tells the caller how far it is until all threads have ended.
    private func watch(progress: (DownloadProgress) -> Void, isCancelled: () -> Bool) {
        var meter = SpeedMeter()
        var toldAt: Duration?
        var isOver = false
        while !isOver {
            isOver = state.wait(atMost: Self.lookEvery) { $0.threads == 0 ? true : nil } ?? false
            if !isOver && !isStopped && isCancelled() { stop(.cancelled) }
            let now = settings.clock.now()
            if !isOver, let toldAt, now - toldAt < Self.tellEvery { continue }
            toldAt = now
            let (bytesFetched, told) = state.access { state in
                var told = DownloadProgress()
                told.bytesDone = state.bytesDone
                told.bytesTotal = state.bytesTotal
                told.filesDone = state.filesDone
                told.filesTotal = state.files.count
                return (state.bytesFetched, told)
            }
            var current = told
            current.bytesPerSecond = meter.speed(bytesFetched, now: now)
            progress(current)
        }
    }

    func stop(_ error: DownloadError) {
        stopped.store(true, ordering: .relaxed)
        let hashers = state.change { state in
            state.stop(error)
            return state.files.compactMap(\.hasher)
        }
        for hasher in hashers { hasher.cancel() }
    }

    /// Runs work whose failure ends the whole fetch.
    func guarded(_ body: () throws -> Void) {
        do {
            try body()
        } catch let error as DownloadError {
            stop(error)
        } catch let failure as ExchangeFailure {
            stop(failure.error)
        } catch {
            stop(DownloadError(.disk, path: "", problem: "\(error)"))
        }
    }

    /// Takes work until there is none.
    private func work() {
        while true {
            let work = state.wait(atMost: .seconds(1)) { [settings] in
                $0.next(segmentBytes: settings.segmentBytes, maxActive: settings.maxConnections)
            }
            switch work {
            case .none: continue
            case .leave: return
            case .begin(let index): guarded { try begin(index) }
            case .fetch(let segment): guarded { try fetch(segment) }
            }
        }
    }

    /// Waits as long as the rate limit asks for these bytes.
    func pay(_ bytes: Int, shouldStop: () -> Bool) -> Bool {
        guard let limiter = downloader.limiter else { return true }
        let moment = limiter.take(bytes, now: settings.clock.now())
        return downloader.sleep(until: moment, shouldStop: shouldStop)
    }

    /// Notes bytes that were written, and lets the digests go on when they are next in line.
    func received(_ index: Int, _ range: Range<Int>) {
        let (hasher, count) = state.access { state in
            state.received(index, range)
            return (state.files[index].hasher, state.files[index].received.prefixCount)
        }
        hasher?.advance(to: count)
    }

    private func synchronizeFolder(_ path: String) throws {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw DownloadError(errno: errno, path: path, while: "open") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw DownloadError(errno: errno, path: path, while: "save to disk") }
    }
}

/// Bytes a second over the last seconds.
struct SpeedMeter {
    private static let window = Duration.seconds(5)
    private var samples: [(moment: Duration, bytes: Int)] = []

    mutating func speed(_ bytes: Int, now: Duration) -> Double {
        samples.append((now, bytes))
        // One sample older than the window stays, so that slow times are seen at their length.
        while samples.count > 2, now - samples[1].moment >= Self.window { samples.removeFirst() }
        let span = (now - samples[0].moment).inSeconds
        return span > 0 ? Double(bytes - samples[0].bytes) / span : 0
    }
}
