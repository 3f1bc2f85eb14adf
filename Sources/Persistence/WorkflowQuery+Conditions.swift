// A query of runs as SQL: the range that is walked, and the conditions that each run on the way must meet.

import GRDB
import Text

/// All conditions of a query, each beside the driver's condition that would make it needless.
struct WorkflowConditions: Sendable {
    /// Where deleted runs lie until the last of their rows is gone: before all others, so that lists end there.
    static let deletedMoment = Timestamp(nanoseconds: .min)

    private var terms: [(fulfilledBy: WorkflowDriver.Condition?, part: SQLPart)] = []
    private let query: WorkflowQuery

    init(_ query: WorkflowQuery) {
        self.query = query
        // Only a driver without a condition of its own, and that of phases, take care of the namespace.
        if !query.phases.isEmpty {
            let places = SQLPart.places(query.phases.count)
            add(.phases, "workflows.phase IN \(places)", query.phases.sorted())
        }
        if let archived = query.archived {
            add(archived ? .archived : nil, "workflows.archived = ?", [archived])
        }
        if let uids = query.uids {
            let list = JSONValue.array(uids.sorted().map(JSONValue.string)).compactText
            add(.uids, "workflows.uid IN (SELECT value FROM json_each(?))", [list])
        }
        addNames()
        if let moment = query.finishedAfter {
            add(.finish, "workflows.finished_at > ?", [moment.nanoseconds])
        }
        if let moment = query.finishedBefore {
            add(.finish, "workflows.finished_at < ?", [moment.nanoseconds])
        }
        for (index, requirement) in query.labels.enumerated() { add(requirement, index) }
        if let name = query.pipeline {
            let keys = WorkflowQuery.pipelineLabels
            let parts = keys.map { SQLPart.label(true, $0, [name]) }
            terms.append((.pipeline, SQLPart(parts.map(\.sql).joined(separator: " OR "), joining: parts)))
        }
        if let name = query.cron { terms.append((.cron, .label(true, WorkflowQuery.cronLabel, [name]))) }
        for (index, parameter) in query.parameters.enumerated() {
            add(
                .parameter(index),
                """
                EXISTS (SELECT 1 FROM workflow_parameters AS other WHERE other.name = ? AND other.value = ?
                    AND other.created_at = workflows.created_at AND other.workflow = workflows.id)
                """, [parameter.name, RunArguments.cut(parameter.value)])
        }
    }

    private mutating func addNames() {
        // SQLite ends a text there, and no name has one.
        if [query.namePrefix, query.nameContains].contains(where: { $0?.contains("\0") == true }) {
            add(nil, "0", [])
        }
        if let prefix = query.namePrefix, !prefix.isEmpty {
            add(nil, "substr(workflows.name, 1, length(?)) = ?", [prefix, prefix])
        }
        guard let part = query.nameContains, !part.isEmpty else { return }
        let condition =
            query.ignoresCase ? "instr(lower(workflows.name), lower(?)) > 0" : "instr(workflows.name, ?) > 0"
        add(nil, condition, [part])
    }

    private mutating func add(_ requirement: LabelRequirement, _ index: Int) {
        let driver = WorkflowDriver.Condition.label(index)
        switch requirement {
        case .equals(let key, let value): terms.append((driver, .label(true, key, [value])))
        case .notEquals(let key, let value): terms.append((nil, .label(false, key, [value])))
        case .isIn(let key, let values): terms.append((driver, .label(true, key, values)))
        case .notIn(let key, let values): terms.append((nil, .label(false, key, values)))
        case .exists(let key): terms.append((nil, .label(true, key, nil)))
        case .absent(let key): terms.append((nil, .label(false, key, nil)))
        }
    }

    private mutating func add(
        _ driver: WorkflowDriver.Condition?, _ sql: String, _ values: [any DatabaseValueConvertible]
    ) {
        terms.append((driver, SQLPart(sql, values)))
    }

