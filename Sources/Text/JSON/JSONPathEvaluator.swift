// Walks a JSON value along a path.

struct JSONPathEvaluator {
    let root: JSONValue
    /// Values looked at so far, over the whole query.
    private var visits = 0
    private var isExhausted = false

    init(root: JSONValue) { self.root = root }

    mutating func apply(_ steps: ArraySlice<JSONPathStep>, to value: JSONValue) throws(JSONPathError)
        -> JSONValue
    {
        try visit(1)
        guard let step = steps.first else { return value }
        let rest = steps.dropFirst()
        switch step {
        case .key(let key): return try apply(rest, to: try member(key, of: value))
        case .index(let index): return try apply(rest, to: try element(index, of: value))
        case .length: return try apply(rest, to: try length(of: value))
        case .wildcard:
            guard let elements = value.children else {
                throw wrongTarget("wildcard", value, "[array map slice]")
            }
            return .array(try collect(rest, of: elements))
        case .descendants: return .array(try descendants(of: value, rest: rest))
        case .filter(let expression): return try list(rest, try filtered(value, by: expression))
        case .union(let arguments): return try list(rest, try union(arguments, of: value))
        case .slice(let from, let to, let step):
            return try list(rest, try slice(value, from: from, to: to, step: step))
        case .script(let expression):
            switch try evaluate(expression, current: value) {
            case .string(let key): return try apply(rest, to: try member(key, of: value))
            case let result:
                guard let index = result.intValue else {
                    throw JSONPathError(
                        message: "script: unexpected expression result. expected [int string]")
                }
                return try apply(rest, to: try element(index, of: value))
            }
        }
    }

    private mutating func visit(_ count: Int) throws(JSONPathError) {
        visits += count
        guard visits <= JSONPath.maximumResults else {
            isExhausted = true
            throw JSONPathError(
                message:
                    "the query looks at more than \(JSONPath.maximumResults) values; narrow the path"
            )
        }
    }

    // MARK: Lists

    /// An index directly after a list picks from it; everything else is applied to each of its elements.
    private mutating func list(
        _ rest: ArraySlice<JSONPathStep>, _ elements: [JSONValue]
    ) throws(JSONPathError) -> JSONValue {
        if case .index = rest.first { return try apply(rest, to: .array(elements)) }
        return .array(try collect(rest, of: elements))
    }

    /// What the steps find from each element; elements in which they find nothing or null are left out.
    private mutating func collect(
        _ rest: ArraySlice<JSONPathStep>, of elements: [JSONValue]
    ) throws(JSONPathError) -> [JSONValue] {
        try visit(elements.count)
        guard !rest.isEmpty else { return elements }
        var results: [JSONValue] = []
        for element in elements {
            if let result = try found(rest, from: element), !result.isNull { results.append(result) }
        }
        return results
    }

    /// Nil if nothing is found; only the limit is an error here.
    private mutating func found(
        _ steps: ArraySlice<JSONPathStep>, from value: JSONValue
    ) throws(JSONPathError) -> JSONValue? {
        do {
            return try apply(steps, to: value)
        } catch {
            if isExhausted { throw error }
            return nil
        }
    }

    private mutating func descendants(
        of value: JSONValue, rest: ArraySlice<JSONPathStep>
    ) throws(JSONPathError) -> [JSONValue] {
        var results: [JSONValue] = []
        var open = [value]
        while let next = open.popLast() {
            try visit(1)
            if let children = next.children { open.append(contentsOf: children.reversed()) }
            if rest.isEmpty {
                if !next.isNull { results.append(next) }
                continue
            }
            guard let found = try found(rest, from: next), !found.isNull else { continue }
            if let elements = found.arrayValue { results += elements } else { results.append(found) }
            try visit(found.arrayValue?.count ?? 1)
        }
        return results
    }

    private mutating func filtered(
        _ value: JSONValue, by expression: JSONPathExpression
    ) throws(JSONPathError) -> [JSONValue] {
        guard let elements = value.children else { throw wrongTarget("filter", value, "[array map slice]") }
        var kept: [JSONValue] = []
        for element in elements {
            try visit(1)
            do {
                if try evaluate(expression, current: element).isTruthy { kept.append(element) }
            } catch {
                // What an expression cannot be computed for, such as a missing key, does not pass the filter.
                if isExhausted { throw error }
            }
        }
        return kept
    }

