// The part of the jq language that `valueFrom.jqFilter` needs: paths, pipes, alternatives, comparisons, lists,
// objects and the usual functions. What is not understood is refused when the template is read.

package import Text

/// Why a filter was refused or failed.
package struct JQError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

indirect enum JQTerm: Sendable {
    case identity
    case literal(JSONValue)
    case member(JQTerm, JQTerm)
    case each(JQTerm)
    case slice(JQTerm, Int?, Int?)
    /// Errors in it give nothing.
    case attempt(JQTerm)
    case pipe(JQTerm, JQTerm)
    case both(JQTerm, JQTerm)
    case alternative(JQTerm, JQTerm)
    case compare(JQTerm, String, JQTerm)
    case all(JQTerm, JQTerm)
    case any(JQTerm, JQTerm)
    case sum(JQTerm, JQTerm)
    case difference(JQTerm, JQTerm)
    case list(JQTerm?)
    case object([(String, JQTerm)])
    case call(String, [JQTerm])
}

package struct JQFilter: Sendable {
    private static let lengthLimitBytes = 16 << 10
    /// More values than this no filter may give.
    static let valueLimit = 100_000

    private let term: JQTerm

    package init(_ text: String) throws(JQError) {
        guard text.utf8.count <= Self.lengthLimitBytes else {
            throw JQError(description: "the filter is longer than \(Self.lengthLimitBytes >> 10) KiB")
        }
        var parser = try JQParser(text)
        term = try parser.parse()
    }

    /// All values that the filter gives, in order.
    package func values(of input: JSONValue) throws(JQError) -> [JSONValue] {
        try JQEvaluator.values(of: term, input)
    }

    /// As `jq -r` prints them: texts as they are, others as JSON, a line each.
    package func text(of input: JSONValue) throws(JQError) -> String {
        try values(of: input).map { $0.stringValue ?? $0.compactText }.joined(separator: "\n")
    }
}

enum JQEvaluator {
    static func values(of term: JQTerm, _ input: JSONValue) throws(JQError) -> [JSONValue] {
        switch term {
        case .identity: return [input]
        case .literal(let value): return [value]
        case .member(let base, let key):
            let keys = try values(of: key, input)
            return try map(try values(of: base, input)) { value throws(JQError) in
                try keys.map { key throws(JQError) in try member(key, of: value) }
            }
        case .each(let base): return try map(try values(of: base, input), elements)
        case .slice(let base, let from, let to):
            return try values(of: base, input).map { value throws(JQError) in try slice(value, from, to) }
        case .attempt(let inner): return (try? values(of: inner, input)) ?? []
        case .pipe(let first, let then):
            return try map(try values(of: first, input)) { value throws(JQError) in try values(of: then, value) }
        case .both(let left, let right): return try values(of: left, input) + values(of: right, input)
        case .alternative(let left, let right):
            let found = ((try? values(of: left, input)) ?? []).filter(isTrue)
            return found.isEmpty ? try values(of: right, input) : found
        case .compare(let left, let sign, let right):
            return try pairs(left, right, input).map { .bool(JQOrder.holds($0, sign, $1)) }
        case .all(let left, let right):
            return try pairs(left, right, input).map { .bool(isTrue($0) && isTrue($1)) }
        case .any(let left, let right):
            return try pairs(left, right, input).map { .bool(isTrue($0) || isTrue($1)) }
        case .sum(let left, let right):
            return try pairs(left, right, input).map { pair throws(JQError) in try sum(pair.0, pair.1) }
        case .difference(let left, let right):
            return try pairs(left, right, input).map { pair throws(JQError) in try difference(pair.0, pair.1) }
        case .list(let inner):
            return [.array(try inner.map { term throws(JQError) in try values(of: term, input) } ?? [])]
        case .object(let members): return try objects(members[...], input)
        case .call(let name, let arguments): return try JQFunctions.call(name, arguments, input)
        }
    }

    static func isTrue(_ value: JSONValue) -> Bool { value != .null && value != .bool(false) }

    private static func map(
        _ list: [JSONValue], _ body: (JSONValue) throws(JQError) -> [JSONValue]
    ) throws(JQError) -> [JSONValue] {
        var results: [JSONValue] = []
        for value in list {
            results += try body(value)
            guard results.count <= JQFilter.valueLimit else {
                throw JQError(description: "the filter gives more than \(JQFilter.valueLimit) values")
            }
        }
        return results
    }

    private static func pairs(
        _ left: JQTerm, _ right: JQTerm, _ input: JSONValue
    ) throws(JQError) -> [(JSONValue, JSONValue)] {
        let rights = try values(of: right, input)
        let lefts = try values(of: left, input)
        return rights.flatMap { right in lefts.map { ($0, right) } }
    }

