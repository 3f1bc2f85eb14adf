// The tests of Jinja: what may stand behind `is`.

enum TemplateTests {
    static let names: Set = [
        "!=", "<", "<=", "==", ">", ">=", "boolean", "callable", "defined", "divisibleby", "eq", "equalto",
        "escaped",
        "even", "false", "filter", "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le",
        "lessthan",
        "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence", "string", "test",
        "true",
        "undefined", "upper",
    ]

    static let comparisons: [String: ComparisonOperator] = [
        "==": .equal, "eq": .equal, "equalto": .equal, "!=": .notEqual, "ne": .notEqual, ">": .greater,
        "gt": .greater, "greaterthan": .greater, ">=": .greaterOrEqual, "ge": .greaterOrEqual, "<": .less,
        "lt": .less, "lessthan": .less, "<=": .lessOrEqual, "le": .lessOrEqual, "in": .contained,
    ]
}

extension TemplateEvaluator {
    func test(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> Bool {
        if let comparison = TemplateTests.comparisons[name] {
            let other = try arguments.bound(name, ["other"], required: 1)[0] ?? .none
            return try compare(value, comparison, other)
        }
        switch name {
        case "divisibleby":
            let divisor = try arguments.bound(name, ["num"], required: 1)[0] ?? .none
            return try value.apply(.remainder, divisor, budget).isEqual(to: .int(0), budget)
        case "sameas": return value.isSame(as: try arguments.bound(name, ["other"], required: 1)[0] ?? .none)
        default: _ = try arguments.bound(name, [])
        }
        switch name {
        case "odd": return try value.apply(.remainder, .int(2), budget).isEqual(to: .int(1), budget)
        case "even": return try value.apply(.remainder, .int(2), budget).isEqual(to: .int(0), budget)
        case "lower": return try value.text(budget).isLower
        case "upper": return try value.text(budget).isUpper
        case "filter": return value.givenText.map { TemplateFilters.names.contains($0.swift) } ?? false
        case "test": return value.givenText.map { TemplateTests.names.contains($0.swift) } ?? false
        default:
            guard let result = value.passes(name) else {
                throw TemplateFailure(
                    kind: .rendering, problem: "no test is named `\(name)`",
                    remedy: "use one of those that transformers has")
            }
            return result
        }
    }
}

extension TemplateValue {
    /// Tests of what kind a value is; nil for other tests.
    fileprivate func passes(_ test: String) -> Bool? {
        switch (test, self) {
        case ("defined", _): !isUndefined
        case ("undefined", _): isUndefined
        case ("none", _): isNone
        case ("boolean", .bool), ("true", .bool(true)), ("false", .bool(false)), ("integer", .int),
            ("float", .float),
            ("string", .string), ("mapping", .dictionary), ("number", .int), ("number", .float),
            ("number", .bool):
            true
        case ("boolean", _), ("true", _), ("false", _), ("integer", _), ("float", _), ("string", _),
            ("mapping", _),
            ("number", _):
            false
        case ("iterable", _): isIterable
        case ("sequence", .undefined), ("sequence", .string), ("sequence", .list), ("sequence", .tuple),
            ("sequence", .dictionary),
            ("sequence", .range):
            true
        case ("sequence", _): false
        case ("callable", .macro), ("callable", .function), ("callable", .method), ("callable", .joiner),
            ("callable", .loop), ("callable", .undefined):
            true
        case ("callable", _): false
        case ("escaped", .string(let text)): text.isMarkup
        case ("escaped", _): false
        default: nil
        }
    }
}
