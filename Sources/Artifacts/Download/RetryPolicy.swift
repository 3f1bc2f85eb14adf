// When a failed exchange is tried again, and when it is given up. Pure: time and chance come in as values.

import Text

/// Classes that count apart: a server that is busy says nothing about the line that leads to it.
enum FailureClass: Sendable, Hashable {
    /// No connection, a broken or a stalled one.
    case connection
    /// 408 and 5xx.
    case server
    /// 429.
    case rateLimited
    /// An answer that cannot be: a wrong length, a wrong range.
    case answer
    /// Trying again does not help: 401, 404, a certificate that is not trusted.
    case permanent
}

/// One exchange that did not bring what was asked for.
struct ExchangeFailure: Error, Sendable {
    var failureClass: FailureClass
    var error: DownloadError
    /// How long the server asked to wait.
    var retryAfter: Duration?

    init(_ failureClass: FailureClass, _ error: DownloadError, retryAfter: Duration? = nil) {
        self.failureClass = failureClass
        self.error = error
        self.retryAfter = retryAfter
    }

    /// Of an answer with status 400 and above; nil for others.
    init?(status: Int, headers: ReplyHeaders, path: String, wallTime: Timestamp) {
        guard var error = DownloadError(status: status, headers: headers, path: path) else { return nil }
        let wait = RetryAfter.wait(status: status, headers: headers, wallTime: wallTime)
        error.retryAfter = wait
        switch status {
        case 429: self.init(.rateLimited, error, retryAfter: wait)
        case 408, 500...599: self.init(.server, error, retryAfter: wait)
        default: self.init(.permanent, error)
        }
    }
}

/// Reads how long a server wants to be left alone.
enum RetryAfter {
    /// `Retry-After` in seconds or as a date; else, with status 429, the `t=` of a `RateLimit` header.
    static func wait(status: Int, headers: ReplyHeaders, wallTime: Timestamp) -> Duration? {
        if let text = headers["retry-after"] {
            if let seconds = Double(text), seconds.isFinite, seconds >= 0 {
                return .milliseconds(Int(min(seconds, 1e9) * 1000))
            }
            for layout in ["Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT"] {
                if let moment = GoTime.parse(text, layout: layout, zone: .utc) {
                    return max(.zero, moment - wallTime)
                }
            }
        }
        guard status == 429, let text = headers["ratelimit"] else { return nil }
        return rateLimitWait(text)
    }

    /// `"api";r=0;t=55`, several with commas between: the longest time of those with nothing remaining.
    static func rateLimitWait(_ text: String) -> Duration? {
        var longest: Int?
        for policy in text.split(separator: ",") {
            var remaining: Int?
            var seconds: Int?
            for part in policy.split(separator: ";") {
                let words = part.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
                guard words.count == 2 else { continue }
                if words[0] == "r" { remaining = Int(words[1]) }
                if words[0] == "t" { seconds = Int(words[1]) }
            }
            guard let seconds, seconds >= 0, remaining ?? 0 == 0 else { continue }
            longest = max(longest ?? 0, min(seconds, 1_000_000_000))
        }
        return longest.map { .seconds($0) }
    }
}

/// Counts the failures of one address.
struct RetryLedger: Sendable {
    /// However much comes in between: an address that fails so often is not worth more.
    static let totalFactor = 16

    private var counts: [FailureClass: Int] = [:]
    private var total = 0
    private var progressBytes = 0
    private var lastFailure: Duration?
    private var nextAttempt = Duration.zero

    /// Enough progress makes failures before it forgotten.
    /// - Parameter sizeBytes: of the file; nil when unknown.
    mutating func progressed(_ bytes: Int, sizeBytes: Int?) {
        guard !counts.isEmpty else { return }
        progressBytes += bytes
        if progressBytes >= min(1 << 20, max(1, (sizeBytes ?? 1 << 26) / 64)) {
            counts = [:]
            progressBytes = 0
        }
    }

    /// Notes a failure.
    /// - Parameters:
    ///   - started: when the attempt began. Attempts of other connections that were under way when one failed
    ///     belong to the same outage and are not counted again.
    ///   - jitter: 0 to 1.
    /// - Returns: the pause before the next attempt; nil when there is to be none.
    mutating func pause(
        after failure: ExchangeFailure, started: Duration, now: Duration, jitter: Double,
        settings: DownloadSettings
    ) -> Duration? {
        guard failure.failureClass != .permanent else { return nil }
        if let asked = failure.retryAfter, asked > settings.longestRetryAfter { return nil }
        if let lastFailure, started < lastFailure {
            return max(nextAttempt - now, failure.retryAfter ?? .zero, .zero)
        }
        let count = counts[failure.failureClass, default: 0] + 1
        counts[failure.failureClass] = count
        total += 1
        progressBytes = 0
        guard count <= settings.retries, total <= settings.retries * Self.totalFactor else { return nil }
        var pause = settings.longestBackoff
        if count < 32 { pause = min(pause, settings.firstBackoff * (1 << (count - 1))) }
        pause = pause * (0.5 + 0.5 * min(1, max(0, jitter)))
        // A little more than asked for, so that clients that were sent away together do not return together.
        if let asked = failure.retryAfter { pause = max(asked + pause / 8, pause) }
        lastFailure = now
        nextAttempt = now + pause
        return pause
    }
}
