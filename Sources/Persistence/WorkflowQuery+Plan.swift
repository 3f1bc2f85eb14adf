// How a list of runs is read: which index is walked, and what is looked at on the way.

import GRDB
import Text

/// Text of a statement with its arguments. Values are arguments without exception; only fixed text is put together.
struct SQLPart: Sendable {
    var sql: String
    var values: [DatabaseValue] = []

    init(_ sql: String, _ values: [(any DatabaseValueConvertible)?] = []) {
        self.sql = sql
        self.values = values.map { $0?.databaseValue ?? .null }
    }
}

/// A range of an index from which runs are taken: one arm of a statement, disjoint from its siblings.
struct WorkflowRange: Sendable {
    /// Tables, and how they are joined.
    var from: SQLPart
    /// The columns that the range is ordered by.
    var time = "workflows.created_at"
    var key = "workflows.id"
    var terms: [SQLPart]
}

/// A condition of a query that an index has: a way to read the list.
struct WorkflowDriver: Sendable {
    /// Which condition of the query it fulfills.
    enum Condition: Sendable, Hashable {
        case none, uids, name, finish, archived, phases, parameter(Int), label(Int), pipeline, cron
    }

    var condition: Condition
    var ranges: [WorkflowRange]
    /// Whether the ranges are in the order of lists. Others are worth reading only if they are short.
    var isOrdered = true
}

extension WorkflowDriver {
    /// Values of one condition that are read side by side; with more it is only looked at.
    static let rangeLimit = 16

    static func creation(namespace: String?) -> WorkflowDriver {
        guard let namespace else {
            return WorkflowDriver(
                condition: .none,
                ranges: [
                    WorkflowRange(from: SQLPart("workflows INDEXED BY workflows_by_creation"), terms: [])
                ])
        }
        return WorkflowDriver(
            condition: .none,
            ranges: [
                WorkflowRange(
                    from: SQLPart("workflows INDEXED BY workflows_by_namespace"),
                    terms: [SQLPart("workflows.namespace = ?", [namespace])])
            ])
    }

    static func phases(_ phases: Set<String>, namespace: String?) -> WorkflowDriver {
        let ranges = phases.sorted().map { phase in
            guard let namespace else {
                return WorkflowRange(
                    from: SQLPart("workflows INDEXED BY workflows_by_phase"),
                    terms: [SQLPart("workflows.phase = ?", [phase])])
            }
            return WorkflowRange(
                from: SQLPart("workflows INDEXED BY workflows_by_namespace_and_phase"),
                terms: [SQLPart("workflows.namespace = ? AND workflows.phase = ?", [namespace, phase])])
        }
        return WorkflowDriver(condition: .phases, ranges: ranges)
    }

    static let archived = WorkflowDriver(
        condition: .archived,
        ranges: [
            WorkflowRange(
                from: SQLPart("workflows INDEXED BY workflows_archived"),
                terms: [SQLPart("workflows.archived = 1")])
        ])

    static func label(_ pairs: [(key: String, value: String)], _ condition: Condition) -> WorkflowDriver {
        let ranges = pairs.enumerated().map { index, pair in
            var range = WorkflowRange(
                from: SQLPart(
                    "workflow_labels AS driver CROSS JOIN workflows ON workflows.id = driver.workflow"),
                time: "driver.created_at", key: "driver.workflow",
                terms: [SQLPart("driver.key = ? AND driver.value = ?", [pair.key, pair.value])])
            // A run is in one range only, also where it has several of these labels.
            for earlier in pairs[..<index] where earlier.key != pair.key {
                range.terms.append(.label(false, earlier.key, [earlier.value]))
            }
            return range
        }
        return WorkflowDriver(condition: condition, ranges: ranges)
    }

    static func parameter(_ parameter: WorkflowQuery.Parameter, _ condition: Condition) -> WorkflowDriver {
        WorkflowDriver(
            condition: condition,
            ranges: [
                WorkflowRange(
                    from: SQLPart(
                        "workflow_parameters AS driver CROSS JOIN workflows ON workflows.id = driver.workflow"
                    ),
                    time: "driver.created_at", key: "driver.workflow",
                    terms: [
                        SQLPart(
                            "driver.name = ? AND driver.value = ?",
                            [parameter.name, RunArguments.cut(parameter.value)])
                    ])
            ])
    }

    /// Runs whose names have a part of three letters or more; upper and lower case are the same here.
    static func name(_ part: String) -> WorkflowDriver {
        let phrase =
            "\""
            + part.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"") + "\""
        return WorkflowDriver(
            condition: .name,
            ranges: [
                WorkflowRange(
                    from: SQLPart(
                        """
                        workflow_names AS driver CROSS JOIN workflows ON workflows.id = driver.rowid
                        """), terms: [SQLPart("driver.name MATCH ?", [phrase])])
            ], isOrdered: false)
    }

    static func finish(after: Timestamp?, before: Timestamp?) -> WorkflowDriver {
        WorkflowDriver(
            condition: .finish,
            ranges: [
                WorkflowRange(
                    from: SQLPart("workflows INDEXED BY workflows_by_finish"),
                    terms: [
                        SQLPart(
                            "workflows.finished_at > ? AND workflows.finished_at < ?",
                            [after?.nanoseconds ?? .min, before?.nanoseconds ?? .max])
                    ])
            ], isOrdered: false)
    }

    static func uids(_ uids: Set<String>) -> WorkflowDriver {
        WorkflowDriver(
            condition: .uids,
            ranges: [
                WorkflowRange(
                    from: SQLPart("workflows"),
                    terms: [
                        SQLPart(
                            "workflows.uid IN (SELECT value FROM json_each(?))",
                            [JSONValue.array(uids.sorted().map(JSONValue.string)).compactText])
                    ])
            ], isOrdered: false)
    }
}
