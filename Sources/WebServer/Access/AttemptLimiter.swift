// Wrong tokens cost time: each further one of an address waits longer for its answer, and too many are not looked at.

import Synchronization
import Text

/// Counts wrong attempts by address. A valid token is never held up by the wrong ones of others behind the same
/// address; it has too much chance in it to be guessed, with or without this.
final class AttemptLimiter: Sendable {
    /// Wrong attempts a minute that are answered at all.
    static let limit = 20
    private static let span = Duration.seconds(60)
    private static let longestPause = Duration.seconds(2)

    private struct Attempts {
        var count = 0
        var beganAt: Timestamp
    }

    private let addressLimit: Int
    private let addresses = Mutex<[String: Attempts]>([:])

    init(addressLimit: Int = 4_096) { self.addressLimit = addressLimit }

    enum Verdict: Sendable, Hashable {
        /// The refusal is to wait so long.
        case pause(Duration)
        /// Too many: the address is told to come back after so many seconds.
        case refuse(seconds: Int)
    }

    /// Notes a wrong attempt.
    func failed(_ address: String, at now: Timestamp) -> Verdict {
        addresses.withLock { addresses in
            var attempts = addresses[address] ?? Attempts(beganAt: now)
            if now - attempts.beganAt >= Self.span { attempts = Attempts(beganAt: now) }
            attempts.count += 1
            if addresses[address] == nil, addresses.count >= addressLimit {
                addresses = addresses.filter { now - $0.value.beganAt < Self.span }
            }
            if addresses[address] == nil, addresses.count >= addressLimit,
                let oldest = addresses.min(by: { $0.value.beganAt < $1.value.beganAt })
            {
                addresses[oldest.key] = nil
            }
            addresses[address] = attempts
            if attempts.count > Self.limit {
                let rest = Self.span - (now - attempts.beganAt)
                return .refuse(seconds: max(1, Int(rest.inSeconds.rounded(.up))))
            }
            let pause = Duration.milliseconds(50) * (1 << min(attempts.count - 1, 6))
            return .pause(min(pause, Self.longestPause))
        }
    }

    /// How many addresses are remembered.
    var count: Int { addresses.withLock { $0.count } }
}
