// The service that empties the outbox: what is due is tried, what failed comes again, for a day.

import Dispatch
package import Persistence
package import Text

/// Delivers notifications at least once. A crash between a delivery and its note makes it come twice, with the same id.
package actor NotificationRunner {
    /// Tries that run at the same time.
    package static let parallelLimit = 4
    /// Rows that one pass takes.
    private static let batchLimit = 100
    /// The longest sleep without a word from the controller.
    static let longestPause = Duration.seconds(1)
    private static let errorLimit = 1_000

    private let store: Store
    private let delivery: any NotificationDelivery
    private let now: @Sendable () -> Timestamp
    private let sleep: @Sendable (Duration) async throws -> Void
    private let metrics: ControllerMetrics?
    private let report: @Sendable (_ workflowUID: String, _ problem: String) -> Void
    private let queue = DispatchQueue(label: "martlet.notify", attributes: .concurrent)
    private var seenVersion: Int?

    /// - Parameter report: told of notifications that are given up, for the log.
    package init(
        store: Store, delivery: any NotificationDelivery, now: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) async throws -> Void = {
            try await Task.sleep(for: $0, clock: .continuous)
        },
        metrics: ControllerMetrics? = nil,
        report: @escaping @Sendable (_ workflowUID: String, _ problem: String) -> Void = { _, _ in }
    ) {
        self.store = store
        self.delivery = delivery
        self.now = now
        self.sleep = sleep
        self.metrics = metrics
        self.report = report
    }

    /// Delivers until the task is cancelled.
    /// - Throws: `CancellationError`.
    package func run() async throws {
        var next: Timestamp?
        while true {
            try Task.checkCancellation()
            do {
                let version = try await store.dataVersion()
                // Nothing was written and nothing is due: not even a look at the outbox.
                if version != seenVersion || next.map({ $0 <= now() }) == true {
                    seenVersion = version
                    try await pass()
                    next = try await store.notificationBacklog().nextAttemptAt
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                seenVersion = nil
                report("", "\(error)")
            }
            let pause =
                next.map { min(Self.longestPause, max($0 - now(), .milliseconds(1))) } ?? Self.longestPause
            try await sleep(pause)
        }
    }

    /// Tries all that is due now, once: each target's in their order, several targets at a time. Behind a try that
    /// failed, what else is due for the same target waits with it, so that a webhook that does not answer holds up
    /// nobody but itself.
    /// - Returns: how many were delivered.
    @discardableResult
    package func pass() async throws -> Int {
        let rows = try await store.dueNotifications(at: now(), limit: Self.batchLimit)
        guard !rows.isEmpty else { return 0 }
        let lanes = Dictionary(grouping: rows) { $0.target["to"]?.compactText ?? "" }.values
        return try await withThrowingTaskGroup(of: Int.self) { group in
            var waiting = lanes.sorted { ($0.first?.id ?? 0) < ($1.first?.id ?? 0) }[...]
            var delivered = 0
            for _ in 0..<Self.parallelLimit {
                guard let lane = waiting.popFirst() else { break }
                group.addTask { try await self.deliver(lane) }
            }
            while let count = try await group.next() {
                delivered += count
                if let lane = waiting.popFirst() { group.addTask { try await self.deliver(lane) } }
            }
            return delivered
        }
    }

    /// - Returns: how many of the rows, all for one target, were delivered.
    private func deliver(_ rows: [NotificationRow]) async throws -> Int {
        var delivered = 0
        for (index, row) in rows.enumerated() {
            switch try await attempt(row) {
            case .delivered: delivered += 1
            case .givenUp: break
            case .postponed(let next):
                try await store.holdNotifications(rows[(index + 1)...].map(\.id), until: next)
                return delivered
            }
        }
        return delivered
    }

    private enum Attempted: Sendable {
        case delivered, givenUp
        case postponed(Timestamp)
    }

    private func attempt(_ row: NotificationRow) async throws -> Attempted {
        let start = ContinuousClock.now
        let (delivery, moment) = (delivery, now())
        let outcome = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: delivery.deliver(row, at: moment)) }
        }
        let seconds = (ContinuousClock.now - start).inSeconds
        switch outcome {
        case .delivered:
            try await store.finishNotification(row.id, at: now())
            metrics?.countNotification("delivered", seconds: seconds)
            if row.attempts > 0 {
                try await tell(row, "NotificationDelivered", "has been told after \(row.attempts + 1) tries")
            }
            return .delivered
        case .rejected(let problem):
            try await giveUp(row, problem, seconds)
            return .givenUp
        case .failed(let problem, let wait):
            let next = NotificationPlan.nextTry(
                afterAttempts: row.attempts + 1, createdAt: row.createdAt, now: now(), wait: wait)
            guard let next else {
                try await giveUp(row, "\(problem); tried \(row.attempts + 1) times over a day", seconds)
                return .givenUp
            }
            try await store.postponeNotification(row.id, to: next, error: Self.cut(problem))
            metrics?.countNotification("retried", seconds: seconds)
            if row.attempts == 0 {
                try await tell(
                    row, "NotificationDelayed",
                    "could not be told: \(Self.cut(problem)); it is tried again at \(next.rfc3339), "
                        + "then more and more seldom, for a day")
            }
            return .postponed(next)
        }
    }

    private func giveUp(_ row: NotificationRow, _ problem: String, _ seconds: Double) async throws {
        try await store.finishNotification(row.id, at: now(), error: Self.cut(problem))
        metrics?.countNotification("given_up", seconds: seconds)
        report(row.workflowUID, problem)
        try await tell(row, "NotificationGivenUp", "is not told any more: \(Self.cut(problem))")
    }

    /// Puts an event among those of the run, where people look. A run that was deleted has none.
    private func tell(_ row: NotificationRow, _ kind: String, _ message: String) async throws {
        let target = NotificationTarget(row.target["to"])?.words ?? "somebody"
        let event = EventRow(at: now(), kind: kind, message: "\(target) \(message)")
        do {
            try await store.apply([WorkflowChange(uid: row.workflowUID, events: [event])])
        } catch StoreError.notFound {
            return
        }
    }

    private static func cut(_ text: String) -> String { String(text.prefix(errorLimit)) }
}
