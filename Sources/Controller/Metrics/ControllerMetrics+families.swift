// The engine's counts under the names that are scraped: Argo's where Argo has one, `martlet_` otherwise.

import Scheduling
package import Text

extension ControllerMetrics {
    /// All counts of this moment.
    package func families(at now: Timestamp) -> [MetricFamily] {
        let counts = read()
        return Self.loop(counts) + Self.cron(counts.cron, at: now) + Self.others(counts)
    }

    private static func loop(_ counts: Counts) -> [MetricFamily] {
        [
            MetricFamily(
                .counter, "argo_workflows_total_count",
                "Runs that entered each phase since the server began.",
                counts.entered.series { MetricFamily.Series($0, Double($1)) }),
            MetricFamily(
                .counter, "argo_workflows_pods_total_count",
                "Leaf steps that entered each phase since the server began.",
                counts.podsEntered.series { MetricFamily.Series($0, Double($1)) }),
            MetricFamily(
                .gauge, "argo_workflows_queue_depth_gauge", "Items that wait in a queue of the controller.",
                counts.queueDepth.sorted { $0.key < $1.key }.map {
                    MetricFamily.Series([.init("queue_name", $0.key)], Double($0.value))
                }),
            MetricFamily(
                .counter, "argo_workflows_error_count", "Errors by their cause.",
                counts.errors.sorted { $0.key < $1.key }.map {
                    MetricFamily.Series([.init("cause", $0.key)], Double($0.value))
                }),
            MetricFamily(
                .histogram, "argo_workflows_operation_duration_seconds",
                "Time of one turn of the controller's loop: events handled, saved, effects carried out.",
                [MetricFamily.Series([], counts.operation)]),
            MetricFamily(
                .histogram, "martlet_scheduling_latency_seconds",
                "Time from an event's coming in to the launch of a step that follows from it.",
                [MetricFamily.Series([], counts.eventToLaunch)]),
            MetricFamily(
                .counter, "martlet_launches_total", "Launches handed to the executor.",
                Double(counts.launches)),
            MetricFamily(
                .histogram, "martlet_step_duration_seconds", "Time of leaf steps from start to end.",
                counts.steps.series { MetricFamily.Series($0, $1) }),
            MetricFamily(
                .histogram, "martlet_database_save_seconds", "Time of a transaction that saves runs.",
                [MetricFamily.Series([], counts.save)]),
            MetricFamily(
                .histogram, "martlet_database_save_changes", "Changed runs in one transaction.",
                [MetricFamily.Series([], counts.savedChanges)]),
            MetricFamily(
                .counter, "martlet_database_save_failures_total",
                "Saves that found the disk full or the database busy; they were tried again.",
                Double(counts.saveFailures)),
        ]
    }

    private static func cron(_ cron: CronCounts, at now: Timestamp) -> [MetricFamily] {
        let late = cron.next.map { max(0, (now - $0).inSeconds) } ?? 0
        return [
            MetricFamily(
                .counter, "argo_workflows_cronworkflows_triggered_total", "Runs that schedules made.",
                cron.fires.series { MetricFamily.Series($0, Double($1)) }),
            MetricFamily(
                .counter, "martlet_cron_replaced_total", "Runs that the policy Replace ended for a new one.",
                cron.replaced.series { MetricFamily.Series($0, Double($1)) }),
            MetricFamily(
                .counter, "martlet_cron_skipped_total", "Moments of schedules that made no run, by reason.",
                CronSkip.allCases.map {
                    MetricFamily.Series([.init("reason", $0.rawValue)], Double(cron.skips[$0] ?? 0))
                }),
            MetricFamily(
                .counter, "martlet_cron_missed_total",
                "Moments of schedules that passed while nothing could run them.", Double(cron.missed)),
            MetricFamily(
                .histogram, "martlet_cron_lag_seconds",
                "Time from a schedule's moment to its run being stored.",
                [MetricFamily.Series([], cron.lag)]),
            MetricFamily(
                .gauge, "martlet_cron_late_seconds",
                "How long the oldest moment of a schedule waits to be looked at; 0 when none does.", late),
        ]
    }

    private static func others(_ counts: Counts) -> [MetricFamily] {
        let results = ["delivered", "given_up", "refused", "retried"]
        return [
            MetricFamily(
                .counter, "martlet_notifications_total", "Tries to tell of ended runs, by result.",
                results.map { MetricFamily.Series([.init("result", $0)], Double(counts.notified[$0] ?? 0)) }),
            MetricFamily(
                .histogram, "martlet_notification_seconds", "Time of one try to tell of an ended run.",
                [MetricFamily.Series([], counts.notificationSeconds)]),
            MetricFamily(
                .counter, "martlet_retention_deleted_runs_total", "Runs that retention deleted.",
                Double(counts.retention.runs)),
            MetricFamily(
                .counter, "martlet_retention_failures_total", "Runs that retention could not delete.",
                Double(counts.retention.failures)),
        ]
    }
}
