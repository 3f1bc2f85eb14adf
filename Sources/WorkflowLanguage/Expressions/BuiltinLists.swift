// Functions of expressions that work on lists and maps.

import Text

enum ListFunctions {
    static let all: [Builtin] = [
        Builtin("len", 1...1, len), Builtin("first", 1...1, first), Builtin("last", 1...1, last),
        Builtin("get", 2...2, get), Builtin("take", 2...2, take), Builtin("reverse", 1...1, reverse),
        Builtin("concat", 1...(.max), concat), Builtin("flatten", 1...1, flatten),
        Builtin("uniq", 1...1, uniq),
        Builtin("sort", 1...2, sort), Builtin("keys", 1...1, keys), Builtin("values", 1...1, values),
        Builtin("toPairs", 1...1, toPairs), Builtin("fromPairs", 1...1, fromPairs),
    ]

    /// Of a string, the number of characters.
    private static func len(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        switch call[0] {
        case .array(let elements): return .int(elements.count)
        case .object(let members): return .int(members.count)
        case .string(let text):
            try context.spend(bytes: text.utf8.count)
            return .int(text.unicodeScalars.count)
        default: throw call.error("needs an array, a map or a string, not \(call[0].kindName)")
        }
    }

    private static func first(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        call[0] == .none ? .none : try call.list(0).first ?? .none
    }

    private static func last(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        call[0] == .none ? .none : try call.list(0).last ?? .none
    }

    /// The element or member, nil where there is none.
    private static func get(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        (try? call[0].element(call[1])) ?? .none
    }

    private static func take(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let elements = try call.list(0)
        let count = try call.int(1)
        guard count >= 0 else { throw call.error("cannot take \(count) elements") }
        try context.spend(steps: min(count, elements.count))
        return .array(Array(elements.prefix(count)))
    }

    private static func reverse(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let elements = try call.list(0)
        try context.spend(steps: elements.count)
        return .array(elements.reversed())
    }

    private static func concat(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var elements: [ExpressionValue] = []
        for index in call.arguments.indices {
            let more = try call.list(index)
            try context.spend(steps: more.count)
            elements += more
        }
        return .array(elements)
    }

    private static func flatten(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var flat: [ExpressionValue] = []
        var pending = Array(try call.list(0).reversed())
        while let value = pending.popLast() {
            try context.spend(steps: 1)
            if case .array(let elements) = value {
                try context.spend(steps: elements.count)
                pending += elements.reversed()
            } else {
                flat.append(value)
            }
        }
        return .array(flat)
    }

    private static func uniq(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        try context.spend(walking: call[0])
        var seen: Set<ExpressionValue> = []
        return .array(try call.list(0).filter { seen.insert($0.canonical).inserted })
    }

    private static func sort(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let elements = try call.list(0)
        let order = call.count > 1 ? call[1] : nil
        return .array(
            try sortedIndexes(elements, order: order, function: "sort", &context).map { elements[$0] })
    }

    /// The indexes of values in ascending or, if told so, descending order. Equal values keep their order.
    static func sortedIndexes(
        _ values: [ExpressionValue], order: ExpressionValue?, function: String,
        _ context: inout ExpressionContext
    ) throws(ExpressionError) -> [Int] {
        guard order == nil || order == .string("asc") || order == .string("desc") else {
            throw ExpressionError("\(function): the order must be \"asc\" or \"desc\"")
        }
        let levels = Int.bitWidth - values.count.leadingZeroBitCount
        try context.spend(steps: values.count * levels)
        // Neighbors that can be compared mean that all can: the kinds in one comparison are the same.
        for index in values.indices.dropFirst() {
            do {
                _ = try Operation.isLess(values[index - 1], values[index], .less)
            } catch {
                throw ExpressionError("\(function): \(error.message)")
            }
        }
        let isDescending = order == .string("desc")
        return values.indices.sorted { left, right in
            let (before, after) = isDescending ? (right, left) : (left, right)
            return (try? Operation.isLess(values[before], values[after], .less)) ?? false
        }
    }
}

// MARK: - Maps

extension ListFunctions {
    private static func keys(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .array(try members(call, &context).map { .string($0.key) })
    }

    private static func values(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .array(try members(call, &context).map(\.value))
    }

    private static func toPairs(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        .array(try members(call, &context).map { .array([.string($0.key), $0.value]) })
    }

    /// A map's members by their keys: Go's order is random, ours always the same.
    private static func members(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> [(key: String, value: ExpressionValue)] {
        let members = try call.object(0)
        try context.spend(bytes: 64, times: members.count)
        return members.sortedByKey
    }

    private static func fromPairs(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var members: [String: ExpressionValue] = [:]
        for element in try call.list(0) {
            try context.spend(steps: 1)
            guard case .array(let pair) = element, pair.count == 2, let key = pair[0].keyText else {
                throw call.error("each element must be a pair of a key and a value")
            }
            members[key] = pair[1]
        }
        return .object(members)
    }
}

extension ExpressionValue {
    /// The same for values that the language calls equal: floats without a fraction become integers.
    fileprivate var canonical: ExpressionValue {
        switch self {
        case .double(let number): Int(exactly: number).map(ExpressionValue.int) ?? self
        case .array(let elements): .array(elements.map(\.canonical))
        case .object(let members): .object(members.mapValues(\.canonical))
        case .time(let moment, _): .time(moment, .utc)
        default: self
        }
    }
}
