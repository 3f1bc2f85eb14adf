// Lists of runs. Every query follows an index, so that a hundred thousand finished runs cost nothing.

import GRDB
import Text

extension Store {
    /// The runs that meet the query, newest first, a page at a time.
    package func workflows(_ query: WorkflowQuery) async throws -> WorkflowPage {
        let path = path
        let limit = min(max(query.limit, 1), WorkflowQuery.pageLimit)
        let conditions = WorkflowConditions(query)
        return try await read { database in
            // One more than asked tells whether another page follows.
            // Queries take many shapes: prepared for one use, or the statements kept would have no limit.
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT \(WorkflowSummary.columns), workflows.id AS row_id FROM workflows
                    WHERE \(conditions.sql) ORDER BY created_at DESC, id DESC LIMIT \(limit + 1)
                    """, arguments: conditions.arguments)
            let workflows = try rows.prefix(limit).map { try WorkflowSummary(row: $0, path: path) }
            guard rows.count > limit, let last = workflows.last else {
                return WorkflowPage(workflows: workflows)
            }
            let next = WorkflowCursor(createdAt: last.createdAt, rowID: rows[limit - 1]["row_id"])
            return WorkflowPage(workflows: workflows, next: next)
        }
    }

    /// How many runs meet the query; its limit and cursor do not matter.
    package func workflowCount(_ query: WorkflowQuery) async throws -> Int {
        var query = query
        query.after = nil
        let conditions = WorkflowConditions(query)
        return try await read { database in
            try Int.fetchOne(
                database, sql: "SELECT count(*) FROM workflows WHERE \(conditions.sql)",
                arguments: conditions.arguments) ?? 0
        }
    }

    /// The label keys in use, in order; at most 10,000.
    package func labelKeys() async throws -> [String] {
        try await read { database in
            try String.fetchAll(
                database, sql: "SELECT DISTINCT key FROM workflow_labels ORDER BY key LIMIT 10000")
        }
    }

    /// The values in use of one label, in order; at most 10,000.
    package func labelValues(_ key: String) async throws -> [String] {
        try await read { database in
            try String.fetchAll(
                database,
                sql: "SELECT DISTINCT value FROM workflow_labels WHERE key = ? ORDER BY value LIMIT 10000",
                arguments: [key])
        }
    }
}

/// A query as SQL. Values are arguments without exception; only fixed text is put together.
private struct WorkflowConditions: Sendable {
    private var terms: [String] = []
    private var values: [DatabaseValue] = []

    var sql: String { terms.isEmpty ? "1" : terms.joined(separator: " AND ") }
    var arguments: StatementArguments { StatementArguments(values) }

    init(_ query: WorkflowQuery) {
        if let namespace = query.namespace { add("namespace = ?", namespace) }
        if !query.phases.isEmpty {
            let condition = "phase IN \(Self.places(query.phases.count))"
            // Few runs of many are unfinished. Told so, SQLite looks them up instead of walking all by age.
            let isRare = query.phases.isDisjoint(with: ["Succeeded", "Failed", "Error"])
            add(isRare ? "unlikely(\(condition))" : condition, query.phases.sorted())
        }
        if let archived = query.archived { add("archived = ?", archived) }
        if let prefix = query.namePrefix, !prefix.isEmpty {
            add("substr(name, 1, length(?)) = ?", [prefix, prefix])
        }
        if let part = query.nameContains, !part.isEmpty { add("instr(name, ?) > 0", part) }
        if let moment = query.createdAfter { add("created_at > ?", moment.nanoseconds) }
        if let moment = query.createdBefore { add("created_at < ?", moment.nanoseconds) }
        if let moment = query.finishedBefore { add("finished_at < ?", moment.nanoseconds) }
        if let cursor = query.after {
            add("(created_at, id) < (?, ?)", [cursor.createdAt.nanoseconds, cursor.rowID])
        }
        for requirement in query.labels { add(requirement) }
    }

    private mutating func add(_ requirement: LabelRequirement) {
        switch requirement {
        case .equals(let key, let value): addLabel(true, key, "AND value = ?", [value])
        case .notEquals(let key, let value): addLabel(false, key, "AND value = ?", [value])
        case .isIn(let key, let values):
            addLabel(true, key, "AND value IN \(Self.places(values.count))", values)
        case .notIn(let key, let values):
            addLabel(false, key, "AND value IN \(Self.places(values.count))", values)
        case .exists(let key): addLabel(true, key, "", [])
        case .absent(let key): addLabel(false, key, "", [])
        }
    }

    private mutating func addLabel(_ wanted: Bool, _ key: String, _ condition: String, _ values: [String]) {
        add(
            """
            workflows.id \(wanted ? "IN" : "NOT IN")
            (SELECT workflow FROM workflow_labels WHERE key = ? \(condition))
            """, [key] + values)
    }

    private mutating func add(_ term: String, _ value: some DatabaseValueConvertible) { add(term, [value]) }

    private mutating func add(_ term: String, _ arguments: [some DatabaseValueConvertible]) {
        terms.append(term)
        values += arguments.map(\.databaseValue)
    }

    private static func places(_ count: Int) -> String {
        "(" + Array(repeating: "?", count: count).joined(separator: ", ") + ")"
    }
}
