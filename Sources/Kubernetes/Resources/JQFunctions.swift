// The functions of jq that filters over objects of a cluster use.

import Text

enum JQFunctions {
    /// How many arguments each takes.
    static let arity: [String: Int] = [
        "length": 0, "keys": 0, "tostring": 0, "tonumber": 0, "tojson": 0, "fromjson": 0, "not": 0, "type": 0,
        "first": 0, "last": 0, "add": 0, "any": 0, "all": 0, "empty": 0, "sort": 0, "unique": 0, "reverse": 0,
        "min": 0, "max": 0, "to_entries": 0, "values": 0, "ascii_downcase": 0, "ascii_upcase": 0,
        "select": 1, "map": 1, "has": 1, "join": 1, "split": 1, "startswith": 1, "endswith": 1, "contains": 1,
        "sort_by": 1,
    ]

    static func call(_ name: String, _ arguments: [JQTerm], _ input: JSONValue) throws(JQError) -> [JSONValue]
    {
        guard let argument = arguments.first else {
            return name == "empty" ? [] : [try plain(name, input)]
        }
        switch name {
        case "select":
            return try JQEvaluator.values(of: argument, input).filter(JQEvaluator.isTrue).map { _ in input }
        case "map": return try JQEvaluator.values(of: .list(.pipe(.each(.identity), argument)), input)
        case "sort_by":
            let elements = try JQEvaluator.elements(input)
            var keyed: [(key: JSONValue, value: JSONValue)] = []
            for value in elements {
                keyed.append((.array(try JQEvaluator.values(of: argument, value)), value))
            }
            keyed.sort { JQOrder.compare($0.key, $1.key) < 0 }
            return [.array(keyed.map(\.value))]
        default:
            var results: [JSONValue] = []
            for value in try JQEvaluator.values(of: argument, input) {
                results.append(try with(value, name, input))
            }
            return results
        }
    }

    private static func with(_ value: JSONValue, _ name: String, _ input: JSONValue) throws(JQError) -> JSONValue {
        switch (name, input, value) {
        case ("has", .object(let members), .string(let key)): return .bool(members[key] != nil)
        case ("has", .array(let elements), .int(let index)): return .bool(elements.indices.contains(index))
        case ("join", .array(let elements), .string(let between)):
            return .string(elements.map { $0.scalarText ?? "" }.joined(separator: between))
        case ("split", .string(let text), .string(let between)):
            if text.isEmpty { return [] }
            if between.isEmpty { return .array(text.map { .string(String($0)) }) }
            return .array(pieces(of: text, between).map(JSONValue.string))
        case ("startswith", .string(let text), .string(let part)): return .bool(text.hasPrefix(part))
        case ("endswith", .string(let text), .string(let part)): return .bool(text.hasSuffix(part))
        case ("contains", _, _): return .bool(contains(input, value))
        default:
            throw JQError(
                description: "\(name) cannot be done with \(JQOrder.kind(input)) and \(JQOrder.kind(value))")
        }
    }

    private static func pieces(of text: String, _ between: String) -> [String] {
        var pieces: [String] = []
        var rest = Array(text.utf8)[...]
        let mark = Array(between.utf8)
        var piece: [UInt8] = []
        while !rest.isEmpty {
            if rest.starts(with: mark) {
                pieces.append(String(decoding: piece, as: UTF8.self))
                piece = []
                rest = rest.dropFirst(mark.count)
            } else {
                piece.append(rest.removeFirst())
            }
        }
        return pieces + [String(decoding: piece, as: UTF8.self)]
    }

    private static func contains(_ whole: JSONValue, _ part: JSONValue) -> Bool {
        switch (whole, part) {
        case (.string(let text), .string(let piece)):
            return piece.isEmpty || pieces(of: text, piece).count > 1
        case (.array(let elements), .array(let wanted)):
            return wanted.allSatisfy { one in elements.contains { contains($0, one) } }
        case (.object(let members), .object(let wanted)):
            return wanted.allSatisfy { key, value in members[key].map { contains($0, value) } ?? false }
        default: return whole == part
        }
    }

    private static func plain(_ name: String, _ input: JSONValue) throws(JQError) -> JSONValue {
        switch name {
        case "not": return .bool(!JQEvaluator.isTrue(input))
        case "type": return .string(JQOrder.kind(input))
        case "tostring": return .string(input.stringValue ?? input.compactText)
        case "tojson": return .string(input.compactText)
        case "values": return input
        case "length": return try length(input)
        case "add", "any", "all", "first", "last", "sort", "unique", "reverse", "min", "max":
            return try ofList(name, input)
        default: break
        }
        switch (name, input) {
        case ("keys", .object(let members)): return .array(members.keys.sorted().map(JSONValue.string))
        case ("keys", .array(let elements)): return .array(elements.indices.map(JSONValue.int))
        case ("to_entries", .object(let members)):
            return .array(members.sortedByKey.map { ["key": .string($0.key), "value": $0.value] })
        case ("tonumber", .int), ("tonumber", .double): return input
        case ("tonumber", .string(let text)):
            if let number = Int(text) { return .int(number) }
            if let number = Double(text) { return .double(number) }
        case ("fromjson", .string(let text)):
            if let value = try? JSONValue(parsingUTF8: Array(text.utf8)) { return value }
        case ("ascii_downcase", .string(let text)): return .string(text.lowercased())
        case ("ascii_upcase", .string(let text)): return .string(text.uppercased())
        default: break
        }
        throw JQError(description: "\(name) cannot be done with \(JQOrder.kind(input))")
    }

    private static func length(_ input: JSONValue) throws(JQError) -> JSONValue {
        switch input {
        case .null: return 0
        case .string(let text): return .int(text.unicodeScalars.count)
        case .array(let elements): return .int(elements.count)
        case .object(let members): return .int(members.count)
        case .int(let number): return .int(abs(number))
        case .double(let number): return .double(abs(number))
        case .bool: throw JQError(description: "boolean has no length")
        }
    }

    private static func ofList(_ name: String, _ input: JSONValue) throws(JQError) -> JSONValue {
        let elements = try JQEvaluator.elements(input)
        let sorted = { elements.sorted { JQOrder.compare($0, $1) < 0 } }
        switch name {
        case "any": return .bool(elements.contains(where: JQEvaluator.isTrue))
        case "all": return .bool(elements.allSatisfy(JQEvaluator.isTrue))
        case "first": return elements.first ?? .null
        case "last": return elements.last ?? .null
        case "reverse": return .array(elements.reversed())
        case "sort": return .array(sorted())
        case "unique":
            var unique: [JSONValue] = []
            for value in sorted() where unique.last != value { unique.append(value) }
            return .array(unique)
        case "min": return sorted().first ?? .null
        case "max": return sorted().last ?? .null
        default:
            var total = JSONValue.null
            for value in elements {
                total = try JQEvaluator.values(of: .sum(.literal(total), .literal(value)), .null).first ?? .null
            }
            return total
        }
    }
}
