// What the engine counts of its own work. Counting takes a lock for some nanoseconds and never waits.

package import Scheduling
import Synchronization
package import Text

/// The counts of one process; they begin at 0 with it.
package final class ControllerMetrics: Sendable {
    /// Templates that are told apart; the rest is counted as "other".
    static let templateLimit = 200
    /// Cron workflows that are told apart.
    static let cronLimit = 200

    struct Counts: Sendable {
        var eventToLaunch = Distribution(bounds: Distribution.latencyBounds)
        var operation = Distribution(bounds: Distribution.latencyBounds)
        var save = Distribution(bounds: Distribution.latencyBounds)
        var savedChanges = Distribution(bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000])
        var saveFailures = 0
        var launches = 0
        var steps = BoundedSeries(
            limit: 2 * ControllerMetrics.templateLimit,
            other: [.init("phase", ""), .init("template", "other")]
        ) { Distribution(bounds: Distribution.workBounds) }
        var entered = BoundedSeries(
            limit: 1_000, other: [.init("namespace", "other"), .init("phase", "")]
        ) { 0 }
        var podsEntered = BoundedSeries(
            limit: 1_000, other: [.init("namespace", "other"), .init("phase", "")]
        ) { 0 }
        var queueDepth: [String: Int] = [:]
        var cron = CronCounts()
        var notified: [String: Int] = [:]
        var notificationSeconds = Distribution(bounds: Distribution.latencyBounds)
        var retention = RetentionCounts()
        var errors: [String: Int] = [:]
    }

    struct CronCounts: Sendable {
        var fires = BoundedSeries(
            limit: ControllerMetrics.cronLimit, other: [.init("name", "other"), .init("namespace", "other")]
        ) { 0 }
        var replaced = BoundedSeries(
            limit: ControllerMetrics.cronLimit, other: [.init("name", "other"), .init("namespace", "other")]
        ) { 0 }
        var lag = Distribution(bounds: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300])
        var skips: [CronSkip: Int] = [:]
        var missed = 0
        var next: Timestamp?
    }

    struct RetentionCounts: Sendable {
        var runs = 0
        var failures = 0
    }

    private let counts = Mutex(Counts())

    package init() {}

    func read() -> Counts { counts.withLock { $0 } }

    private func update(_ body: (inout Counts) -> Void) { counts.withLock { body(&$0) } }

    // MARK: The controller's loop

    /// The time from an event's coming in to the launch of what follows from it, its save included.
    package func observeLaunch(afterSeconds seconds: Double) {
        update {
            $0.launches += 1
            $0.eventToLaunch.observe(seconds)
        }
    }

    /// One turn of the loop: events handled, saved, effects carried out.
    package func observeOperation(seconds: Double) { update { $0.operation.observe(seconds) } }

    package func observeSave(seconds: Double, changes: Int) {
        update {
            $0.save.observe(seconds)
            $0.savedChanges.observe(Double(changes))
        }
    }

    package func countSaveFailure() { update { $0.saveFailures += 1 } }

    /// A node that does work of its own ended.
    package func observeStep(template: String, phase: Phase, seconds: Double) {
        let labels: [MetricFamily.Label] = [.init("phase", phase.rawValue), .init("template", template)]
        update { $0.steps.update(labels) { $0.observe(seconds) } }
    }

    /// A run entered a phase.
    package func countRun(namespace: String, phase: Phase) {
        let labels: [MetricFamily.Label] = [.init("namespace", namespace), .init("phase", phase.rawValue)]
        update { $0.entered.update(labels) { $0 += 1 } }
    }

    /// A leaf step entered a phase.
    package func countPod(namespace: String, phase: Phase) {
        let labels: [MetricFamily.Label] = [.init("namespace", namespace), .init("phase", phase.rawValue)]
        update { $0.podsEntered.update(labels) { $0 += 1 } }
    }

    /// - Parameter queue: a fixed word of the code, such as `workflow_queue`.
    package func setQueueDepth(_ queue: String, _ depth: Int) { update { $0.queueDepth[queue] = depth } }

    /// - Parameter cause: a fixed word of the code, such as `OperationPanic`.
    package func countError(_ cause: String) { update { $0.errors[cause, default: 0] += 1 } }

    // MARK: Cron

    package func countCronFire(cron: String, namespace: String) {
        update { $0.cron.fires.update([.init("name", cron), .init("namespace", namespace)]) { $0 += 1 } }
    }

    package func countCronReplaced(cron: String, namespace: String) {
        update { $0.cron.replaced.update([.init("name", cron), .init("namespace", namespace)]) { $0 += 1 } }
    }

    package func countCronSkip(_ reason: CronSkip) { update { $0.cron.skips[reason, default: 0] += 1 } }
    package func countCronMissed(_ number: Int) { update { $0.cron.missed += number } }
    package func countCronError() { countError("CronWorkflowSubmissionError") }
    package func observeCronLag(_ seconds: Double) { update { $0.cron.lag.observe(seconds) } }
    /// The next moment at which something fires; how late the server is follows from it.
    package func setCronNext(_ next: Timestamp?) { update { $0.cron.next = next } }

    // MARK: Others

    /// - Parameter result: `delivered`, `retried`, `given_up` or `refused`.
    package func countNotification(_ result: String, seconds: Double? = nil) {
        update {
            $0.notified[result, default: 0] += 1
            if let seconds { $0.notificationSeconds.observe(seconds) }
        }
    }

    package func countRetention(runs: Int, failures: Int) {
        update {
            $0.retention.runs += runs
            $0.retention.failures += failures
        }
    }
}
