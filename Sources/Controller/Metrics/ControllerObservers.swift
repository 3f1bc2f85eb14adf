// What a controller tells others of its work: counts, manifests' metrics, and the ends of runs.

package import Persistence
package import Scheduling
package import Text

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

    /// Puts what is to be told of a run's end into the change that saves it.
    /// - Parameter changed: before the change is saved; `state` is the run after it.
    func note(_ state: WorkflowState, in change: inout WorkflowChange) {
        guard let settings = notifications, state.isFinished, change.header?.finishedAt != nil else { return }
        let (notifications, events) = NotificationPlan.end(of: state, settings: settings)
        change.notifications += notifications
        change.events += events
        for _ in events { metrics?.countNotification("refused") }
    }

    /// Counts what a saved change says of phases.
    /// - Parameter started: whether the run began with this change.
    func count(_ change: WorkflowChange, of state: WorkflowState) {
        guard let metrics else { return }
        let namespace = state.definition.namespace
        if change.header?.finishedAt != nil, let phase = state.phase {
            metrics.countRun(namespace: namespace, phase: phase)
        }
        for node in change.nodes where node.type == .pod {
            metrics.countPod(namespace: namespace, phase: node.phase)
            guard node.phase.isCompleted, let start = node.startedAt, let end = node.finishedAt else { continue }
            metrics.observeStep(template: node.templateName, phase: node.phase, seconds: (end - start).inSeconds)
        }
    }

    /// Carries out the effect that gives the metrics of a manifest.
    func emit(_ metrics: [JSONValue], node: NodeID, of state: WorkflowState) {
        custom?.record(metrics, key: "\(state.uid)/\(node)", scope: state.metricScope(for: node))
    }
}
