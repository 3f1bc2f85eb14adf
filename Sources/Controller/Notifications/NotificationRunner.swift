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

    /// Tries all that is due now, once.
    /// - Returns: how many were delivered.
    @discardableResult
    package func pass() async throws -> Int {
        let rows = try await store.dueNotifications(at: now(), limit: Self.batchLimit)
        guard !rows.isEmpty else { return 0 }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            var waiting = rows[...]
            var delivered = 0
            for _ in 0..<Self.parallelLimit {
                guard let row = waiting.popFirst() else { break }
                group.addTask { try await self.attempt(row) }
            }
            while let wasDelivered = try await group.next() {
                delivered += wasDelivered ? 1 : 0
                if let row = waiting.popFirst() { group.addTask { try await self.attempt(row) } }
            }
            return delivered
        }
    }

    private func attempt(_ row: NotificationRow) async throws -> Bool {
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
            return true
        case .rejected(let problem):
            try await giveUp(row, problem, seconds)
        case .failed(let problem):
            let next = NotificationPlan.nextTry(
                afterAttempts: row.attempts + 1, createdAt: row.createdAt, now: now())
            if let next {
                try await store.postponeNotification(row.id, to: next, error: Self.cut(problem))
                metrics?.countNotification("retried", seconds: seconds)
            } else {
                try await giveUp(row, problem, seconds)
            }
        }
        return false
    }

    private func giveUp(_ row: NotificationRow, _ problem: String, _ seconds: Double) async throws {
        try await store.finishNotification(row.id, at: now(), error: Self.cut(problem))
        metrics?.countNotification("given_up", seconds: seconds)
        report(row.workflowUID, problem)
    }

    private static func cut(_ text: String) -> String { String(text.prefix(errorLimit)) }
}
