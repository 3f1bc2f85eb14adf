// Fetches files by libcurl: several at once and in parallel ranges, resumed across processes, verified before
// they appear under their names.

import Glibc
import Synchronization

/// One budget of connections and one rate limit for all that is asked of it. Calls block; any thread may
/// call.
package final class Downloader: Sendable {
    /// Sums of so many lengths cannot overflow.
    private static let jobLimit = 1 << 18
    /// Of each thread: libcurl with TLS takes some 100 KiB.
    static let stackBytes = 1 << 20

    package let settings: DownloadSettings
    let connections: ConnectionPool
    let limiter: RateLimiter?
    /// Until when a host wants to be left alone, by scheme, host and port.
    let pauses = Mutex<[String: Duration]>([:])

    package init(_ settings: DownloadSettings = DownloadSettings()) {
        var settings = settings
        settings.maxConnections = min(256, max(1, settings.maxConnections))
        settings.segmentBytes = min(1 << 40, max(1, settings.segmentBytes))
        settings.retries = min(1000, max(0, settings.retries))
        self.settings = settings
        connections = ConnectionPool(limit: settings.maxConnections)
        limiter = settings.rateLimitBytesPerSecond.map { RateLimiter(bytesPerSecond: $0) }
    }

    /// Fetches the files into their paths. A file is complete under its final name or absent.
    /// - Parameters:
    ///   - progress: called by the calling thread some five times a second, and at the end.
    ///   - isCancelled: asked by the calling thread; what was fetched stays for the next time.
    /// - Returns: the files in the order of the jobs.
    /// - Throws: `DownloadError`, the first failure of a file that its retries and mirrors did not mend.
    ///   Files that were finished before stay.
    package func fetch(
        _ jobs: [DownloadJob], progress: @escaping @Sendable (DownloadProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> [DownloadedFile] {
        if jobs.isEmpty { return [] }
        guard jobs.count <= Self.jobLimit else {
            throw DownloadError(
                .badRequest, path: jobs[0].file.name,
                problem: "\(jobs.count) files are too many for one download",
                remedy: "choose fewer than \(Self.jobLimit) by patterns")
        }
        for job in jobs {
            guard let size = job.file.sizeBytes, !(0...AnswerFacts.lengthLimit).contains(size) else {
                continue
            }
            throw DownloadError(.badRequest, path: job.file.name, problem: "cannot have \(size) bytes")
        }
        return try FetchRun(self, jobs: jobs).run(progress: progress, isCancelled: isCancelled)
    }

    /// Asks a server and keeps the answer in memory, whatever its status; 408, 429, 5xx and broken
    /// connections are tried again first.
    /// - Throws: `DownloadError` when there was no complete answer.
    package func exchange(
        _ request: HubRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> HubReply {
        guard let url = WebAddress(request.url), url.scheme != "file" else {
            throw DownloadError(
                .badRequest, path: WebAddress.shown(request.url), problem: "is no http or https address")
        }
        var ledger = RetryLedger()
        var patience = settings
        if let retries = request.retries { patience.retries = retries }
        while true {
            guard waitForHost(url.origin, shouldStop: isCancelled) else { throw DownloadError.cancelled }
            let started = settings.clock.now()
            var reply: HubReply?
            let failure: ExchangeFailure
            do {
                let answer = try attempt(request, at: url, isCancelled: isCancelled)
                guard
                    let refusal = ExchangeFailure(
                        status: answer.status, headers: answer.headers, path: url.shown,
                        wallTime: settings.clock.wallTime())
                else { return answer }
                (reply, failure) = (answer, refusal)
            } catch let error as ExchangeFailure {
                failure = error
            }
            note(failure, origin: url.origin)
            let now = settings.clock.now()
            let pause = ledger.pause(
                after: failure, started: started, now: now, jitter: settings.jitter(), settings: patience)
            guard let pause else {
                if let reply { return reply }
                throw failure.error
            }
            guard sleep(until: now + pause, shouldStop: isCancelled) else { throw DownloadError.cancelled }
        }
    }
}
