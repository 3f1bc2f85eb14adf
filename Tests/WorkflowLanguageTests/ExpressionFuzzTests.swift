// No text, however strange, makes an expression or a condition trap or run on.

import TestSupport
import Testing
import Text

@testable import WorkflowLanguage

@Suite("Expressions under random text")
struct ExpressionFuzzTests {
    private static let tokens = [
        "1", "0", "-1", "2.5", "9223372036854775807", "'a'", "\"\"", "`x`", "true", "false", "nil", "list",
        "text", "tasks",
        "workflow", "nothing", "words", "people", "now()", "duration('1h')", "x", "$env", "#", "#acc",
        "#index", ".name", "[", "]",
        "(", ")", "{", "}", ",", ":", ";", "?", "?.", "??", ".", "..", "|", "+", "-", "*", "/", "%", "**",
        "^", "==", "!=", "<",
        "<=", ">", ">=", "in", "not", "not in", "and", "or", "&&", "||", "!", "matches", "contains",
        "startsWith", "endsWith",
        "let x =", "if", "else", "map(", "filter(", "reduce(", "sortBy(", "groupBy(", "len(", "string(",
        "toJSON(", "fromJSON(",
        "split(", "replace(", "sprig.upper(", "sprig.list(", "sprig.repeat(", "repeat(", "concat(",
        "flatten(", "max(", "int(",
        "date(", "jsonpath(", "::", "//", "/*", "*/", "'", "\\", "é", "\u{0}", "0x", "1e", "1_", "&", "=",
        "=~", "<<", "~", "\n",
    ]

    private static func soup(_ generator: inout SeededGenerator) -> String {
        let count = Int.random(in: 1...24, using: &generator)
        let separator = Bool.random(using: &generator) ? " " : ""
        return (0..<count).map { _ in tokens.randomElement(using: &generator) ?? "" }.joined(
            separator: separator)
    }

    private static func bytes(_ generator: inout SeededGenerator) -> String {
        let count = Int.random(in: 0...40, using: &generator)
        let isASCII = Bool.random(using: &generator)
        let range: ClosedRange<UInt8> = isASCII ? 0x20...0x7E : 0...255
        return String(
            decoding: (0..<count).map { _ in UInt8.random(in: range, using: &generator) }, as: UTF8.self)
    }

    /// A text that the grammar accepts, of random operators and operands.
    private static func sentence(_ generator: inout SeededGenerator, depth: Int) -> String {
        let operands = [
            "1", "2.5", "'a'", "list", "text", "nothing", "yes", "half", "now()", "duration('1h')", "tasks",
            "{}", "[]",
        ]
        guard depth > 0 else { return operands.randomElement(using: &generator) ?? "1" }
        func part() -> String { sentence(&generator, depth: depth - 1) }
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: return "(\(part()))"
        case 1: return "[\(part()), \(part())]"
        case 2: return "{a: \(part())}"
        case 3: return "(\(part()) ? \(part()) : \(part()))"
        case 4: return "map(\(part()), {\(part())})"
        case 5: return "reduce([1, 2], concat([#acc], [\(part())]), \(part()))"
        case 6: return "(\(part())) | string()"
        case 7: return "get(\(part()), \(part()))"
        case 8: return "(\(part()))?.[\(part())]"
        case 9: return "toJson(\(part()))"
        default:
            let symbols = [
                "+", "-", "*", "/", "%", "**", "..", "==", "<", ">=", "in", "not in", "and", "or", "matches",
                "contains",
            ]
            return "(\(part())) \(symbols.randomElement(using: &generator) ?? "+") (\(part()))"
        }
    }

    @Test("Random text never traps and ends within its work", arguments: [1, 2, 3, 4] as [UInt64])
    func random(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var parsed = 0
        let environment = ExpressionEnvironment(variables: ExpressionSample.variables)
        for round in 0..<3_000 {
            let source: String
            switch round % 3 {
            case 0: source = Self.soup(&generator)
            case 1: source = Self.bytes(&generator)
            default: source = Self.sentence(&generator, depth: 3)
            }
            guard let expression = try? Expression(source) else { continue }
            parsed += 1
            var context = ExpressionSample.context(workLeft: 20_000)
            let value = try? expression.evaluate(environment, &context)
            #expect(context.workLeft >= 0 && context.workLeft <= 20_000, "seed \(seed): \(source)")
            if let value {
                var again = ExpressionSample.context(workLeft: 20_000)
                // A NaN is not even equal to itself, so the texts are compared.
                let second = try expression.evaluate(environment, &again)
                #expect(value.text == second.text, "seed \(seed): \(source)")
                #expect(again.workLeft == context.workLeft, "seed \(seed): \(source)")
            }
        }
        #expect(parsed > 900)
    }

    @Test("Random conditions and dependencies never trap", arguments: [5, 6, 7] as [UInt64])
    func conditions(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let pieces = [
            "a", "b.Succeeded", "C.Failed", "d.AllFailed", "x.Nope", "&&", "||", "!", "(", ")", "1", "2.5",
            "'q'", "==", "!=", "<",
            "=~", "in", ",", "+", "-", "**", "<<", "?", ":", "??", "~", "true", "false", "[z]", "\\", "\"",
            ".", "é", "&", "%", "0x1F",
        ]
        var results = 0
        for round in 0..<4_000 {
            var text = Self.bytes(&generator)
            if round % 2 == 0 {
                let count = Int.random(in: 1...12, using: &generator)
                text = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined(
                    separator: " ")
            }
            if (try? WhenExpression.evaluate(text)) != nil { results += 1 }
            if let depends = try? DependsExpression(text) {
                let first = try? depends.evaluate { name, _ in name.count % 2 == 0 }
                #expect(first == (try? depends.evaluate { name, _ in name.count % 2 == 0 }))
                #expect(depends.taskNames.isEmpty == depends.results.isEmpty)
                results += 1
            }
        }
        #expect(results > 50)
    }
}
