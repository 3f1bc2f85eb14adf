// Deletes ended runs that need not be kept any longer, a little at a time, beside everything else that goes on.

package import Artifacts
package import Executors
package import Persistence
import Scheduling
package import Text
import WorkflowLanguage

/// Keeps to a retention policy, and to the `ttlStrategy` of each run.
///
/// A run is marked before anything of it is deleted; then its artifacts and files go, its rows last. Whatever is
/// cut off in between, the run is either whole or still marked, and the next pass finishes it.
package struct RetentionRunner: Sendable {
    /// What a pass did.
    package struct Report: Sendable, Hashable {
        package var deleted = 0
        package var artifacts = 0
        package var freedBytes = 0
        /// Runs that could not be deleted now, at most 20, by uid with the cause; the next pass tries again.
        package var failures: [String: String] = [:]
        package var failureCount = 0
    }

    private static let failureLimit = 20
    private static let garbageSetting = "retention.garbage"

    private let store: Store
    private let artifacts: LocalArtifactStore?
    private let dataDirectory: String
    private let policy: RetentionPolicy
    private let now: @Sendable () -> Timestamp
    private let sleep: @Sendable (Duration) async throws -> Void
    private let onDeleted: @Sendable (DeletedRun) async -> Void
    private let note: @Sendable (Result<Report, any Error>) -> Void

    /// - Parameters:
    ///   - sleep: waits between two passes.
    ///   - onDeleted: told of each run that is gone.
    ///   - note: told of each pass that did something or failed.
    package init(
        store: Store, artifacts: LocalArtifactStore?, dataDirectory: String, policy: RetentionPolicy,
        now: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        onDeleted: @escaping @Sendable (DeletedRun) async -> Void = { _ in },
        note: @escaping @Sendable (Result<Report, any Error>) -> Void = { _ in }
    ) {
        self.store = store
        self.artifacts = artifacts
        self.dataDirectory = dataDirectory
        self.policy = policy
        self.now = now
        self.sleep = sleep
        self.onDeleted = onDeleted
        self.note = note
    }

    /// Passes again and again until it is cancelled. A pass that fails, on a full disk for instance, is noted, and
    /// the next one tries again: what is kept too long harms less than a server that ends.
    package func run() async throws {
        while true {
            do {
                let report = try await pass()
                if report != Report() { note(.success(report)) }
            } catch let error as CancellationError {
                throw error
            } catch {
                note(.failure(error))
            }
            try await sleep(policy.interval)
        }
    }

    /// Marks what may go, and deletes what is marked.
    package func pass() async throws -> Report {
        var report = Report()
        try await store.finishDeletions()
        try await mark()
        var last: ExpiredRun?
        var cached: [String: Set<NodeID>] = [:]
        while true {
            let page = try await store.expiredWorkflows(at: now(), after: last)
            for run in page {
                try Task.checkCancellation()
                try await delete(run, &cached, &report)
            }
            guard let end = page.last else { break }
            last = end
        }
        try await collectGarbage(&report)
        return report
    }

    private func mark() async throws {
        guard !policy.rules.isEmpty else { return }
        let moment = now()
        for namespace in try await store.namespaces() {
            for phase in RetentionPolicy.endedPhases {
                let limits = policy.limits(namespace: namespace, phase: phase)
                guard limits.age != nil || limits.count != nil else { continue }
                // Each turn marks others, so that it ends.
                repeat {
                    try Task.checkCancellation()
                    let marked = try await store.doomWorkflows(
                        namespace: namespace, phase: phase,
                        endedBefore: limits.age.map { moment + (Duration.zero - $0) },
                        keepingNewest: limits.count,
                        at: moment)
                    if marked == 0 { break }
                } while true
            }
        }
    }

    private func delete(
        _ run: ExpiredRun, _ cached: inout [String: Set<NodeID>], _ report: inout Report
    ) async throws {
        do {
            let nodes: Set<NodeID>
            if let known = cached[run.namespace] {
                nodes = known
            } else {
                nodes = try await store.cachedNodes(namespace: run.namespace)
                cached[run.namespace] = nodes
            }
            guard let count = try await delete(run, cachedNodes: nodes) else { return }
            report.deleted += 1
            report.artifacts += count
        } catch let error as CancellationError {
            throw error
        } catch {
            // One that stays must not keep the others.
            report.failureCount += 1
            if report.failures.count < Self.failureLimit { report.failures[run.uid] = "\(error)" }
        }
    }

    /// - Returns: how many artifacts went with the run; nil if it is not to be deleted after all.
    private func delete(_ run: ExpiredRun, cachedNodes: Set<NodeID>) async throws -> Int? {
        let directory = AttemptPaths.workflow(dataDirectory, uid: run.uid)
        // Held until the rows are gone, so that nobody goes on with what is being deleted.
        let lock = try await Blocking.run { try DriverLock.take(runDirectory: directory) }
        guard let lock else { throw ControllerError("workflow \(run.name) is driven by a process now") }
        defer { withExtendedLifetime(lock) {} }
        // It may have been retried since it was found.
        guard let expiry = try await store.expiry(run.uid), expiry <= now(),
            let row = try await store.workflow(uid: run.uid), row.finishedAt != nil
        else { return nil }
        let count = try await deleteArtifacts(of: row, cachedNodes: cachedNodes)
        let isRemoved = try await Blocking.run { Disk.removeTree(directory) }
        guard isRemoved else { throw ControllerError("some files of \(directory) could not be deleted") }
        try await store.releaseAllLocks(run.uid)
        try await store.deleteWorkflow(run.uid)
        await onDeleted(
            DeletedRun(workflowUID: run.uid, workflowName: row.name, namespace: row.namespace))
        return count
    }

    /// Deletes the artifacts that the manifest dooms, and those that the store named after the run. A key that the
    /// manifest names may be another run's by now; what a memoization cache holds is for later runs.
    private func deleteArtifacts(of row: WorkflowRow, cachedNodes: Set<NodeID>) async throws -> Int {
        guard let artifacts else { return 0 }
        let (namespace, prefix) = (row.namespace, row.name + "/")
        let strategy = RunDefinition(stored: row.manifest)?.spec.artifactGCStrategy
        var count = 0
        var last: NodeID?
        while true {
            let nodes = try await store.nodesWithArtifacts(row.uid, after: last ?? "")
            guard let end = nodes.last else { return count }
            last = end.id
            var keys: Set<String> = []
            for node in nodes {
                for artifact in node.outputs.artifacts where !artifact.deleted {
                    guard let key = artifact.location?.settings["key"]?.stringValue else { continue }
                    switch artifact.garbageCollection ?? strategy {
                    case "OnWorkflowDeletion": keys.insert(key)
                    case "Never": break
                    default:
                        // An attempt's artifacts are those of the node that it was made for.
                        let isCached =
                            cachedNodes.contains(node.id)
                            || (node.isRetryAttempt && node.parents.contains(where: cachedNodes.contains))
                        let isOwn = key.hasPrefix(prefix) && !isCached
                        if isOwn && !policy.keepsArtifacts { keys.insert(key) }
                    }
                }
            }
            let doomed = keys
            try await Blocking.run {
                for key in doomed { try artifacts.delete(key: key, namespace: namespace) }
            }
            count += keys.count
        }
    }

    /// Rarely frees the bytes of artifacts that no key names any more, and forgets old instants of cron.
    private func collectGarbage(_ report: inout Report) async throws {
        let moment = now()
        let last = try await store.setting(Self.garbageSetting)?.intValue ?? 0
        guard moment.seconds - last >= Int(policy.garbageInterval.components.seconds) else { return }
        try await store.setSetting(Self.garbageSetting, .int(moment.seconds))
        try await store.forgetOldInstants()
        guard let artifacts else { return }
        let collected = try await Blocking.run { try artifacts.collectGarbage(now: moment.nanoseconds) }
        report.freedBytes += collected.bytes
    }
}
