// Faults chosen by a seed: what goes wrong between a cluster's API and its clients, the same way each time for
// requests that come in the same order.

import Synchronization
package import Text

/// A small generator; the constants are those of Knuth's MMIX.
package struct FaultDice: Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    /// A number from 0 up to but not including `count`.
    package mutating func roll(_ count: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(count))
    }

    mutating func happens(_ percent: Int) -> Bool { roll(100) < percent }
}

/// What happens to the events of one watch on their way. Late events still come before the watch ends: what a
/// cut connection loses is never lost in the middle.
package struct WatchNoise: Sendable {
    package typealias Event = (kind: String, object: JSONValue)

    private var dice: FaultDice
    private let duplicates: Int
    private let delays: Int
    private let swaps: Int
    /// Told of each thing that is done: `twice`, `late`, `swapped`.
    private let note: @Sendable (String) -> Void
    private var late: [Event] = []

    init(
        seed: UInt64, duplicates: Int, delays: Int, swaps: Int, note: @escaping @Sendable (String) -> Void
    ) {
        self.note = note
        dice = FaultDice(seed: seed)
        self.duplicates = duplicates
        self.delays = delays
        self.swaps = swaps
    }

    /// The events that come out now.
    mutating func pass(_ events: [Event]) -> [Event] {
        var out: [Event] = []
        for event in events {
            if dice.happens(delays) {
                late.append(event)
                note("late")
                continue
            }
            out.append(event)
            if dice.happens(duplicates) {
                out.append(event)
                note("twice")
            }
            if out.count > 1, dice.happens(swaps) { swap(&out) }
        }
        // What was late comes behind what overtook it.
        if events.isEmpty || dice.happens(50) { out += flush() }
        return out
    }

    private mutating func swap(_ events: inout [Event]) {
        let (last, place) = (events.count - 1, dice.roll(events.count))
        if events[place].object != events[last].object { note("swapped") }
        events.swapAt(last, place)
    }

    mutating func flush() -> [Event] {
        defer { late = [] }
        return late
    }
}

/// How often what happens, in percent.
package struct FaultRates: Sendable {
    /// Watches that end after some events.
    package var cuts = 30
    package var duplicates = 20
    package var delays = 15
    package var swaps = 20
    /// Watches that are told that their place is too old.
    package var expiries = 10
    /// Requests answered with 500 and carried out all the same or not at all.
    package var failures = 5
    /// Requests that are carried out and not answered.
    package var lostAnswers = 10
    /// Requests answered with 429.
    package var putOffs = 5

    package init() {}
}

package final class FaultLayer: Sendable {
    private let dice: Mutex<FaultDice>
    private let rates: FaultRates
    /// Faults by their name, so that a test can say that they happened; those of events where they do.
    private let counts = Mutex<[String: Int]>([:])

    package init(seed: UInt64, rates: FaultRates = FaultRates()) {
        dice = Mutex(FaultDice(seed: seed))
        self.rates = rates
    }

    package var happened: [String: Int] { counts.withLock { $0 } }

    package func judge(_ request: FakeAPIServer.Request) -> FakeAPIServer.Fault? {
        let (name, fault) = dice.withLock { dice in
            request.verb == "watch" ? watch(&dice) : plain(request, &dice)
        }
        if !name.isEmpty { note(name) }
        return fault
    }

    private func note(_ name: String) { counts.withLock { $0[name, default: 0] += 1 } }

    private func watch(_ dice: inout FaultDice) -> (String, FakeAPIServer.Fault?) {
        if dice.happens(rates.expiries) {
            return ("expired", .refuse(Refusal(410, "Expired", "too old resource version"), retryAfter: nil))
        }
        if dice.happens(rates.failures) {
            return (
                "failed",
                .refuse(Refusal(500, "InternalError", "etcdserver: leader changed"), retryAfter: nil)
            )
        }
        let noise = WatchNoise(
            seed: UInt64(dice.roll(1 << 30)), duplicates: rates.duplicates, delays: rates.delays,
            swaps: rates.swaps, note: { [weak self] in self?.note($0) })
        let isCut = dice.happens(rates.cuts)
        return (isCut ? "cut" : "", .noisyWatch(noise, cutAfter: isCut ? dice.roll(8) : nil))
    }

    private func plain(
        _ request: FakeAPIServer.Request, _ dice: inout FaultDice
    ) -> (String, FakeAPIServer.Fault?) {
        if dice.happens(rates.putOffs) {
            return ("put off", .refuse(Refusal(429, "TooManyRequests", "slow down"), retryAfter: 0))
        }
        if dice.happens(rates.failures) {
            let refusal = Refusal(500, "InternalError", "etcdserver: request timed out")
            // Nobody can tell from the answer whether it was done.
            return ("failed", dice.happens(50) ? .failAfterwards(refusal) : .refuse(refusal, retryAfter: nil))
        }
        if request.method != "GET", dice.happens(rates.lostAnswers) { return ("lost", .loseAnswer) }
        return ("", nil)
    }
}
