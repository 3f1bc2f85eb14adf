// What a controller tells others of its work: counts, manifests' metrics, and the ends of runs.

import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// Those who watch a controller. All are left out where nobody wants to know.
package struct ControllerObservers: Sendable {
    package var metrics: ControllerMetrics?
    package var custom: CustomMetrics?
    /// Whom to tell of runs that end.
    package var notifications: NotificationSettings?

    package init(
        metrics: ControllerMetrics? = nil, custom: CustomMetrics? = nil,
        notifications: NotificationSettings? = nil
    ) {
        self.metrics = metrics
        self.custom = custom
        self.notifications = notifications
    }

    /// Counts what a change says of phases, and puts what is to be told of a run's end into it.
    /// - Parameter run: after the change was taken from it.
    func note(_ run: DrivenRun, in change: inout WorkflowChange) {
        // The journal's words are of this change only if something was written into it.
        guard change.header != nil || !change.nodes.isEmpty else { return }
        count(run)
        guard let settings = notifications, run.state.isFinished, run.journal.enteredPhase != nil else {
            return
        }
        let (notifications, events) = NotificationPlan.end(of: run.state, settings: settings)
        change.notifications += notifications
        change.events += events
        for _ in events { metrics?.countNotification("refused") }
    }

    private func count(_ run: DrivenRun) {
        guard let metrics else { return }
        let namespace = run.state.definition.namespace
        if let phase = run.journal.enteredPhase { metrics.countRun(namespace: namespace, phase: phase) }
        for node in run.journal.entered where node.type == .pod {
            metrics.countPod(namespace: namespace, phase: node.phase)
            guard node.phase.isCompleted, let start = node.startedAt, let end = node.finishedAt else {
                continue
            }
            metrics.observeStep(
                template: node.templateName, phase: node.phase, seconds: (end - start).inSeconds)
        }
    }

    /// A launch was handed to the executor.
    /// - Parameter turn: when the oldest event of this turn of the loop came in.
    func noteLaunch(_ launch: Launch, of state: WorkflowState?, turn: ContinuousClock.Instant) {
        metrics?.observeLaunch(afterSeconds: (ContinuousClock.now - turn).inSeconds)
        guard let custom, let state, !launch.template.metrics.isEmpty,
            let start = state.nodes[launch.key.nodeID]?.startedAt
        else { return }
        custom.begin(
            launch.template.metrics, key: "\(state.uid)/\(launch.key.nodeID)",
            scope: state.metricScope(for: launch.key.nodeID), at: start)
    }

    /// A turn of the loop ended.
    func noteTurn(since turn: ContinuousClock.Instant, waiting: Int) {
        metrics?.observeOperation(seconds: (ContinuousClock.now - turn).inSeconds)
        metrics?.setQueueDepth("workflow_queue", waiting)
    }

    /// Carries out the effect that gives the metrics of a manifest.
    func emit(_ metrics: [JSONValue], node: NodeID, of state: WorkflowState) {
        custom?.record(metrics, key: "\(state.uid)/\(node)", scope: state.metricScope(for: node))
    }
}
