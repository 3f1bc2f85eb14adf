// How values become columns and come back.

import GRDB
import Scheduling
import Text

extension Timestamp {
    /// A column of nanoseconds.
    init(column: Int64) { self.init(nanoseconds: column) }
}

extension JSONValue {
    init(labels: [String: String]) { self = .object(labels.mapValues(JSONValue.string)) }

    /// Reads a column that the store wrote. The table is named where that fails: the file was damaged.
    init(column text: String, of table: String, path: String) throws {
        do { self = try JSONValue(parsing: text) } catch {
            throw StoreError.corrupt(path: path, detail: "a row of \(table) holds broken JSON")
        }
    }

    /// The members of an object whose values are strings.
    var textMembers: [String: String] { (objectValue ?? [:]).compactMapValues(\.stringValue) }
}

extension Row {
    func timestamp(_ column: String) -> Timestamp? { (self[column] as Int64?).map(Timestamp.init(column:)) }

    func moment(_ column: String) -> Timestamp { Timestamp(column: self[column]) }
}

extension Database {
    /// Runs a statement that is prepared once per connection.
    func run(_ sql: String, _ arguments: StatementArguments = []) throws {
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }

    func row(_ sql: String, _ arguments: StatementArguments) throws -> Row? {
        try Row.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    func rows(_ sql: String, _ arguments: StatementArguments) throws -> [Row] {
        try Row.fetchAll(cachedStatement(sql: sql), arguments: arguments)
    }

    func integer(_ sql: String, _ arguments: StatementArguments) throws -> Int64? {
        try Int64.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    /// The key of a run in the tables that hang on it.
    func workflowKey(_ uid: String) throws -> Int64 {
        guard let key = try integer("SELECT id FROM workflows WHERE uid = ?", [uid]) else {
            throw StoreError.notFound(kind: "workflow", name: uid)
        }
        return key
    }
}
