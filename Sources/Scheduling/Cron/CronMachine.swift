// The life of one cron workflow, pure: (state, event) -> (state, effects). Which moments make runs, which are left
// out and why, what becomes of the runs, and when it stops.

package import Text
package import WorkflowLanguage

/// Something that happened to a cron workflow.
package enum CronEvent: Sendable, Hashable {
    /// A moment of the schedule has come.
    /// - Parameter uid: of the run that it makes, if it makes one.
    case due(Timestamp, uid: String)
    /// The server begins, or looks again: a moment that was missed may still be made up for.
    case sync(uid: String)
    /// A run ended, or is no longer there (nil).
    case childEnded(uid: String, Phase?)
    /// The manifest of a run was refused.
    case refused(Timestamp, message: String)
}

/// What the shell must do. Doing it twice is harmless.
package enum CronEffect: Sendable, Hashable {
    /// Stores the run together with the status, unless this moment ever made a run.
    case submit(CronStatus.Child, at: Timestamp)
    case terminate(CronStatus.Child)
    /// Notes in the definition's labels that the cron workflow has stopped.
    case markStopped
}

/// Why a moment made no run.
package enum CronSkip: String, Sendable, Hashable, CaseIterable {
    case suspended, stopped, when, forbidden, invalid
}

/// One cron workflow: what it should do, and what it did.
package struct CronMachine: Sendable {
    /// Labels and annotations by which a run knows its cron workflow.
    package static let cronLabel = "workflows.argoproj.io/cron-workflow"
    package static let scheduledTimeAnnotation = "workflows.argoproj.io/scheduled-time"
    package static let completedLabel = "workflows.argoproj.io/cron-workflow-completed"

    package let namespace: String
    package let name: String
    package let cron: CronWorkflow
    package let timetable: CronTimetable
    /// Zones that expressions may name.
    package let zones: [String: TimeZoneRules]
    package var status: CronStatus
    /// Why the last moment made no run; nil if it made one.
    package private(set) var lastSkip: CronSkip?

    package init(
        namespace: String, name: String, cron: CronWorkflow, timetable: CronTimetable, status: CronStatus,
        zones: [String: TimeZoneRules] = [:]
    ) {
        self.namespace = namespace
        self.name = name
        self.cron = cron
        self.timetable = timetable
        self.status = status
        self.zones = zones
    }

    /// The name of the run of a moment.
    package static func runName(_ cron: String, at instant: Timestamp) -> String { "\(cron)-\(instant.seconds)" }

    /// The schedules with their zone, as they are compared with those that were in force before.
    package var scheduleText: String { Self.scheduleText(of: cron) }

    package static func scheduleText(of cron: CronWorkflow) -> String {
        let zone = cron.timezone.flatMap { $0.isEmpty ? nil : "CRON_TZ=\($0) " } ?? ""
        return cron.schedules.map { zone + $0 }.joined(separator: ",")
    }

    /// The moments after `start` and up to `now` that shall make runs, oldest first: those that are not older than
    /// `grace`. Older ones were missed.
    /// - Returns: the moments, and how many were left out.
    package func due(after start: Timestamp, now: Timestamp, grace: Duration, limit: Int) -> (
        instants: [Timestamp], missed: Int
    ) {
        let all = timetable.fires(after: start, through: now, limit: limit)
        let fresh = all.filter { now - $0 <= grace }
        if all.count == limit {
            // So many moments have passed that only the newest are worth a look.
            let recent = timetable.fires(
                after: max(start, now + (.zero - grace)), through: now, limit: limit)
            return (recent, all.count)
        }
        return (fresh, all.count - fresh.count)
    }

    package mutating func handle(_ event: CronEvent, at now: Timestamp) -> [CronEffect] {
        switch event {
        case .due(let instant, let uid): return run(instant, uid, at: now)
        case .sync(let uid): return sync(uid, at: now)
        case .childEnded(let uid, let phase): return childEnded(uid, phase, at: now)
        case .refused(_, let message):
            status.setCondition(CronStatus.Condition.submissionError, message)
            return []
        }
    }
}

extension CronMachine {
    /// The order is Argo's: stop condition, suspend, stopped, when, concurrency, submit. The shell validates before.
    private mutating func run(_ instant: Timestamp, _ uid: String, at now: Timestamp) -> [CronEffect] {
        lastSkip = nil
        var effects = checkStopCondition(at: now)
        if cron.suspend { return skip(.suspended, instant, effects) }
        if status.phase == .stopped { return skip(.stopped, instant, effects) }
        switch meetsWhen(at: now) {
        case .success(true): status.setCondition(CronStatus.Condition.specError, nil)
        case .success(false): return skip(.when, instant, effects)
        case .failure(let error):
            status.setCondition(CronStatus.Condition.specError, error.message)
            return skip(.invalid, instant, effects)
        }
        let child = CronStatus.Child(uid: uid, namespace: namespace, name: Self.runName(name, at: instant))
        // A status that was saved with a run which is there already: nothing is to be begun again.
        if status.active.contains(where: { $0.name == child.name }) { return effects }
        switch cron.concurrencyPolicy {
        case "Forbid" where !status.active.isEmpty: return skip(.forbidden, instant, effects)
        case "Replace": effects += status.active.map { .terminate($0) }
        default: break
        }
        status.active.append(child)
        status.lastScheduledTime = max(status.lastScheduledTime ?? instant, instant)
        status.setCondition(CronStatus.Condition.submissionError, nil)
        effects.append(.submit(child, at: instant))
        return effects
    }

