// One bucket of tokens for all connections: how long whoever received bytes must wait before he goes on.

import Synchronization

/// Spreads bytes over time. The schedule is absolute, so that waits that take too long do not add up.
final class RateLimiter: Sendable {
    /// What was not used for so long is not made up for.
    private static let burst = Duration.milliseconds(100)

    let bytesPerSecond: Int
    /// When all bytes taken so far are paid for.
    private let paidAt: Mutex<Duration>

    init(bytesPerSecond: Int) {
        self.bytesPerSecond = max(1, bytesPerSecond)
        paidAt = Mutex(.zero)
    }

    /// - Returns: the moment until which the receiver of these bytes must wait.
    func take(_ bytes: Int, now: Duration) -> Duration {
        let cost = Duration.nanoseconds(Int64(Double(bytes) / Double(bytesPerSecond) * 1e9))
        return paidAt.withLock { paidAt in
            paidAt = max(paidAt, now - Self.burst) + cost
            return paidAt
        }
    }

    /// Pieces small enough that a limit of a few kilobytes does not come in bursts of seconds.
    var pieceBytes: Int { min(1 << 19, max(1 << 10, bytesPerSecond / 20)) }
}
