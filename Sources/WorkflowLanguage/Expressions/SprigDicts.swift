// Sprig's functions on objects. Sprig's `set`, `unset` and `merge` change their argument; values here never
// change, so the result must be used. Keys come in their order, where Go's come in none.

import Text

enum SprigDicts {
    static let signatures: [String: String] = [
        "dict": "pairs...", "get": "object key", "set": "object key value", "unset": "object key",
        "hasKey": "object key", "pluck": "key objects...", "dig": "key keys... default object",
        "keys": "objects...", "pick": "object keys...", "omit": "object keys...", "values": "object",
        "merge": "object objects...", "mustMerge": "object objects...",
        "mergeOverwrite": "object objects...", "mustMergeOverwrite": "object objects...",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        for value in call.arguments {
            if case .object(let members) = value { try call.spend(steps: members.count) }
        }
        switch call.name {
        case "dict": return .object(try made(&call))
        case "get": return try call.object(0)[call.string(1)] ?? .string("")
        case "hasKey": return .bool(try call.object(0)[call.string(1)] != nil)
        case "set":
            var members = try call.object(0)
            members[try call.string(1)] = call.arguments[2]
            return .object(members)
        case "unset":
            var members = try call.object(0)
            members[try call.string(1)] = nil
            return .object(members)
        case "pluck":
            let key = try call.string(0)
            var found: [ExpressionValue] = []
            for index in call.arguments.indices.dropFirst() {
                if let value = try call.object(index)[key] { found.append(value) }
            }
            return .array(found)
        case "dig": return try dug(call)
        case "keys":
            var keys: [ExpressionValue] = []
            for index in call.arguments.indices {
                keys += try call.object(index).sortedByKey.map { .string($0.key) }
            }
            return .array(keys)
        case "values":
            return .array(try call.object(0).sortedByKey.map(\.value))
        case "pick", "omit":
            let members = try call.object(0)
            var keys: Set<String> = []
            for index in call.arguments.indices.dropFirst() { keys.insert(try call.string(index)) }
            let picks = call.name == "pick"
            return .object(members.filter { keys.contains($0.key) == picks })
        case "merge", "mustMerge": return .object(try merged(&call, overwriting: false))
        case "mergeOverwrite", "mustMergeOverwrite": return .object(try merged(&call, overwriting: true))
        default: throw call.error("is not implemented")
        }
    }

    /// Keys and values by turns; a last key without a value gets the empty string.
    private static func made(_ call: inout SprigCall) throws(ExpressionError) -> [String: ExpressionValue] {
        var members: [String: ExpressionValue] = [:]
        for index in stride(from: 0, to: call.arguments.count, by: 2) {
            members[try call.display(call.arguments[index])] = call.optional(index + 1) ?? .string("")
        }
        return members
    }

    /// Follows keys through nested objects; the default for a key that is absent or nil.
    private static func dug(_ call: SprigCall) throws(ExpressionError) -> ExpressionValue {
        let last = call.arguments.count - 1
        var value = ExpressionValue.object(try call.object(last))
        for index in 0..<last - 1 {
            let key = try call.string(index)
            guard case .object(let members) = value else {
                throw call.error(
                    "the value above key \"\(key)\" is \(SprigCall.describe(value)), not an object")
            }
            guard let next = members[key], next != .none else { return call.arguments[last - 1] }
            value = next
        }
        return value
    }

    private static func merged(
        _ call: inout SprigCall, overwriting: Bool
    ) throws(ExpressionError) -> [String: ExpressionValue] {
        var result = try call.object(0)
        for index in call.arguments.indices.dropFirst() {
            _ = try call.object(index)
            try call.spend(walking: call.arguments[index])
            merge(try call.object(index), into: &result, overwriting: overwriting)
        }
        return result
    }

    /// Nested objects are merged too. As in sprig, an empty value gives way to any, and never overwrites.
    private static func merge(
        _ source: [String: ExpressionValue], into target: inout [String: ExpressionValue], overwriting: Bool
    ) {
        for (key, value) in source {
            let present = target[key]
            if case .object(let members) = value, case .object(var inner)? = present {
                merge(members, into: &inner, overwriting: overwriting)
                target[key] = .object(inner)
            } else if present.map(SprigDefaults.isEmpty) ?? true
                || overwriting && !SprigDefaults.isEmpty(value)
            {
                target[key] = value
            }
        }
    }
}
