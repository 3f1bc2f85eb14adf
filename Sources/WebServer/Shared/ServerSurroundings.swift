// Time and chance, handed to the server from outside, so that tests decide what time it is.
import Glibc

/// What the server asks of the world beside the network.
struct ServerSurroundings: Sendable {
    /// Time since some fixed moment; never goes back.
    var now: @Sendable () -> Duration
    /// Seconds since 1970, for `created` fields and dates.
    var wallSeconds: @Sendable () -> Int
    /// Waits; throws when the task is cancelled.
    var sleep: @Sendable (Duration) async throws -> Void
    /// 32 random hexadecimal digits, for identifiers.
    var randomHex: @Sendable () -> String

    /// The machine's clock and random numbers.
    static var system: ServerSurroundings {
        let start = ContinuousClock.now
        return ServerSurroundings(
            now: { start.duration(to: ContinuousClock.now) },
            wallSeconds: { time(nil) },
            sleep: { try await Task.sleep(for: $0, clock: .continuous) },
            randomHex: {
                var generator = SystemRandomNumberGenerator()
                return hexadecimal(generator.next()) + hexadecimal(generator.next())
            })
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
