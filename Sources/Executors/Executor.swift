// The seam between deciding and doing: something that runs leaf steps.

package import Scheduling
import Text
package import WorkflowLanguage

/// What a step may read from beyond its launch: named values, looked up when it starts and never stored with it.
package struct LaunchValues: Sendable {
    package var configMaps: [String: KeyedValues]
    package var secrets: [String: KeyedValues]

    package init(configMaps: [String: KeyedValues] = [:], secrets: [String: KeyedValues] = [:]) {
        self.configMaps = configMaps
        self.secrets = secrets
    }
}

/// A run that has ended, for executors that keep things for whole runs.
package struct EndedRun: Sendable, Hashable {
    package var workflowUID: String
    package var workflowName: String
    package var namespace: String
    package var phase: Phase
    package var hasVolumeClaims: Bool
    /// `volumeClaimGC.strategy`; nil stands for OnWorkflowSuccess, as in Argo.
    package var volumeClaimStrategy: String?
    package var hasDisruptionBudget: Bool

    package init(
        workflowUID: String, workflowName: String, namespace: String, phase: Phase, spec: WorkflowSpec
    ) {
        self.workflowUID = workflowUID
        self.workflowName = workflowName
        self.namespace = namespace
        self.phase = phase
        hasVolumeClaims = !spec.volumeClaimTemplates.isEmpty
        let strategy = Fields(spec.raw["volumeClaimGC"]).text("strategy") ?? ""
        volumeClaimStrategy = strategy.isEmpty ? nil : strategy
        hasDisruptionBudget = Fields(spec.raw)["podDisruptionBudget"] != nil
    }
}

/// A run that is no longer in the database.
package struct DeletedRun: Sendable, Hashable {
    package var workflowUID: String
    package var workflowName: String
    package var namespace: String

    package init(workflowUID: String, workflowName: String, namespace: String) {
        self.workflowUID = workflowUID
        self.workflowName = workflowName
        self.namespace = namespace
    }
}

/// Says which of some runs, by uid, are there.
package typealias KnownRuns = @Sendable ([String]) async throws -> Set<String>

extension Executor {
    /// Most have nothing of the kind.
    package func runEnded(_ run: EndedRun) async {}
    package func runDeleted(_ run: DeletedRun) async {}
    package func clearForgotten(known: KnownRuns) async throws -> Int { 0 }
}

/// Runs leaf steps somewhere. Every call may be repeated with the same key and then changes nothing: a launch that
/// already ran is only watched, one that ended is reported again.
package protocol Executor: Sendable {
    /// What happened, in the order in which it was seen. One consumer.
    var reports: AsyncStream<ExecutorReport> { get }

    /// Where steps run, as `--executor` and the page have it: `local` or `kubernetes`.
    var name: String { get }

    /// How much of the machine it has given out; nil for executors that give nothing out themselves.
    var usage: ExecutorUsage? { get }

    /// Takes work on. Returns at once; what happens comes as reports.
    func launch(_ launch: Launch, values: LaunchValues) async

    /// Ends the work: asks, waits the grace period, then kills. The end comes as a report. Work that is not known
    /// (never launched, or ended long ago) is left alone.
    func cancel(_ key: AttemptKey, immediately: Bool) async

    /// Deletes what the attempts of a node left in working directories (logs and results stay).
    func removeWorkingFiles(workflowUID: String, nodeID: NodeID) async

    /// Clears away what a run had beside its steps' work, now that it has ended.
    func runEnded(_ run: EndedRun) async

    /// Clears away all that is left of a run outside of the data directory, now that it is deleted. Returns at once; what
    /// cannot be done now is tried again, and after the process's end found by `clearForgotten`.
    func runDeleted(_ run: DeletedRun) async

    /// Looks for what is left of deleted runs, and clears it away.
    /// - Returns: of how many runs something was found.
    /// - Throws: when it could not look everywhere; what was found by then is cleared away.
    func clearForgotten(known: KnownRuns) async throws -> Int

    /// Stops watching; running work goes on and is found again by a later `launch` with its key.
    func shutDown() async
}
