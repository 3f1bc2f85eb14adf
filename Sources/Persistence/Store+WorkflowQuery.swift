// Lists of runs. Every query follows an index, so that a hundred thousand finished runs cost nothing.

import GRDB
import Text

extension Store {
    /// The runs that meet the query, newest first, a page at a time.
    package func workflows(_ query: WorkflowQuery) async throws -> WorkflowPage {
        try await page([query], limit: query.limit)
    }

    /// The runs of some namespaces that meet the query, as one list.
    /// - Parameter namespaces: more than `WorkflowQuery.namespaceLimit` take one look at each.
    package func workflows(_ query: WorkflowQuery, of namespaces: Set<String>) async throws -> WorkflowPage {
        try await page(
            namespaces.sorted().prefix(WorkflowQuery.namespaceLimit).map { namespace in
                var part = query
                part.namespace = namespace
                return part
            }, limit: query.limit)
    }

    private func page(_ queries: [WorkflowQuery], limit: Int) async throws -> WorkflowPage {
        let path = path
        let limit = min(max(limit, 1), WorkflowQuery.pageLimit)
        return try await read { database in
            // One more than asked tells whether another page follows.
            let statement = try database.statement(queries, limit: limit + 1)
            // Queries take many shapes: prepared for one use, or the statements kept would have no limit.
            let rows = try Row.fetchAll(
                database, sql: statement.sql, arguments: StatementArguments(statement.values))
            let workflows = try rows.prefix(limit).map { try WorkflowSummary(row: $0, path: path) }
            guard rows.count > limit, let last = workflows.last else {
                return WorkflowPage(workflows: workflows)
            }
            let next = WorkflowCursor(createdAt: last.createdAt, rowID: rows[limit - 1]["row_id"])
            return WorkflowPage(workflows: workflows, next: next)
        }
    }

    /// How many runs meet the query; its limit and cursor do not matter.
    /// - Parameter cap: counting ends there.
    package func workflowCount(_ query: WorkflowQuery, cap: Int = .max) async throws -> Int {
        try await read { try $0.count(query, cap: cap) }
    }

    /// How many runs of each phase meet the query; its limit and cursor do not matter. Phases that the query does
    /// not ask for, and such without a run, are left out.
    /// - Parameter cap: counting ends there in each phase: a value that large means "so many or more".
    package func workflowCounts(_ query: WorkflowQuery, cap: Int = WorkflowQuery.countCap) async throws
        -> [String: Int]
    {
        try await read { database in
            var counts: [String: Int] = [:]
            let asked = query.phases.isEmpty ? WorkflowQuery.allPhases : query.phases
            for phase in asked.intersection(WorkflowQuery.allPhases) {
                var part = query
                part.phases = [phase]
                let count = try database.count(part, cap: cap)
                if count > 0 { counts[phase] = count }
            }
            return counts
        }
    }

    /// The arguments of runs in their order, by uid; long values are cut, runs without arguments left out.
    /// - Parameter limit: of each run.
    package func workflowParameters(_ uids: [String], limit: Int = 20) async throws
        -> [String: [(name: String, value: String)]]
    {
        try await read { database in
            var found: [String: [(name: String, value: String)]] = [:]
            for uid in Set(uids) {
                let rows = try database.rows(
                    """
                    SELECT workflow_parameters.name, value FROM workflow_parameters
                    JOIN workflows ON workflows.id = workflow_parameters.workflow
                    WHERE uid = ? ORDER BY position LIMIT ?
                    """, [uid, limit])
                if !rows.isEmpty { found[uid] = rows.map { ($0[0], $0[1]) } }
            }
            return found
        }
    }

    /// The label keys in use, in order; at most 10,000.
    package func labelKeys() async throws -> [String] {
        try await read { try $0.distinct("key", of: "workflow_labels") }
    }

    /// The values in use of one label, in order; at most 10,000.
    package func labelValues(_ key: String) async throws -> [String] {
        try await read { try $0.distinct("value", of: "workflow_labels", where: "key = ?1", [key]) }
    }

    /// The namespaces that have runs or definitions, in order; at most 10,000.
    package func namespaces() async throws -> [String] {
        try await read { database in
            let ofRuns = try database.distinct("namespace", of: "workflows")
            let ofDefinitions = try String.fetchAll(
                database, sql: "SELECT DISTINCT namespace FROM definitions")
            return Set(ofRuns + ofDefinitions).subtracting([""]).sorted()
        }
    }
}

