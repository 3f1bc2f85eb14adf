// Numbers that steps report while they run: loss curves and the like.

import GRDB
package import Scheduling
package import Text

/// One number of one curve.
package struct MetricPoint: Sendable, Hashable {
    package var nodeID: NodeID
    package var attempt: Int
    package var name: String
    /// The step of the training, or whatever the horizontal axis counts.
    package var step: Double
    /// May be infinite or not a number: a diverged run shows as such.
    package var value: Double
    package var at: Timestamp

    package init(nodeID: NodeID, attempt: Int = 0, name: String, step: Double, value: Double, at: Timestamp) {
        self.nodeID = nodeID
        self.attempt = attempt
        self.name = name
        self.step = step
        self.value = value
        self.at = at
    }
}

/// Which points of a run to read; what is left out is no condition.
package struct MetricQuery: Sendable, Hashable {
    /// The most points that one answer holds.
    package static let pointLimit = 1_000_000

    package var nodeID: NodeID?
    package var attempt: Int?
    package var name: String?
    package var steps: ClosedRange<Double>?
    /// Points in the answer, at most `pointLimit`.
    package var limit: Int

    package init(
        nodeID: NodeID? = nil, attempt: Int? = nil, name: String? = nil, steps: ClosedRange<Double>? = nil,
        limit: Int = 100_000
    ) {
        self.nodeID = nodeID
        self.attempt = attempt
        self.name = name
        self.steps = steps
        self.limit = limit
    }
}

/// A curve that a run has.
package struct MetricSeries: Sendable, Hashable {
    package var nodeID: NodeID
    package var attempt: Int
    package var name: String
}

extension Store {
    /// Adds points to the curves of a run. A point of the same curve and step replaces the earlier, so a file
    /// of metrics may be read twice. Steps that are not numbers are refused as `StoreError.invalid`.
    package func saveMetrics(_ uid: String, _ points: [MetricPoint]) async throws {
        guard !points.isEmpty else { return }
        if let point = points.first(where: { $0.step.isNaN }) {
            throw StoreError.invalid(detail: "metric \"\(point.name)\" has a step that is not a number")
        }
        try await write { database in
            let key = try database.workflowKey(uid)
            var known: [MetricSeries: Int64] = [:]
            for point in points {
                let series = MetricSeries(nodeID: point.nodeID, attempt: point.attempt, name: point.name)
                let id = try known[series] ?? database.seriesKey(series, workflow: key)
                known[series] = id
                try database.run(
                    """
                    INSERT INTO metric_points (series, step, value, at) VALUES (?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at
                    """, [id, point.step, point.value.isNaN ? nil : point.value, point.at.nanoseconds])
            }
        }
    }

    /// The points of a run by node, name, attempt and step.
    package func metrics(_ uid: String, _ query: MetricQuery = MetricQuery()) async throws -> [MetricPoint] {
        let limit = min(max(query.limit, 0), MetricQuery.pointLimit)
        return try await read { database in
            try database.rows(
                """
                SELECT node_id, attempt, metric_series.name, step, value, at FROM metric_series
                JOIN workflows ON workflows.id = metric_series.workflow
                JOIN metric_points ON metric_points.series = metric_series.id
                WHERE uid = ?1 AND (?2 IS NULL OR node_id = ?2) AND (?3 IS NULL OR attempt = ?3)
                    AND (?4 IS NULL OR metric_series.name = ?4)
                    AND step >= ?5 AND step <= ?6
                ORDER BY node_id, metric_series.name, attempt, step LIMIT ?7
                """,
                [
                    uid, query.nodeID, query.attempt, query.name,
                    query.steps?.lowerBound ?? -Double.infinity, query.steps?.upperBound ?? Double.infinity,
                    limit,
                ]
            ).map { row in
                MetricPoint(
                    nodeID: row[0], attempt: row[1], name: row[2], step: row[3],
                    value: row[4] as Double? ?? .nan, at: Timestamp(column: row[5]))
            }
        }
    }

    /// The curves of a run by node, name and attempt.
    package func metricSeries(_ uid: String) async throws -> [MetricSeries] {
        try await read { database in
            try database.rows(
                """
                SELECT node_id, attempt, metric_series.name FROM metric_series
                JOIN workflows ON workflows.id = metric_series.workflow
                WHERE uid = ? ORDER BY node_id, metric_series.name, attempt
                """, [uid]
            ).map { MetricSeries(nodeID: $0[0], attempt: $0[1], name: $0[2]) }
        }
    }

    /// Deletes the curves of a run; the run stays.
    package func deleteMetrics(_ uid: String) async throws {
        try await write { database in
            try database.run("DELETE FROM metric_series WHERE workflow = ?", [database.workflowKey(uid)])
        }
    }
}

extension Database {
    /// The key of a curve, which is made if need be.
    fileprivate func seriesKey(_ series: MetricSeries, workflow: Int64) throws -> Int64 {
        let arguments: StatementArguments = [workflow, series.nodeID, series.name, series.attempt]
        let found = try integer(
            "SELECT id FROM metric_series WHERE workflow = ? AND node_id = ? AND name = ? AND attempt = ?",
            arguments)
        if let found { return found }
        try run("INSERT INTO metric_series (workflow, node_id, name, attempt) VALUES (?, ?, ?, ?)", arguments)
        return lastInsertedRowID
    }
}
