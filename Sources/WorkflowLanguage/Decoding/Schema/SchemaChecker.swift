// The walk of a document beside its definitions.

import Text

struct SchemaChecker {
    let table: SchemaTable
    let file: String
    let unknownField: Diagnostic.Severity
    var diagnostics: [Diagnostic] = []
    /// Where the walk is.
    var path: [PathElement] = []

    /// A list of fields longer than this helps nobody.
    private static let mostFieldsListed = 16

    init(table: SchemaTable, file: String, unknownField: Diagnostic.Severity) {
        self.table = table
        self.file = file
        self.unknownField = unknownField
    }

    mutating func report(_ value: MarkedValue, _ message: String, remedy: String?) {
        report(line: value.line, column: value.column, .error, message, remedy)
    }

    mutating func report(_ member: MarkedValue.Member, _ message: String, remedy: String?) {
        report(line: member.line, column: member.column, .error, message, remedy)
    }

    private mutating func report(
        line: Int, column: Int, _ severity: Diagnostic.Severity, _ message: String, _ remedy: String?
    ) {
        diagnostics.append(
            Diagnostic(
                file: file, line: line, column: column, path: path.text, severity: severity, message: message,
                remedy: remedy))
    }

    /// Checks the members of an object against its definition.
    mutating func checkObject(_ value: MarkedValue, as name: String) {
        guard case .object(let members) = value.content, let fields = table.objects[name] else { return }
        for member in members {
            path.append(.key(member.key))
            switch fields[member.key] {
            case nil:
                let remedy = unknownFieldRemedy(member.key, in: name, fields: fields, siblings: members)
                report(
                    line: member.line, column: member.column, unknownField, "unknown field \"\(member.key)\"",
                    remedy)
            case .removed(let remedy):
                report(member, "the field \"\(member.key)\" no longer exists", remedy: remedy)
            case let type?:
                check(member.value, is: type, at: (member.line, member.column))
            }
            path.removeLast()
        }
    }

    /// - Parameter place: of the key, or of the item of a list.
    private mutating func check(_ value: MarkedValue, is type: SchemaType, at place: (line: Int, column: Int))
    {
        if value.isNull {
            if type == .parameters {
                report(
                    line: place.line, column: place.column, .error, "must be a map of parameters, not empty",
                    "a step without parameters is written {}")
            }
            return
        }
        switch (type, value.content) {
        case (.any, _), (.anyText, _), (.freeForm, .object), (.parameters, .object): break
        case (.list(let element), .array(let values)):
            for (index, value) in values.enumerated() {
                path.append(.index(index))
                check(value, is: element, at: (value.line, value.column))
                path.removeLast()
            }
        case (.map(let element), .object(let members)):
            for member in members {
                path.append(.key(member.key))
                check(member.value, is: element, at: (member.line, member.column))
                path.removeLast()
            }
        case (.object(let name), .object): checkObject(value, as: name)
        case (_, .scalar(let scalar)) where type.accepts(scalar): break
        default:
            let problem = type.mismatch(with: value)
            report(line: place.line, column: place.column, .error, problem.message, problem.remedy)
        }
    }

    /// What was probably meant: a field with a similar name, a field of one of the objects beside it, or one
    /// of a few.
    private func unknownFieldRemedy(
        _ key: String, in name: String, fields: [String: SchemaType], siblings: [MarkedValue.Member]
    ) -> String {
        let known = fields.filter { if case .removed = $0.value { false } else { true } }.keys.sorted()
        if let nearest = EditDistance.nearest(to: key, in: known) { return "did you mean \"\(nearest)\"?" }
        func holdsKey(_ field: String) -> Bool {
            guard case .object(let inner)? = fields[field] else { return false }
            return table.objects[inner]?[key] != nil
        }
        if let sibling = siblings.first(where: { holdsKey($0.key) }) {
            return "\"\(key)\" is a field of \"\(sibling.key)\": indent it below that"
        }
        let holders = known.filter(holdsKey)
        if !holders.isEmpty, holders.count <= 4 {
            return "\"\(key)\" is a field of \(holders.map { "\"\($0)\"" }.joined(separator: " or "))"
        }
        if known.count <= Self.mostFieldsListed { return "possible here: " + known.joined(separator: ", ") }
        return "remove it, or check its spelling and its indentation"
    }
}

extension MarkedValue {
    /// The kind of the value, for messages.
    var phrase: String {
        switch content {
        case .scalar(.null): "empty"
        case .scalar(.bool(let flag)): "the boolean \(flag)"
        case .scalar(.int), .scalar(.double): "a number"
        case .scalar: "a string"
        case .array: "a list"
        case .object: "a map"
        }
    }
}