extension Database {
    /// Counting that tells a short range from a long one ends there.
    private static let probeLimit = 1_000

    /// The page of a query as one statement.
    func statement(_ query: WorkflowQuery, limit: Int) throws -> SQLPart {
        try statement([query], limit: limit)
    }

    /// The page of what meets one of several queries that have nothing in common.
    func statement(_ queries: [WorkflowQuery], limit: Int) throws -> SQLPart {
        let parts = try queries.flatMap { query in
            let conditions = WorkflowConditions(query)
            let driver = try driver(for: query)
            return driver.ranges.map { range in
                let condition = conditions.part(range, of: driver)
                return SQLPart(
                    """
                    SELECT \(WorkflowSummary.columns(time: range.time)), \(range.key) AS row_id
                    FROM \(range.from.sql) WHERE \(condition.sql)
                    """, joining: [range.from, condition])
            }
        }
        guard !parts.isEmpty else { return SQLPart("SELECT 1 LIMIT 0") }
        // By the columns' places: created_at is the sixth, the row's id the last. SQLite merges the ranges of a
        // compound that are in this order, and reads of each no more than the page needs.
        var whole = SQLPart(parts.map(\.sql).joined(separator: "\nUNION ALL\n"), joining: parts)
        whole.sql += "\nORDER BY 6 DESC, \(WorkflowSummary.columnCount + 1) DESC LIMIT \(limit)"
        return whole
    }

    fileprivate func count(_ query: WorkflowQuery, cap: Int) throws -> Int {
        try integer(of: countStatement(query, cap: cap))
    }

    /// The number of a query's runs as one statement.
    func countStatement(_ query: WorkflowQuery, cap: Int) throws -> SQLPart {
        var query = query
        query.after = nil
        let conditions = WorkflowConditions(query)
        let driver = try driver(for: query)
        return Self.countStatement(
            driver.ranges.map { (range: $0, condition: conditions.part($0, of: driver)) }, cap: cap)
    }

    private static func countStatement(_ parts: [(range: WorkflowRange, condition: SQLPart)], cap: Int)
        -> SQLPart
    {
        guard !parts.isEmpty else { return SQLPart("SELECT 0") }
        let selects = parts.map { "SELECT 1 FROM \($0.range.from.sql) WHERE \($0.condition.sql)" }
        return SQLPart(
            "SELECT count(*) FROM (\(selects.joined(separator: " UNION ALL ")) LIMIT \(cap))",
            joining: parts.flatMap { [$0.range.from, $0.condition] })
    }

    private func integer(of part: SQLPart) throws -> Int {
        try Int.fetchOne(self, sql: part.sql, arguments: StatementArguments(part.values)) ?? 0
    }

    /// The shortest way to a query's runs. Where all are long, matches come soon on any that is in order.
    func driver(for query: WorkflowQuery) throws -> WorkflowDriver {
        if let uids = query.uids { return .uids(uids) }
        let drivers = query.drivers
        let fallback = drivers.first(where: \.isOrdered) ?? .creation(namespace: query.namespace)
        // A list of one phase or label needs no choice.
        if drivers.isEmpty || (drivers.count == 1 && fallback.condition == drivers[0].condition) {
            return fallback
        }
        var best: (count: Int, driver: WorkflowDriver)?
        for driver in drivers {
            let parts = driver.ranges.map { range in
                let terms = range.terms.map(\.sql).joined(separator: " AND ")
                return (range: range, condition: SQLPart(terms, joining: range.terms))
            }
            let count = try integer(of: Self.countStatement(parts, cap: Self.probeLimit))
            if count < best?.count ?? Self.probeLimit { best = (count, driver) }
        }
        return best?.driver ?? fallback
    }

    /// The different values of a column that an index begins with, each found by one search: reading the whole index
    /// takes long where a label has many runs.
    fileprivate func distinct(
        _ column: String, of table: String, where condition: String = "1",
        _ arguments: StatementArguments = []
    ) throws -> [String] {
        try String.fetchAll(
            self,
            sql: """
                WITH RECURSIVE found (value) AS (
                    SELECT min(\(column)) FROM \(table) WHERE \(condition)
                    UNION ALL
                    SELECT (SELECT min(\(column)) FROM \(table) WHERE \(condition) AND \(column) > found.value)
                    FROM found WHERE found.value IS NOT NULL LIMIT 10001)
                SELECT value FROM found WHERE value IS NOT NULL LIMIT 10000
                """, arguments: arguments)
    }
}
