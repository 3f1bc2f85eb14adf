// How long a pod has waited for something, and when that has been long enough.

package import Text

/// Notes when each cause of waiting was first seen. A pod may have queued for hours before its image is pulled for
/// the first time, so its own age says nothing; and a cause that goes and comes back is the same one.
package struct LimitClock: Sendable {
    private var since: [String: Timestamp] = [:]
    private var limits: [PodStanding.Limit] = []

    package init() {}

    /// What there is to wait for from now on; nothing for work that has begun.
    package mutating func take(_ limits: [PodStanding.Limit], at now: Timestamp) {
        self.limits = limits
        for limit in limits where since[limit.cause] == nil { since[limit.cause] = now }
    }

    /// What it has come to by the limit that passed first; nil while there is patience left.
    package func passed(at now: Timestamp) -> PodEnd? {
        let due = limits.map { (moment(of: $0), $0.end) }.filter { $0.0 <= now }
        return due.min { $0.0 < $1.0 }?.1
    }

    private func moment(of limit: PodStanding.Limit) -> Timestamp {
        switch limit.time {
        case .at(let moment): moment
        case .after(let patience): (since[limit.cause] ?? Timestamp(nanoseconds: .max)) + patience
        }
    }
}
