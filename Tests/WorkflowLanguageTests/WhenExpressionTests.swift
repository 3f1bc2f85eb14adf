// The conditions of `when`, as govaluate and Argo's use of it have them.

import Testing
import Text

@testable import WorkflowLanguage

@Suite("When")
struct WhenExpressionTests {
    @Test(
        "A condition holds or does not",
        arguments: [
            ("", true), ("  ", true), ("true", true), ("false", false), ("heads == heads", true),
            ("heads == tails", false),
            ("foo != bar", true), ("'heads' == heads", true), ("\"a b\" == 'a b'", true),
            ("'it\\'s' == \"it's\"", true),
            ("1 == 1.0", true), ("1 == '1'", false), ("1 != '1'", true), ("5 > 3", true),
            ("0x10 == 16", true), ("10 > 9", true),
            ("'10' > '9'", false), ("apple < banana", true), ("b >= b && b <= b", true), ("a > b", false),
            ("heads == heads && 1 == 2", false), ("heads == tails || 1 < 2", true), ("!false", true),
            ("!(a == b)", true),
            ("!true || true", true), ("true || true && false", true), ("false && 1 < a", false),
            ("true || 1 < a", true),
            ("abc =~ '^a.c$'", true), ("abc !~ \"^x\"", true), ("abc =~ b", true), ("x in (x, y)", true),
            ("z in (x, y)", false),
            ("1 in (1, 2)", true), ("1 in ('1', 2)", false), ("x in (x)", true), ("x IN (y, x)", true),
            ("x in ()", false),
            ("\"test\" in (\"always\",\"test\")", true), ("(\"always\",\"\") == 1", false),
            ("1 + 2 * 3 == 7", true),
            ("(1 + 2) * 3 == 9", true), ("7 % 4 == 3", true), ("2 ** 3 == 8", true), ("10 / 4 == 2.5", true),
            ("2024-01-01 == 2022", true), ("-2 ** 2 == 4", true), ("-1 < 0", true), ("5 & 3 == 1", true),
            ("5 | 3 == 7", true),
            ("5 ^ 3 == 6", true), ("1 << 4 == 16", true), ("16 >> 2 == 4", true), ("~0 == -1", true),
            ("1 << 70 == 0", true),
            ("true ? true : false", true), ("false ? true : false", false), ("(1 > 2 ? a : b) == b", true),
            ("(false ? 1) ?? true", true), ("a + b == ab", true), ("a + 1 == a1", true),
            ("1 + 2 + a == '3a'", true),
            ("foo\\-bar == 'foo-bar'", true), ("[foo-bar] == 'foo-bar'", true), ("foo_1 == 'foo_1'", true),
            ("größe == größe", true),
            ("true == true", true), ("true == 'true'", false), ("a==b||c==c", true), ("a!=b&&!(c!=c)", true),
        ])
    func conditions(text: String, holds: Bool) throws {
        #expect(try WhenExpression.evaluate(text) == holds)
    }

    @Test(
        "A mistake is explained with the text and the hint",
        arguments: [
            ("heads == @tails", "Invalid token: '@'"),
            ("foo-bar != x", "Value 'foo' cannot be used with the modifier '-'"),
            ("a b == c", "unexpected 'b' after 'a'"), (" == foo", "a value is missing before '=='"),
            ("foo ==", "a value is missing after '=='"),
            ("1 < a", "Value 'a' cannot be used with the comparator '<'"),
            ("a < 1", "Value 'a' cannot be used with the comparator '<'"),
            ("(a == b", "Unbalanced parenthesis"),
            ("a == b)", "unexpected ')'"), ("'abc == d", "unclosed text"), ("[abc == d", "unclosed bracket"),
            ("data.csv == data.csv", "has a dot"), ("1.2.3 == 4", "'1.2.3' is not a number"),
            ("5abc == x", "unexpected 'abc' after '5'"),
            ("a && true", "it is not a bool"), ("!a", "cannot be used with the prefix '!'"),
            ("-a == b", "prefix '-'"),
            ("a =~ '('", "invalid regular expression"),
            (String(repeating: "a", count: 10_000) + " =~ '((a{100}){100})'", "too long for this pattern"),
            ("1 =~ a", "needs a text and a pattern"), ("a ? 1 : 2", "it is not a bool"),
            ("a/b == c", "modifier '/'"), ("_a == b", "Invalid token: '_'"),
            ("{{steps.a}} == b", "Invalid token: '{{'"),
            (String(repeating: "(", count: 10_000), "levels deep"),
            (String(repeating: "!", count: 10_000) + "true", "levels deep"),
        ])
    func mistakes(text: String, message: String) {
        let error = #expect(throws: ExpressionError.self) { try WhenExpression.evaluate(text) }
        let shown = error?.message ?? ""
        #expect(shown.hasPrefix("Invalid 'when' expression '\(text)': "))
        #expect(shown.contains(message), "\(shown)")
        #expect(shown.hasSuffix("(hint: try wrapping the affected expression in quotes (\"))"))
    }

    @Test(
        "A result that is no boolean is an error",
        arguments: [("1 + 1", "2"), ("foo", "foo"), ("(a, b)", "[a b]"), ("()", "[]")])
    func notBoolean(text: String, result: String) {
        let error = #expect(throws: ExpressionError.self) { try WhenExpression.evaluate(text) }
        #expect(
            error?.message == "Invalid 'when' expression '\(text)': it gives \(result), not true or false")
    }

    @Test("Without the rule of bare words a word is an error")
    func bareWords() throws {
        #expect(try WhenExpression.evaluate("'a' == 'a' && 1 < 2", bareWordsAreStrings: false))
        let error = #expect(throws: ExpressionError.self) {
            try WhenExpression.evaluate("foo == 'foo'", bareWordsAreStrings: false)
        }
        #expect(error?.message.contains("No parameter 'foo' found") == true)
    }

    @Test("A condition may be parsed without being evaluated")
    func parsing() throws {
        #expect(try WhenExpression("1 < 2").evaluate())
        #expect(throws: ExpressionError.self) { try WhenExpression("a b") }
    }

    @Test("Long conditions are no problem")
    func longConditions() throws {
        #expect(
            try WhenExpression.evaluate("a == b" + String(repeating: " || a == b", count: 20_000)) == false)
        let words = (0..<20_000).map { "w\($0)" }.joined(separator: ", ")
        #expect(try WhenExpression.evaluate("w19999 in (\(words))"))
    }
}
