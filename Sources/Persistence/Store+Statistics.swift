// Numbers about many runs, for overviews: by hour, and of the last runs of a pipeline.

import GRDB
package import Text

/// The runs that ended in an hour, by phase, and those begun in it that have not ended.
package struct HourCounts: Sendable, Hashable {
    /// The hour's first moment.
    package var start: Timestamp
    package var ended: [String: Int]
    package var running: Int
}

/// What is known of the last runs of a template or cron workflow.
package struct RecentRuns: Sendable, Hashable {
    /// Newest first.
    package var runs: [WorkflowSummary]
    /// Of the last succeeded ones; nil if none succeeded.
    package var medianSeconds: Double?
}

extension Store {
    private static let hourNanoseconds: Int64 = 3_600_000_000_000
    /// Runs of one pipeline that are looked at for succeeded ones.
    static let medianReach = 1_000

    /// The last hours until `now`, oldest first; the last one is the hour that `now` is in.
    /// - Parameters:
    ///   - namespace: nil for all.
    ///   - hours: at most 1,000.
    package func hourCounts(namespace: String? = nil, hours: Int = 24, until now: Timestamp) async throws
        -> [HourCounts]
    {
        let hour = Self.hourNanoseconds
        let hours = min(max(hours, 1), 1_000)
        let first = now.nanoseconds / hour * hour - Int64(hours - 1) * hour
        let ended = Self.endedByHour(namespace: namespace)
        let running = Self.runningByHour(namespace: namespace)
        return try await read { database in
            var counts = (0..<hours).map { index in
                HourCounts(start: Timestamp(nanoseconds: first + Int64(index) * hour), ended: [:], running: 0)
            }
            for row in try database.rows(ended, [first, hour, namespace]) {
                let index: Int = row[0]
                if counts.indices.contains(index) { counts[index].ended[row[1], default: 0] += row[2] }
            }
            for row in try database.rows(running, [first, hour, namespace]) {
                let index: Int = row[0]
                if counts.indices.contains(index) { counts[index].running += row[1] }
            }
            return counts
        }
    }

    static func endedByHour(namespace: String?) -> String {
        """
        SELECT (finished_at - ?1) / ?2, phase, count(*) FROM workflows INDEXED BY workflows_by_finish
        WHERE finished_at >= ?1 AND (?3 IS NULL OR namespace = ?3) GROUP BY 1, 2
        """
    }

    static func runningByHour(namespace: String?) -> String {
        let index = namespace == nil ? "workflows_by_phase" : "workflows_by_namespace_and_phase"
        return """
            SELECT (created_at - ?1) / ?2, count(*) FROM workflows INDEXED BY \(index)
            WHERE phase IN ('', 'Pending', 'Running') AND created_at >= ?1
                AND \(namespace == nil ? "?3 IS NULL" : "namespace = ?3") GROUP BY 1
            """
    }

    /// The last runs of templates or cron workflows, and how long the succeeded ones among them usually take.
    /// - Parameters:
    ///   - queries: each with its pipeline or cron, and its namespace.
    ///   - limit: runs of each.
    ///   - sample: succeeded runs that the median is of. They are looked for among the last 1,000.
    package func recentRuns(_ queries: [WorkflowQuery], limit: Int = 20, sample: Int = 20) async throws
        -> [RecentRuns]
    {
        let path = path
        return try await read { database in
            try queries.map { query in
                let page = try database.statement(query, limit: limit)
                let rows = try Row.fetchAll(
                    database, sql: page.sql, arguments: StatementArguments(page.values))
                let seconds = try database.durations(query, reach: Self.medianReach, sample: sample)
                return RecentRuns(
                    runs: try rows.map { try WorkflowSummary(row: $0, path: path) },
                    medianSeconds: Self.median(seconds))
            }
        }
    }

    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

extension Database {
    /// How long the last succeeded runs of a query took, in seconds.
    fileprivate func durations(_ query: WorkflowQuery, reach: Int, sample: Int) throws -> [Double] {
        let page = try statement(query, limit: reach)
        // The columns of a summary: phase is the fourth, the times are the seventh and eighth.
        let rows = try Row.fetchCursor(self, sql: page.sql, arguments: StatementArguments(page.values))
        var seconds: [Double] = []
        while seconds.count < sample, let row = try rows.next() {
            guard row[3] == "Succeeded", let start: Int64 = row[6], let end: Int64 = row[7] else { continue }
            seconds.append(Double(end - start) / 1e9)
        }
        return seconds
    }
}
