// The parts of `martlet server` that make runs by schedules and tell of runs that end.

import CLinux
import Controller
import Persistence
import Text
import WebServer

extension ServerPart {
    /// Fires the cron workflows of the data directory.
    static func cron(_ operations: WorkflowOperations, _ metrics: ControllerMetrics, _ log: ServiceLog)
        -> ServerPart
    {
        let runner = CronRunner(
            ledger: StoreCronLedger(operations: operations), now: operations.now, metrics: metrics,
            report: { cron, problem in log.error("cron workflow fails", ["cron": cron, "cause": problem]) })
        return ServerPart(name: "cron") { try await runner.run() }
    }

    /// Delivers what is in the outbox.
    static func notifications(
        _ operations: WorkflowOperations, _ settings: NotificationSettings, _ metrics: ControllerMetrics,
        _ log: ServiceLog
    ) -> ServerPart {
        let sender = NotificationSender(settings: settings, dataDirectory: operations.dataDirectory)
        let runner = NotificationRunner(
            store: operations.store, delivery: sender, now: operations.now, metrics: metrics,
            report: { uid, problem in
                log.error("notification given up", ["workflow.uid": uid, "cause": problem])
            })
        return ServerPart(name: "notifications") { try await runner.run() }
    }

    /// Records the models that runs have made, soon after their nodes have ended.
    static func registry(_ operations: WorkflowOperations, _ log: ServiceLog) -> ServerPart {
        let models = ModelOperations(
            store: operations.store, artifacts: operations.artifacts, dataDirectory: operations.dataDirectory,
            version: BuildInfo.version, now: operations.now)
        return ServerPart(name: "registry") {
            var isNamed = false
            while true {
                do {
                    if !isNamed { try await models.nameAll() }
                    isNamed = true
                    try await models.refresh()
                } catch let error as CancellationError {
                    throw error
                } catch {
                    // What could not be recorded now is found again by the revision that was noted.
                    log.error("models not recorded", ["cause": "\(error)"])
                }
                try await Task.sleep(for: .seconds(2))
            }
        }
    }

    /// Deletes what has ended and is no longer kept: by rules, and by each run's own `ttlStrategy`.
    static func retention(
        _ operations: WorkflowOperations, _ rules: [RetentionRule], _ metrics: ControllerMetrics,
        _ log: ServiceLog
    ) -> ServerPart {
        let runner = RetentionRunner(
            store: operations.store, artifacts: operations.artifacts, dataDirectory: operations.dataDirectory,
            policy: RetentionPolicy(rules: rules), now: operations.now,
            onDeleted: { await operations.controller?.runDeleted($0) },
            note: { result in
                switch result {
                case .success(let report):
                    metrics.countRetention(runs: report.deleted, failures: report.failureCount)
                    for (uid, cause) in report.failures.sorted(by: { $0.key < $1.key }) {
                        log.error("run not deleted", ["workflow.uid": uid, "cause": cause])
                    }
                case .failure(let error): log.error("retention fails", ["cause": "\(error)"])
                }
            })
        return ServerPart(name: "retention") { try await runner.run() }
    }

    /// Deletes what runs that are no longer in the database have in the cluster.
    static func forgottenRuns(_ controller: WorkflowController, _ log: ServiceLog) -> ServerPart {
        let runner = ForgottenRuns(
            clear: { try await controller.clearForgotten() },
            note: { result in
                switch result {
                case .success(let count):
                    log.notice("objects of deleted runs removed from the cluster", ["count": "\(count)"])
                case .failure(let error):
                    log.error("objects of deleted runs not removed from the cluster", ["cause": "\(error)"])
                }
            })
        return ServerPart(name: "forgotten runs") { try await runner.run() }
    }

    /// Gives back what work has left in memory, once the server has been quiet for a while.
    static func memory(_ store: Store, _ log: ServiceLog) -> ServerPart {
        martlet_keep_large_blocks_apart()
        return ServerPart(name: "memory") {
            var rest = MemoryRest()
            while true {
                try await Task.sleep(for: .seconds(MemoryRest.seconds))
                let used = ProcessMetrics.processorSeconds ?? 0
                guard rest.begins(processorSeconds: used) else { continue }
                do { try await store.releaseMemory() } catch let error as StoreError {
                    log.error("memory not released", ["cause": "\(error)"])
                }
                martlet_return_free_memory()
            }
        }
    }
}