    private static func member(_ key: JSONValue, of value: JSONValue) throws(JQError) -> JSONValue {
        switch (value, key) {
        case (.null, _): return .null
        case (.object(let members), .string(let name)): return members[name] ?? .null
        case (.array(let elements), _):
            guard let index = key.intValue else { break }
            let place = index < 0 ? elements.count + index : index
            return elements.indices.contains(place) ? elements[place] : .null
        default: break
        }
        throw JQError(description: "\(JQOrder.kind(value)) has no place \(key.compactText)")
    }

    static func elements(_ value: JSONValue) throws(JQError) -> [JSONValue] {
        switch value {
        case .array(let elements): return elements
        case .object(let members): return members.sortedByKey.map(\.value)
        default: throw JQError(description: "\(JQOrder.kind(value)) has no elements")
        }
    }

    private static func slice(_ value: JSONValue, _ from: Int?, _ to: Int?) throws(JQError) -> JSONValue {
        func bounds(_ count: Int) -> Range<Int> {
            func place(_ index: Int) -> Int { min(max(0, index < 0 ? count + index : index), count) }
            let start = place(from ?? 0)
            return start..<max(start, place(to ?? count))
        }
        switch value {
        case .null: return .null
        case .array(let elements): return .array(Array(elements[bounds(elements.count)]))
        case .string(let text):
            let scalars = Array(text.unicodeScalars)
            var part = String.UnicodeScalarView()
            part.append(contentsOf: scalars[bounds(scalars.count)])
            return .string(String(part))
        default: throw JQError(description: "\(JQOrder.kind(value)) cannot be cut")
        }
    }

    private static func sum(_ left: JSONValue, _ right: JSONValue) throws(JQError) -> JSONValue {
        switch (left, right) {
        case (.null, _): return right
        case (_, .null): return left
        case (.string(let one), .string(let two)): return .string(one + two)
        case (.array(let one), .array(let two)): return .array(one + two)
        case (.object(let one), .object(let two)): return .object(one.merging(two) { $1 })
        default: return try number(left, right, "added") { $0 + $1 }
        }
    }

    private static func difference(_ left: JSONValue, _ right: JSONValue) throws(JQError) -> JSONValue {
        if case .array(let one) = left, case .array(let two) = right {
            return .array(one.filter { !two.contains($0) })
        }
        return try number(left, right, "subtracted") { $0 - $1 }
    }

    private static func number(
        _ left: JSONValue, _ right: JSONValue, _ verb: String, _ body: (Double, Double) -> Double
    ) throws(JQError) -> JSONValue {
        guard let one = left.doubleValue, let two = right.doubleValue else {
            throw JQError(
                description: "\(JQOrder.kind(left)) and \(JQOrder.kind(right)) cannot be \(verb)")
        }
        let result = body(one, two)
        return Int(exactly: result).map(JSONValue.int) ?? .double(result)
    }

    private static func objects(
        _ members: ArraySlice<(String, JQTerm)>, _ input: JSONValue
    ) throws(JQError) -> [JSONValue] {
        guard let (name, term) = members.first else { return [.object([:])] }
        let rest = try objects(members.dropFirst(), input)
        return try map(try values(of: term, input)) { value throws(JQError) in
            rest.map { other in .object((other.objectValue ?? [:]).merging([name: value]) { first, _ in first }) }
        }
    }
}

/// How jq orders values: null, false, true, numbers, texts, lists, objects.
enum JQOrder {
    static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    static func holds(_ left: JSONValue, _ sign: String, _ right: JSONValue) -> Bool {
        let order = compare(left, right)
        return switch sign {
        case "==": order == 0
        case "!=": order != 0
        case "<": order < 0
        case "<=": order <= 0
        case ">": order > 0
        default: order >= 0
        }
    }

    /// Below, at or above zero.
    static func compare(_ left: JSONValue, _ right: JSONValue) -> Int {
        let (one, two) = (rank(left), rank(right))
        if one != two { return one < two ? -1 : 1 }
        switch (left, right) {
        case (.string(let one), .string(let two)): return one == two ? 0 : one < two ? -1 : 1
        case (.array(let one), .array(let two)):
            for (left, right) in zip(one, two) {
                let order = compare(left, right)
                if order != 0 { return order }
            }
            return one.count - two.count
        case (.object, .object): return left == right ? 0 : left.compactText < right.compactText ? -1 : 1
        default:
            let (one, two) = (left.doubleValue ?? 0, right.doubleValue ?? 0)
            return one == two ? 0 : one < two ? -1 : 1
        }
    }

    private static func rank(_ value: JSONValue) -> Int {
        switch value {
        case .null: 0
        case .bool(false): 1
        case .bool(true): 2
        case .int, .double: 3
        case .string: 4
        case .array: 5
        case .object: 6
        }
    }
}
