// Which runs a list or a watch is about: selectors of labels and fields, names, times, and what its reader may see.

import Controller
import Persistence
import Text

/// How `metadata.name` of a field selector is meant.
enum NameFilter: String, Sendable, CaseIterable {
    case exact = "Exact"
    case contains = "Contains"
    case prefix = "Prefix"
    case notEquals = "NotEquals"

    func holds(_ name: String, _ wanted: String) -> Bool {
        switch self {
        case .exact: name == wanted
        case .contains: name.contains(wanted)
        case .prefix: name.hasPrefix(wanted)
        case .notEquals: name != wanted
        }
    }
}

/// Conditions that must all hold.
struct RunSelection: Sendable {
    /// The phases that runs are stored with; "" before anything has looked at a run.
    static let phases = ["", "Pending", "Running", "Succeeded", "Failed", "Error"]
    static let phaseLabel = "workflows.argoproj.io/phase"
    static let completedLabel = "workflows.argoproj.io/completed"

    /// nil for all.
    var namespace: String?
    /// Those that the reader may see; nil for all.
    var visible: Set<String>?
    /// About labels that stay as they are.
    var labels: [LabelRequirement] = []
    /// Nil for all phases.
    var allowedPhases: Set<String>?
    var names: [(filter: NameFilter, text: String)] = []
    var uid: String?
    var createdAfter: Timestamp?
    var createdBefore: Timestamp?
    var finishedBefore: Timestamp?

    init() {}

    // MARK: One run

    /// Whether a run is meant, its phase aside.
    func covers(namespace: String, name: String, uid: String, labels: [String: String]) -> Bool {
        if let wanted = self.namespace, wanted != namespace { return false }
        if let visible, !visible.contains(namespace) { return false }
        if let wanted = self.uid, wanted != uid { return false }
        guard names.allSatisfy({ $0.filter.holds(name, $0.text) }) else { return false }
        return self.labels.allSatisfy { $0.holds(labels) }
    }

    func covers(_ summary: WorkflowSummary) -> Bool {
        covers(
            namespace: summary.namespace, name: summary.name, uid: summary.uid, labels: summary.labels)
            && covers(phase: summary.phase)
    }

    func covers(_ change: RunChange) -> Bool {
        covers(namespace: change.namespace, name: change.name, uid: change.uid, labels: change.labels)
    }

    func covers(phase: String) -> Bool { allowedPhases?.contains(phase) ?? true }

    // MARK: Lists

    /// Nothing can meet it.
    var isEmpty: Bool { allowedPhases?.isEmpty == true || visible?.isEmpty == true }

    /// What the database is asked; `covers` has the last word on what it answers.
    var query: WorkflowQuery {
        var query = WorkflowQuery(namespace: namespace ?? visible.flatMap { $0.count == 1 ? $0.first : nil })
        query.phases = allowedPhases ?? []
        query.labels = labels
        for (filter, text) in names {
            switch filter {
            case .exact, .prefix: query.namePrefix = text
            case .contains: query.nameContains = text
            case .notEquals: continue
            }
        }
        query.createdAfter = createdAfter
        query.createdBefore = createdBefore
        query.finishedBefore = finishedBefore
        return query
    }
}

// MARK: From a request

extension RunSelection {
    /// - Parameter namespace: of the path; empty for all.
    init(_ request: ServiceRequest, namespace: String) throws {
        self.namespace = namespace.isEmpty ? nil : namespace
        visible = request.principal.namespaces(.viewer)
        let query = request.query
        try add(labelSelector: query["listOptions.labelSelector"] ?? "")
        try add(fieldSelector: query["listOptions.fieldSelector"] ?? "", query["nameFilter"])
        if let prefix = query["namePrefix"], !prefix.isEmpty { names.append((.prefix, prefix)) }
        createdAfter = try Self.moment(query, "createdAfter") ?? createdAfter
        finishedBefore = try Self.moment(query, "finishedBefore")
    }

    private static func moment(_ query: URLQuery, _ name: String) throws(ServiceError) -> Timestamp? {
        guard let text = query[name], !text.isEmpty else { return nil }
        guard let moment = Timestamp(rfc3339: text) else {
            throw .invalid("\(name) is \"\(text.shortened)\"; write a moment such as 2026-01-31T12:00:00Z")
        }
        return moment
    }

    /// Labels of the phase follow the phase; they are looked up as such.
    mutating func add(labelSelector text: String) throws {
        for requirement in try LabelSelector.parse(text) {
            guard [Self.phaseLabel, Self.completedLabel].contains(requirement.key) else {
                labels.append(requirement)
                continue
            }
            restrictPhases { requirement.holds(Self.phaseLabels($0)) }
        }
    }

