// How many runs may be at work at a time, in all and in a namespace, and which of those that wait goes first.

import Text

/// The most runs that are at work at a time; nil for no limit.
package struct RunLimits: Sendable, Hashable {
    package var parallelism: Int?
    package var namespaceParallelism: Int?

    package init(parallelism: Int? = nil, namespaceParallelism: Int? = nil) {
        self.parallelism = parallelism
        self.namespaceParallelism = namespaceParallelism
    }

    package var isUnlimited: Bool { parallelism == nil && namespaceParallelism == nil }
}

/// A run that waits for its turn.
struct WaitingRun: Sendable, Hashable {
    var uid: String
    var namespace: String
    var priority: Int
    var createdAt: Timestamp

    /// Higher priority first, then the older, then by uid.
    static func goesFirst(_ left: WaitingRun, _ right: WaitingRun) -> Bool {
        (-left.priority, left.createdAt, left.uid) < (-right.priority, right.createdAt, right.uid)
    }
}

/// The runs at work, and those that wait.
struct RunAdmission: Sendable {
    let limits: RunLimits
    private var active: [String: Int] = [:]
    private var activeCount = 0
    /// In the order in which they may begin.
    private var queue: [WaitingRun] = []
    private var queued: Set<String> = []

    init(limits: RunLimits) { self.limits = limits }

    var waitingCount: Int { queue.count }

    func isWaiting(_ uid: String) -> Bool { queued.contains(uid) }

    /// Whether one more run of a namespace may begin, those that wait aside.
    func hasRoom(_ namespace: String) -> Bool { blocked(namespace) == nil }

    /// Which limit keeps a run of a namespace from beginning, in words; nil if none does.
    func blocked(_ namespace: String) -> String? {
        if let limit = limits.parallelism, activeCount >= limit {
            return "waiting for its turn: \(limit) workflows may run at a time"
        }
        if let limit = limits.namespaceParallelism, active[namespace] ?? 0 >= limit {
            return "waiting for its turn: \(limit) workflows of namespace \(namespace) may run at a time"
        }
        return nil
    }

    mutating func began(_ namespace: String) {
        activeCount += 1
        active[namespace, default: 0] += 1
    }

    mutating func ended(_ namespace: String) {
        activeCount -= 1
        active[namespace, default: 1] -= 1
        if active[namespace] == 0 { active[namespace] = nil }
    }

    mutating func wait(_ run: WaitingRun) {
        guard queued.insert(run.uid).inserted else { return }
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if WaitingRun.goesFirst(queue[middle], run) { low = middle + 1 } else { high = middle }
        }
        queue.insert(run, at: low)
    }

    mutating func withdraw(_ uid: String) {
        guard queued.remove(uid) != nil else { return }
        queue.removeAll { $0.uid == uid }
    }

    /// Takes those out of the queue that may begin now; each counts as begun in the next look.
    mutating func popReady() -> [WaitingRun] {
        guard !queue.isEmpty, limits.parallelism.map({ activeCount < $0 }) ?? true else { return [] }
        var rest = self
        var ready: [WaitingRun] = []
        for run in queue where rest.hasRoom(run.namespace) {
            rest.began(run.namespace)
            ready.append(run)
        }
        let taken = Set(ready.map(\.uid))
        queue.removeAll { taken.contains($0.uid) }
        queued.subtract(taken)
        return ready
    }
}
