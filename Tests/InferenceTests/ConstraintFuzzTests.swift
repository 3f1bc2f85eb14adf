// Specifications by chance: whatever a request says, compiling it ends soon, with a constraint or with an
// error.

import Inference
import TestSupport
import Testing
import Text

@Suite("Constraint: specifications by chance")
struct ConstraintFuzzTests {
    private static let drawn = DrawnVocabulary(seed: 6)

    @Test("Patterns by chance are compiled or refused, and what is drawn matches", arguments: 0..<UInt64(60))
    func patterns(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "a", "b", "é", ".", "\\d", "\\w", "\\S", "[a-c]", "[^x]", "(", ")", "(?:", "|", "*", "+", "?",
            "{2}", "{0,3}",
            "{1,}", "^", "$", "\\", "[", "]", "{", "(?i)", "\\u00e9", "\\p{L}", "-", "(?=", "\\1", "😀", "\"",
        ]
        let pattern = (0..<Int.random(in: 1..<12, using: &generator)).map { _ in
            pieces.randomElement(using: &generator) ?? ""
        }.joined()
        do {
            let constraint = try CompiledConstraint(.regex(pattern), vocabulary: Self.drawn.vocabulary)
            let bytes = try #require(drawnText(constraint, Self.drawn, seed: seed, patience: 6), "\(pattern)")
            let text = try #require(String(validating: bytes, as: UTF8.self))
            if let expression = try? RegularExpression("\\A(?:\(pattern))\\z") {
                #expect(expression.matches(text), "\(pattern) \(text.debugDescription)")
            }
        } catch let error as ConstraintError {
            #expect(error.place == "regex" && !error.remedy.isEmpty)
        }
    }

    @Test(
        "Schemas by chance are compiled or refused, and what is drawn validates", arguments: 0..<UInt64(100))
    func schemas(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed &+ 1000)
        let schema = Self.schema(depth: 3, using: &generator)
        do {
            let constraint = try CompiledConstraint(
                .jsonSchema(schema.compactText), vocabulary: Self.drawn.vocabulary)
            let bytes = try #require(drawnText(constraint, Self.drawn, seed: seed, patience: 20))
            let text = String(decoding: bytes, as: UTF8.self)
            let isValid = SchemaOracle(root: schema).isValid(try OrderedJSON(parsing: text))
            #expect(isValid, "\(text) was drawn for \(schema.compactText)")
        } catch let error as ConstraintError {
            #expect(error.place.hasPrefix("#") && !error.remedy.isEmpty, "\(error)")
        }
    }

    private static func schema(depth: Int, using generator: inout SeededGenerator) -> OrderedJSON {
        var members: [OrderedJSON.Member] = []
        let kinds = ["string", "integer", "number", "object", "array", "boolean", "null"]
        let kind = kinds.randomElement(using: &generator) ?? "null"
        if Int.random(in: 0..<6, using: &generator) > 0 {
            members.append(.init(key: "type", value: .string(kind)))
        }
        for _ in 0..<Int.random(in: 0..<4, using: &generator) {
            let member = member(depth: depth, using: &generator)
            if !members.contains(where: { $0.key == member.key }) { members.append(member) }
        }
        return .object(members)
    }

    private static func member(depth: Int, using generator: inout SeededGenerator) -> OrderedJSON.Member {
        func number(_ range: Range<Int>) -> OrderedJSON { .int(Int.random(in: range, using: &generator)) }
        func list() -> OrderedJSON {
            .array(
                (0..<Int.random(in: 1..<4, using: &generator)).map { _ in
                    schema(depth: depth - 1, using: &generator)
                })
        }
        func named() -> OrderedJSON {
            .object(
                ["a", "b", "id"].shuffled(using: &generator).prefix(2).map { key in
                    .init(key: key, value: schema(depth: depth - 1, using: &generator))
                })
        }
        switch Int.random(in: 0..<(depth > 0 ? 22 : 12), using: &generator) {
        case 0: return .init(key: "minimum", value: number(-20..<20))
        case 1: return .init(key: "maximum", value: number(-5..<200))
        case 2:
            return .init(
                key: "exclusiveMinimum", value: .double(Double(Int.random(in: -9..<9, using: &generator)) / 4)
            )
        case 3: return .init(key: "multipleOf", value: number(1..<12))
        case 4: return .init(key: "minLength", value: number(0..<4))
        case 5: return .init(key: "maxLength", value: number(0..<6))
        case 6:
            return .init(
                key: "pattern",
                value: .string(["^a", "b$", "[0-9]", "^(a|b)*$"].randomElement(using: &generator) ?? ""))
        case 7:
            return .init(
                key: "enum", value: .array([.string("a"), .int(3), .null, .array([.int(1)]), .double(0.5)]))
        case 8: return .init(key: "const", value: .object([.init(key: "a", value: .int(1))]))
        case 9:
            return .init(
                key: "required",
                value: .array([.string(["a", "b", "c"].randomElement(using: &generator) ?? "a")]))
        case 10: return .init(key: "minItems", value: number(0..<3))
        case 11:
            return .init(
                key: "$ref",
                value: .string(["#", "#/properties/a", "#/items"].randomElement(using: &generator) ?? "#"))
        case 12: return .init(key: "maxItems", value: number(0..<4))
        case 13: return .init(key: "properties", value: named())
        case 14: return .init(key: "patternProperties", value: named())
        case 15: return .init(key: "additionalProperties", value: schema(depth: depth - 1, using: &generator))
        case 16: return .init(key: "items", value: schema(depth: depth - 1, using: &generator))
        case 17: return .init(key: "prefixItems", value: list())
        case 18: return .init(key: "anyOf", value: list())
        case 19: return .init(key: "allOf", value: list())
        case 20: return .init(key: "oneOf", value: list())
        default: return .init(key: "minProperties", value: number(0..<3))
        }
    }

    @Test("Texts that are no schemas, or not quite, are refused", arguments: 0..<UInt64(60))
    func damagedSchemas(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let all = SchemaCases.objects + SchemaCases.combinations + SchemaCases.recursion + SchemaCases.strings
        var bytes = Array((all.randomElement(using: &generator)?.schema ?? "").utf8)
        for _ in 0..<Int.random(in: 1..<4, using: &generator) {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            let other = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes[place] = bytes[other]
            case 1: bytes.removeSubrange(min(place, other)..<max(place, other))
            default: bytes.insert(contentsOf: bytes[min(place, other)..<max(place, other)], at: place)
            }
            if bytes.isEmpty { bytes = [UInt8(ascii: "{")] }
        }
        do {
            let specification = ConstraintSpecification.jsonSchema(String(decoding: bytes, as: UTF8.self))
            let constraint = try CompiledConstraint(specification, vocabulary: Self.drawn.vocabulary)
            let allowed = allowedTokens(constraint, constraint.start(), size: Self.drawn.tokens.count)
            #expect(!allowed.isEmpty)
        } catch {
            #expect(!error.problem.isEmpty && !error.place.isEmpty)
        }
    }

    @Test(
        "Schemas made to be large are refused or compiled soon",
        arguments: [
            #"{"type": "array", "items": {"type": "string"}, "minItems": 1000000}"#,
            #"{"type": "string", "pattern": "^.{0,5000}$", "maxLength": 100000}"#,
            #"{"type": "object", "additionalProperties": {"type": "object", "maxProperties": 100000}}"#,
            "{\"allOf\": ["
                + String(
                    repeating: "{\"anyOf\": [{\"maximum\": 1}, {\"minimum\": 2}, {\"pattern\": \"a\"}]},",
                    count: 20) + "true]}",
            String(repeating: "{\"items\":", count: 400) + "true" + String(repeating: "}", count: 400),
            String(repeating: "{\"allOf\":[", count: 200) + "{}" + String(repeating: "]}", count: 200),
            #"""
            {"type": "object", "patternProperties": {"a": {}, "b": {}, "c": {}, "d": {}, "e": {}, "f": {}}}
            """#,
            "{\"enum\": [" + (0..<5000).map { "\"value \($0)\"" }.joined(separator: ",") + "]}",
        ])
    func largeSchemas(schema: String) {
        do {
            let constraint = try CompiledConstraint(.jsonSchema(schema), vocabulary: Self.drawn.vocabulary)
            #expect(!constraint.mayEnd(constraint.start()))
        } catch {
            #expect(error.remedy.isEmpty == false)
        }
    }
}