    private mutating func restrictPhases(_ isWanted: (String) -> Bool) {
        let wanted = Set(Self.phases.filter(isWanted))
        if wanted.count < Self.phases.count { allowedPhases = (allowedPhases ?? wanted).intersection(wanted) }
    }

    /// What Argo's controller writes on a run for its phase.
    static func phaseLabels(_ phase: String) -> [String: String] {
        let isCompleted = ["Succeeded", "Failed", "Error"].contains(phase)
        return [
            phaseLabel: phase.isEmpty ? "Running" : phase, completedLabel: isCompleted ? "true" : "false",
        ]
    }

    private mutating func add(fieldSelector text: String, _ nameFilter: String?) throws(ServiceError) {
        for clause in text.split(separator: ",").prefix(20) {
            guard let clause = FieldClause(clause) else {
                throw .invalid("fieldSelector: \"\(String(clause).shortened)\" is none of a=b, a==b, a!=b")
            }
            try add(clause, nameFilter)
        }
    }

    private mutating func add(_ clause: FieldClause, _ nameFilter: String?) throws(ServiceError) {
        switch (clause.field, clause.sign) {
        case ("metadata.name", .equal):
            guard let filter = NameFilter(rawValue: nameFilter.map { $0.isEmpty ? "Exact" : $0 } ?? "Exact")
            else {
                let known = NameFilter.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("nameFilter is \"\(nameFilter?.shortened ?? "")\"; it is one of \(known)")
            }
            names.append((filter, clause.value))
        case ("metadata.name", .notEqual): names.append((.notEquals, clause.value))
        case ("metadata.uid", .equal): uid = clause.value
        case ("metadata.namespace", .equal):
            guard namespace == nil || namespace == clause.value else {
                allowedPhases = []
                return
            }
            namespace = clause.value.isEmpty ? nil : clause.value
        case ("status.phase", .equal):
            restrictPhases { Self.phaseLabels($0)[Self.phaseLabel] == clause.value || $0 == clause.value }
        case ("status.phase", .notEqual):
            restrictPhases { Self.phaseLabels($0)[Self.phaseLabel] != clause.value }
        case ("spec.startedAt", .above): createdAfter = try moment(clause)
        case ("spec.startedAt", .below): createdBefore = try moment(clause)
        default:
            throw .invalid(
                "fieldSelector: \"\(clause.field.shortened)\" cannot be selected by; metadata.name, "
                    + "metadata.namespace, metadata.uid and status.phase can")
        }
    }

    private func moment(_ clause: FieldClause) throws(ServiceError) -> Timestamp {
        guard let moment = Timestamp(rfc3339: clause.value) else {
            throw .invalid(
                "fieldSelector: \"\(clause.value.shortened)\" is no moment such as 2026-01-31T12:00:00Z")
        }
        return moment
    }
}

/// One condition of a field selector.
private struct FieldClause {
    enum Sign { case equal, notEqual, above, below }
    var field: String
    var sign: Sign
    var value: String

    init?(_ text: Substring) {
        guard let place = text.firstIndex(where: { "=!<>".contains($0) }) else { return nil }
        field = String(text[..<place]).trimmingBlanks
        var rest = text[text.index(after: place)...]
        switch text[place] {
        case "!":
            guard rest.hasPrefix("=") else { return nil }
            rest = rest.dropFirst()
            sign = .notEqual
        case "<": sign = .below
        case ">": sign = .above
        default:
            if rest.hasPrefix("=") { rest = rest.dropFirst() }
            sign = .equal
        }
        value = String(rest).trimmingBlanks
        if field.isEmpty { return nil }
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}

extension LabelRequirement {
    var key: String {
        switch self {
        case .equals(let key, _), .notEquals(let key, _), .isIn(let key, _), .notIn(let key, _),
            .exists(let key), .absent(let key):
            key
        }
    }

    /// Whether an object with these labels meets it.
    func holds(_ labels: [String: String]) -> Bool {
        switch self {
        case .equals(let key, let value): labels[key] == value
        case .notEquals(let key, let value): labels[key] != value
        case .isIn(let key, let values): labels[key].map { values.contains($0) } ?? false
        case .notIn(let key, let values): labels[key].map { !values.contains($0) } ?? true
        case .exists(let key): labels[key] != nil
        case .absent(let key): labels[key] == nil
        }
    }
}