    /// What follows `WHERE` for one range of a driver.
    func part(_ range: WorkflowRange, of driver: WorkflowDriver) -> SQLPart {
        var parts = range.terms
        let isWholeNamespace = driver.condition == .none || driver.condition == .phases
        if let namespace = query.namespace, !isWholeNamespace {
            parts.append(SQLPart("workflows.namespace = ?", [namespace]))
        }
        parts.append(SQLPart("\(range.time) > ?", [lower.nanoseconds]))
        if let upper { parts.append(SQLPart("\(range.time) < ?", [upper.nanoseconds])) }
        if let cursor = query.after {
            parts.append(
                SQLPart(
                    "(\(range.time), \(range.key)) < (?, ?)", [cursor.createdAt.nanoseconds, cursor.rowID]))
        }
        // The index of names knows only letters that may be upper or lower case, so names are looked at again.
        parts += terms.filter { $0.fulfilledBy == nil || $0.fulfilledBy != driver.condition }.map(\.part)
        return SQLPart(parts.map { "(\($0.sql))" }.joined(separator: " AND "), joining: parts)
    }

    private var lower: Timestamp { max(query.createdAfter ?? Self.deletedMoment, Self.deletedMoment) }

    /// A run ends after it was made; a day is for clocks that were set back meanwhile.
    private var upper: Timestamp? {
        [query.createdBefore, query.finishedBefore.map { $0 + .seconds(86_400) }].compactMap { $0 }.min()
    }
}

extension SQLPart {
    init(_ sql: String, joining parts: [SQLPart]) {
        self.sql = sql
        values = parts.flatMap(\.values)
    }

    /// Whether a run has a label, with one of the values if any are given.
    static func label(_ isWanted: Bool, _ key: String, _ values: [String]?) -> SQLPart {
        let condition = values.map { "AND other.value IN \(places($0.count))" } ?? ""
        return SQLPart(
            """
            \(isWanted ? "" : "NOT ")EXISTS (SELECT 1 FROM workflow_labels AS other
                WHERE other.workflow = workflows.id AND other.key = ? \(condition))
            """, [key] + (values ?? []))
    }

    static func places(_ count: Int) -> String {
        "(" + Array(repeating: "?", count: count).joined(separator: ", ") + ")"
    }
}

extension WorkflowQuery {
    /// The ways in which the query's runs can be found, the most selective kinds first.
    var drivers: [WorkflowDriver] {
        var drivers: [WorkflowDriver] = []
        for (index, parameter) in parameters.enumerated() {
            drivers.append(.parameter(parameter, .parameter(index)))
        }
        for (index, requirement) in labels.enumerated() {
            switch requirement {
            case .equals(let key, let value): drivers.append(.label([(key, value)], .label(index)))
            case .isIn(let key, let values) where Set(values).count <= WorkflowDriver.rangeLimit:
                drivers.append(.label(Set(values).sorted().map { (key, $0) }, .label(index)))
            default: break
            }
        }
        if let cron { drivers.append(.label([(Self.cronLabel, cron)], .cron)) }
        if let pipeline {
            drivers.append(.label(Self.pipelineLabels.map { ($0, pipeline) }, .pipeline))
        }
        for part in [namePrefix, nameContains].compactMap({ $0 })
        where part.unicodeScalars.count >= 3 && !part.unicodeScalars.contains("\0") {
            drivers.append(.name(part))
        }
        if finishedAfter != nil || finishedBefore != nil {
            drivers.append(.finish(after: finishedAfter, before: finishedBefore))
        }
        if archived == true { drivers.append(.archived) }
        if !phases.isEmpty {
            drivers.append(.phases(phases, namespace: namespace))
        } else if namespace != nil, !drivers.isEmpty {
            // Of few runs, beside a label that many runs of other namespaces have.
            drivers.append(.creation(namespace: namespace))
        }
        return drivers
    }
}
