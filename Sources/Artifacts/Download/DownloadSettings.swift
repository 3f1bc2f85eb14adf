// How downloads are done: how many connections, how fast, how often again, and by which clock.

import Glibc
package import Text

/// The time that a download lives by; tests draw it themselves.
package struct DownloadClock: Sendable {
    /// Time since some fixed moment, never going back.
    package var now: @Sendable () -> Duration
    /// The time of the calendar, for dates that servers send.
    package var wallTime: @Sendable () -> Timestamp
    /// Blocks the calling thread. Asked for at most a tenth of a second at once.
    package var sleep: @Sendable (Duration) -> Void

    package init(
        now: @escaping @Sendable () -> Duration, wallTime: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) -> Void
    ) {
        self.now = now
        self.wallTime = wallTime
        self.sleep = sleep
    }

    package static let system = DownloadClock(
        now: { read(CLOCK_MONOTONIC) },
        wallTime: { Timestamp(nanoseconds: read(CLOCK_REALTIME).wholeNanoseconds) },
        sleep: { span in
            let nanoseconds = max(0, span.wholeNanoseconds)
            var time = timespec(
                tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
            nanosleep(&time, nil)
        })

    private static func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        clock_gettime(clock, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

package struct DownloadSettings: Sendable {
    /// At most so many exchanges at once, over all files of a `Downloader`.
    package var maxConnections = 8
    /// A file of more than two segments is fetched in parallel ranges of this size.
    package var segmentBytes = 16 << 20
    /// Over all connections together; nil for as fast as it goes.
    package var rateLimitBytesPerSecond: Int?
    /// How often an address may fail in one class (broken connections, 5xx, 429) before it is given up.
    package var retries = 8
    /// How often a file whose digest is wrong is fetched again.
    package var corruptRetries = 2
    /// The first pause; doubles with each failure, with jitter, up to `longestBackoff`.
    package var firstBackoff = Duration.milliseconds(500)
    package var longestBackoff = Duration.seconds(30)
    /// A server that asks for a longer pause than this is an error that tells it.
    package var longestRetryAfter = Duration.seconds(300)
    /// A connection that brings nothing for so long is broken.
    package var stallTimeout = Duration.seconds(60)
    package var connectTimeout = Duration.seconds(30)
    /// `~/.netrc` (or `$NETRC`) for hosts that get no Authorization header.
    package var usesNetrc = true
    /// `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` of the environment.
    package var usesProxy = true
    /// PEM file with certificates of authorities; nil for the system's.
    package var certificateFile: String?
    package var certificateDirectory: String?
    package var userAgent = "martlet"
    /// Whether a finished file waits until it would survive a loss of power.
    package var isDurable = true
    /// Free space that a download leaves on the disk.
    package var spareDiskBytes = 16 << 20
    package var clock = DownloadClock.system
    /// Chooses the jitter of pauses: a number from 0 to 1.
    package var jitter: @Sendable () -> Double = { Double.random(in: 0...1) }

    package init() {}

    /// Settings with what the environment says of certificates.
    package init(environment: [String: String]) {
        let file = ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].compactMap { environment[$0] }
        certificateFile = file.first { !$0.isEmpty }
        certificateDirectory = environment["SSL_CERT_DIR"].flatMap { $0.isEmpty ? nil : $0 }
    }
}