    private mutating func union(
        _ arguments: [JSONPathArgument], of value: JSONValue
    ) throws(JSONPathError) -> [JSONValue] {
        var results: [JSONValue] = []
        for argument in arguments {
            try visit(1)
            switch argument {
            case .key(let key): results.append(try member(key, of: value, step: "union"))
            case .index(let index): results.append(try element(index, of: value, step: "union"))
            case .script(let expression):
                let result = try evaluate(expression, current: value)
                if let key = result.stringValue {
                    results.append(try member(key, of: value, step: "union"))
                } else if let index = result.intValue {
                    results.append(try element(index, of: value, step: "union"))
                } else {
                    throw JSONPathError(message: "union: invalid token argument. expected [int string]")
                }
            }
        }
        return results
    }

    /// The elements from one index up to another; with a negative step the same elements backwards.
    private mutating func slice(
        _ value: JSONValue, from: JSONPathArgument?, to: JSONPathArgument?, step: JSONPathArgument?
    ) throws(JSONPathError) -> [JSONValue] {
        guard let elements = value.arrayValue else { throw wrongTarget("range", value, "[array slice]") }
        let count = elements.count
        func bounded(_ index: Int) -> Int { min(max(index < 0 ? index + count : index, 0), count) }
        let lower = bounded(try number(from, current: value) ?? 0)
        let upper = bounded(try number(to, current: value) ?? count)
        let step = try number(step, current: value) ?? 1
        guard step != 0 else { throw JSONPathError(message: "range: invalid token out of range") }
        guard lower < upper else { return [] }
        if step > 0 { return stride(from: lower, to: upper, by: step).map { elements[$0] } }
        return stride(from: upper - 1, through: lower, by: max(step, -count)).map { elements[$0] }
    }

    private mutating func number(
        _ argument: JSONPathArgument?, current: JSONValue
    ) throws(JSONPathError) -> Int? {
        switch argument {
        case nil: return nil
        case .index(let index): return index
        case .script(let expression):
            if let index = try evaluate(expression, current: current).intValue { return index }
        case .key: break
        }
        throw JSONPathError(message: "range: invalid token unexpected expression result. expected [int]")
    }

    // MARK: Single places

    private func member(_ key: String, of value: JSONValue, step: String = "key") throws(JSONPathError)
        -> JSONValue
    {
        guard let members = value.objectValue else { throw wrongTarget(step, value, "[map]") }
        guard let member = members[key] else {
            throw JSONPathError(message: "\(step): invalid token key '\(key)' not found")
        }
        return member
    }

    private func element(
        _ index: Int, of value: JSONValue, step: String = "index"
    ) throws(JSONPathError) -> JSONValue {
        guard let elements = value.arrayValue else { throw wrongTarget(step, value, "[array slice]") }
        let position = index < 0 ? index + elements.count : index
        guard elements.indices.contains(position) else {
            throw JSONPathError(message: "\(step): invalid token out of range")
        }
        return elements[position]
    }

    private func length(of value: JSONValue) throws(JSONPathError) -> JSONValue {
        switch value {
        case .array(let elements): return .int(elements.count)
        // Go counts the bytes of a string.
        case .string(let text): return .int(text.utf8.count)
        case .object(let members): return members["length"] ?? .int(members.count)
        default: throw wrongTarget("length", value, "[array map slice string]")
        }
    }

    private func wrongTarget(_ step: String, _ value: JSONValue, _ expected: String) -> JSONPathError {
        let kind =
            switch value {
            case .null: "nil"
            case .bool: "bool"
            case .int, .double: "float64"
            case .string: "string"
            case .array: "slice"
            case .object: "map"
            }
        return JSONPathError(message: "\(step): invalid token target. expected \(expected) got [\(kind)]")
    }
}

extension JSONValue {
    /// The elements of a list, or the members of an object in the order of their keys.
    fileprivate var children: [JSONValue]? {
        switch self {
        case .array(let elements): elements
        case .object(let members): members.sortedByKey.map(\.value)
        default: nil
        }
    }

    /// Whether a filter keeps an element for which its expression gives this.
    fileprivate var isTruthy: Bool {
        switch self {
        case .null: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .double(let number): number != 0
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        }
    }
}