    private mutating func skip(_ reason: CronSkip, _ instant: Timestamp, _ effects: [CronEffect]) -> [CronEffect] {
        lastSkip = reason
        // What is suspended or stopped stays so over a restart: no need to write that down each minute.
        if reason != .suspended && reason != .stopped { status.lastSkippedTime = instant }
        return effects
    }

    /// One run for the latest moment that was missed, if it may still begin; never one for each.
    private mutating func sync(_ uid: String, at now: Timestamp) -> [CronEffect] {
        if status.scheduleText != scheduleText {
            status.scheduleText = scheduleText
            // Whole seconds: that is what is stored.
            status.scheduleSince = Timestamp(seconds: now.seconds)
        }
        guard let missed = missed(at: now) else { return [] }
        return run(missed, uid, at: now)
    }

    /// The latest moment without a run that `startingDeadlineSeconds` still allows to make up for.
    package func missed(at now: Timestamp) -> Timestamp? {
        guard let deadline = cron.startingDeadlineSeconds, let last = status.lastScheduledTime,
            let missed = timetable.previous(atOrBefore: now + .nanoseconds(-1)), missed > last, missed > status.scheduleSince ?? last,
            now < missed + .seconds(deadline)
        else { return nil }
        return missed
    }

    private mutating func childEnded(_ uid: String, _ phase: Phase?, at now: Timestamp) -> [CronEffect] {
        guard let index = status.active.firstIndex(where: { $0.uid == uid }) else { return [] }
        status.active.remove(at: index)
        switch phase {
        case .succeeded: status.succeeded += 1
        case .failed, .error: status.failed += 1
        default: break
        }
        return checkStopCondition(at: now)
    }

    private mutating func checkStopCondition(at now: Timestamp) -> [CronEffect] {
        guard let expression = cron.stopExpression, !expression.trimmed.isEmpty, status.phase == .active else {
            return []
        }
        do throws(ExpressionError) {
            guard try variables(at: now).holds(expression: expression) else { return [] }
        } catch {
            status.setCondition(
                CronStatus.Condition.specError, "stopStrategy.expression: \(error.message)")
            return []
        }
        status.phase = .stopped
        return [.markStopped]
    }

    private func meetsWhen(at now: Timestamp) -> Result<Bool, ExpressionError> {
        guard let when = cron.when, !when.trimmed.isEmpty else { return .success(true) }
        do throws(ExpressionError) {
            return .success(try variables(at: now).holds(when: when))
        } catch {
            return .failure(error)
        }
    }

    private func variables(at now: Timestamp) -> CronVariables {
        CronVariables(
            name: name, namespace: namespace, labels: cron.metadata.labels,
            annotations: cron.metadata.annotations, status: status, now: now, zones: zones)
    }
}

// MARK: What runs are made from, and which are kept

extension CronMachine {
    /// The manifest of the run of a moment.
    package func manifest(at instant: Timestamp) -> JSONValue {
        let own = Fields(cron.workflowMetadata)
        var labels = own.textMap("labels")
        var annotations = own.textMap("annotations")
        labels[Self.cronLabel] = name
        annotations[Self.scheduledTimeAnnotation] = instant.rfc3339
        var metadata: [String: JSONValue] = [
            "name": .string(Self.runName(name, at: instant)), "namespace": .string(namespace),
        ]
        metadata["labels"] = .object(labels.mapValues(JSONValue.string))
        metadata["annotations"] = .object(annotations.mapValues(JSONValue.string))
        return .object([
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": .object(metadata),
            "spec": cron.raw["spec"]?["workflowSpec"] ?? .object([:]),
        ])
    }

    /// An ended run of the cron workflow.
    package struct EndedRun: Sendable, Hashable {
        package var uid: String
        package var succeeded: Bool
        package var finishedAt: Timestamp

        package init(uid: String, succeeded: Bool, finishedAt: Timestamp) {
            self.uid = uid
            self.succeeded = succeeded
            self.finishedAt = finishedAt
        }
    }

    /// The runs that the history limits leave no place for: of those that succeeded all but the newest 3, of the
    /// others all but the newest, unless the cron workflow says otherwise.
    package func surplus(of ended: [EndedRun]) -> [String] {
        var doomed: [String] = []
        for (succeeded, limit) in [
            (true, cron.successfulJobsHistoryLimit ?? 3), (false, cron.failedJobsHistoryLimit ?? 1),
        ] {
            let newestFirst = ended.filter { $0.succeeded == succeeded }.sorted {
                ($0.finishedAt, $0.uid) > ($1.finishedAt, $1.uid)
            }
            doomed += newestFirst.dropFirst(max(0, limit)).map(\.uid)
        }
        return doomed
    }
}
