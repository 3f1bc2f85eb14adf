// The parts of `martlet server` that make runs by schedules and tell of runs that end.

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
}
