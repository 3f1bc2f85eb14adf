// What lists say of runs beside their rows: whether they are suspended, and how good they are.

import GRDB
package import Scheduling
package import Text

/// What is noted of one run.
package struct RunNotes: Sendable, Hashable {
    /// Suspended, or at a suspend node that waits.
    package var isSuspended = false
    /// The curve that tells most: a loss or a score; nil without one.
    package var metricName: String?
    /// Its newest value; nil where that is no number.
    package var metricValue: Double?

    package init() {}
}

/// The newest point of a curve.
package struct MetricHead: Sendable, Hashable {
    package var series: MetricSeries
    package var step: Double
    package var at: Timestamp
}

extension Store {
    /// Names of curves that tell most of a run, the best first.
    private static let tellingNames = [
        "score", "eval_loss", "accuracy", "reward_accuracy", "loss", "train_loss",
    ]

    /// The notes of runs by uid; runs that are not there are left out.
    package func runNotes(_ uids: [String]) async throws -> [String: RunNotes] {
        guard !uids.isEmpty else { return [:] }
        return try await read { database in
            var all: [String: RunNotes] = [:]
            for uid in uids {
                let row = try database.row(
                    """
                    SELECT id, finished_at IS NULL AND (suspended OR EXISTS
                        (SELECT 1 FROM nodes WHERE workflow = workflows.id AND type = 'Suspend'
                            AND phase = 'Running'))
                    FROM workflows WHERE uid = ?
                    """, [uid])
                guard let row else { continue }
                var notes = RunNotes()
                notes.isSuspended = row[1]
                try database.noteMetric(of: row[0], names: Self.tellingNames, in: &notes)
                all[uid] = notes
            }
            return all
        }
    }

    /// A run's line in lists; nil if there is no such run.
    package func workflowSummary(uid: String) async throws -> WorkflowSummary? {
        try await workflowSummaries([uid])[uid]
    }

    /// Lines of runs by uid; runs that are not there are left out.
    package func workflowSummaries(_ uids: [String]) async throws -> [String: WorkflowSummary] {
        guard !uids.isEmpty else { return [:] }
        let path = path
        return try await read { database in
            var found: [String: WorkflowSummary] = [:]
            for uid in uids {
                let row = try database.row(
                    "SELECT \(WorkflowSummary.columns) FROM workflows WHERE uid = ?", [uid])
                if let row { found[uid] = try WorkflowSummary(row: row, path: path) }
            }
            return found
        }
    }

    /// One node, without `children`; nil if the run or the node is not there.
    package func node(_ uid: String, _ nodeID: NodeID) async throws -> Node? {
        let path = path
        return try await read { database in
            let row = try database.row(
                """
                SELECT sequence, body FROM nodes JOIN workflows ON workflows.id = nodes.workflow
                WHERE uid = ? AND node_id = ?
                """, [uid, nodeID])
            guard let row else { return nil }
            let body = try JSONValue(column: row[1], of: "nodes", path: path)
            return Node(row: body, sequence: row[0])
        }
    }

    /// The pods of a run that run, the oldest first.
    /// - Parameter limit: at most 1,000.
    package func runningPods(_ uid: String, limit: Int) async throws -> [NodeID] {
        try await read { database in
            try database.rows(
                """
                SELECT node_id FROM nodes JOIN workflows ON workflows.id = nodes.workflow
                WHERE uid = ? AND nodes.phase = 'Running' AND type = 'Pod' ORDER BY sequence LIMIT ?
                """, [uid, min(max(limit, 0), 1_000)]
            ).map { $0[0] }
        }
    }

    /// The newest point of each curve of a run, by node, name and attempt.
    package func metricHeads(_ uid: String) async throws -> [MetricHead] {
        try await read { database in
            try database.rows(
                """
                SELECT node_id, attempt, metric_series.name, step, at FROM metric_series
                JOIN workflows ON workflows.id = metric_series.workflow
                JOIN metric_points ON metric_points.series = metric_series.id
                WHERE uid = ? AND step =
                    (SELECT max(step) FROM metric_points AS newest WHERE newest.series = metric_series.id)
                ORDER BY node_id, metric_series.name, attempt
                """, [uid]
            ).map { row in
                MetricHead(
                    series: MetricSeries(nodeID: row[0], attempt: row[1], name: row[2]), step: row[3],
                    at: Timestamp(column: row[4]))
            }
        }
    }
}

extension Database {
    fileprivate func noteMetric(of workflow: Int64, names: [String], in notes: inout RunNotes) throws {
        let series = try rows(
            "SELECT id, name FROM metric_series WHERE workflow = ? ORDER BY attempt, id LIMIT 1000",
            [workflow])
        let known = Dictionary(series.map { ($0[1] as String, $0[0] as Int64) }, uniquingKeysWith: { $1 })
        guard let name = names.first(where: { known[$0] != nil }), let key = known[name] else { return }
        let newest = try row(
            "SELECT value FROM metric_points WHERE series = ? ORDER BY step DESC LIMIT 1", [key])
        guard let newest else { return }
        notes.metricName = name
        notes.metricValue = newest[0]
    }
}
