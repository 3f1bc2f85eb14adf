// Which pods' logs are read while they run.

import Scheduling
import Synchronization
import Text
import WorkflowLanguage

extension KubernetesExecutor {
    /// Chooses logs to be read live: of pods that have run for a moment, as many as may be.
    func followLogs() {
        let moment = now()
        let chosen = state.withLock { state -> [AttemptKey] in
            guard !state.isShutDown else { return [] }
            let room = Self.liveLogLimit - state.liveLogs
            guard room > 0 else { return [] }
            let ready = state.attempts.lazy.filter { _, attempt in
                guard attempt.stage == .watching, !attempt.isFollowed, let since = attempt.runningSince else {
                    return false
                }
                return moment - since >= Self.liveLogDelay
            }
            let chosen = Array(ready.prefix(room).map(\.key))
            for key in chosen { state.attempts[key]?.isFollowed = true }
            state.liveLogs += chosen.count
            return chosen
        }
        for key in chosen { jobs.yield(.follow(key)) }
    }

    func followLog(_ key: AttemptKey) async {
        defer { state.withLock { $0.liveLogs -= 1 } }
        guard let attempt = state.withLock({ $0.attempts[key] }) else { return }
        await logs.follow(
            attempt.podName, attempt.launch.namespace, key: key,
            containers: Self.loggedContainers(of: attempt.launch.template)
        ) { [weak self] in self?.state.withLock { $0.attempts[key]?.stage == .watching } ?? false }
    }

    /// The manifest's containers, in the order in which they stand in the pod.
    static func loggedContainers(of template: Template) -> [String] {
        let initial = template.initContainers.enumerated().map {
            $0.element.name.isEmpty ? "init-\($0.offset)" : $0.element.name
        }
        let beside = template.sidecars.enumerated().map {
            $0.element.name.isEmpty ? "sidecar-\($0.offset)" : $0.element.name
        }
        return initial + work(of: template).sorted() + beside
    }
}
