// Sprig's functions on lists. Values never change in place: each answers a new list.

import Text

enum SprigLists {
    static let signatures: [String: String] = {
        var signatures = [
            "list": "values...", "tuple": "values...", "concat": "lists...",
        ]
        let withMust = [
            "first": "list", "rest": "list", "last": "list", "initial": "list", "append": "list value",
            "push": "list value", "prepend": "list value", "reverse": "list", "uniq": "list",
            "without": "list values...", "has": "value list", "slice": "list [start] [end]",
            "chunk": "size list", "compact": "list",
        ]
        for (name, signature) in withMust {
            signatures[name] = signature
            signatures[SprigLists.must(name)] = signature
        }
        return signatures
    }()

    /// Sprig has most functions twice; the second raises what the first panics with, which is the same here.
    static func must(_ name: String) -> String { "must" + name.prefix(1).uppercased() + name.dropFirst() }

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "list", "tuple": return .array(call.arguments)
        case "concat":
            var result: [ExpressionValue] = []
            for index in call.arguments.indices {
                let list = try call.list(index)
                try call.spend(steps: list.count)
                result += list
            }
            return .array(result)
        case "has", "mustHas":
            let list = try call.list(1)
            try call.spend(walking: call.arguments[1])
            return .bool(list.contains(call.arguments[0]))
        case "chunk", "mustChunk": return .array(try chunks(&call))
        default: break
        }
        let list = try call.list(0)
        try call.spend(steps: list.count)
        switch call.name {
        case "first", "mustFirst": return list.first ?? .none
        case "last", "mustLast": return list.last ?? .none
        case "rest", "mustRest": return .array(Array(list.dropFirst()))
        case "initial", "mustInitial": return .array(list.dropLast())
        case "append", "mustAppend", "push", "mustPush": return .array(list + [call.arguments[1]])
        case "prepend", "mustPrepend": return .array([call.arguments[1]] + list)
        case "reverse", "mustReverse": return .array(list.reversed())
        case "compact", "mustCompact": return .array(list.filter { !SprigDefaults.isEmpty($0) })
        case "uniq", "mustUniq":
            try call.spend(walking: call.arguments[0])
            var seen: Set<ExpressionValue> = []
            return .array(list.filter { seen.insert($0).inserted })
        case "without", "mustWithout":
            for value in call.arguments { try call.spend(walking: value) }
            let omitted = Set(call.arguments.dropFirst())
            return .array(list.filter { !omitted.contains($0) })
        case "slice", "mustSlice": return try slice(call, of: list)
        default: throw call.error("is not implemented")
        }
    }

    /// From a start to an end that is left out. Bounds outside the list panic in Go and are an error here.
    private static func slice(
        _ call: SprigCall, of list: [ExpressionValue]
    ) throws(ExpressionError) -> ExpressionValue {
        if list.isEmpty { return .none }
        var (start, end) = (0, list.count)
        if let value = call.optional(1) { start = try call.castToInt(value) }
        if let value = call.optional(2) { end = try call.castToInt(value) }
        guard start >= 0, start <= end, end <= list.count else {
            throw call.error("\(start) to \(end) is outside the list's \(list.count) elements")
        }
        return .array(Array(list[start..<end]))
    }

    private static func chunks(_ call: inout SprigCall) throws(ExpressionError) -> [ExpressionValue] {
        let (size, list) = (try call.int(0), try call.list(1))
        guard size > 0 else { throw call.error("the size \(size) is not positive") }
        try call.spend(steps: list.count)
        return stride(from: 0, to: list.count, by: size).map { start in
            .array(Array(list[start...].prefix(size)))
        }
    }
}
