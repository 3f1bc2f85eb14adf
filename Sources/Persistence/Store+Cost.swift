// What a list costs, in numbers that do not depend on the machine: tests hold the indexes to them.

import GRDB
import GRDBSQLite

/// How SQLite answers a query.
struct QueryCost: Sendable {
    /// The lines of EXPLAIN QUERY PLAN.
    var plan: [String]
    /// Steps of SQLite's machine: a row of a list costs some dozens, a row that is passed over about ten.
    var steps: Int
}

extension Store {
    /// The cost of the first page of a query, without that of choosing the index.
    func cost(of query: WorkflowQuery) async throws -> QueryCost {
        try await read { database in
            let part = try database.statement(query, limit: query.limit + 1)
            return try database.cost(of: part)
        }
    }

    /// The cost of counting, up to the cap that lists use.
    func countCost(of query: WorkflowQuery) async throws -> QueryCost {
        try await read { database in
            try database.cost(of: try database.countStatement(query, cap: WorkflowQuery.countCap))
        }
    }

    /// Runs statements as they are: stands for what a crash or another version left behind.
    func execute(_ sql: String) async throws { try await write { try $0.execute(sql: sql) } }

    func cost(of sql: String, _ values: [(any DatabaseValueConvertible & Sendable)?] = []) async throws
        -> QueryCost
    {
        try await read { try $0.cost(of: SQLPart(sql, values)) }
    }
}

extension Database {
    /// Bodies of definitions as they lie in the file.
    func storedBodies() throws -> [String] {
        try String.fetchAll(self, sql: "SELECT body FROM definitions ORDER BY kind, namespace, name")
    }

    fileprivate func cost(of part: SQLPart) throws -> QueryCost {
        let arguments = StatementArguments(part.values)
        let plan = try Row.fetchAll(self, sql: "EXPLAIN QUERY PLAN " + part.sql, arguments: arguments)
        let statement = try makeStatement(sql: part.sql)
        _ = try Row.fetchAll(statement, arguments: arguments)
        let steps = sqlite3_stmt_status(statement.sqliteStatement, SQLITE_STMTSTATUS_VM_STEP, 0)
        return QueryCost(plan: plan.map { $0["detail"] }, steps: Int(steps))
    }
}
