// Constrained output by regular expressions and lists of choices.

import Inference
import TestSupport
import Testing
import Text

@Suite("Constraint: patterns and choices")
struct ConstraintPatternTests {
    private static let drawn = DrawnVocabulary(seed: 2)

    @Test(
        "A pattern means the same as to the matcher, for the whole text",
        arguments: [
            ("", ["", "a"]),
            ("abc", ["abc", "ab", "abcd", "xabc"]),
            ("a|bc|", ["a", "bc", "", "b", "abc"]),
            ("(ab)*c+?", ["c", "ababcc", "abab", "abac"]),
            ("(?:a{2}|b{1,3}|c{2,})d?", ["aa", "bbbd", "ccccc", "a", "bbbb", "c", "aad"]),
            ("[a-c][^a-c]x?", ["ad", "aa", "é", "b日", "bzx"]),
            ("[\\w.+-]+@[\\w-]+\\.\\w{2,}", ["a.b@c-d.org", "a@b", "a@b.c", "@b.org", "x@y.zz"]),
            ("\\d{3}-\\s\\S", ["123- x", "12- x", "123-xx", "123-\tx"]),
            ("\\D\\W", ["a ", "1 ", "aa", "--"]),
            ("^start.*end$", ["startend", "start and end", "start\nend", "starten"]),
            (".", ["a", "é", "日", "😀", "\n", "", "ab"]),
            ("(?s:.)x", ["\nx", "ax", "x"]),
            ("[é-日]+", ["é", "日", "ñ", "e", "ééé"]),
            ("[\\x41-\\x43\\t\\u{1F600}]", ["B", "\t", "😀", "D"]),
            ("\\u0041\\.\\\\\\[\\{", ["A.\\[{", "A.\\[", "Ax\\[{"]),
            ("(?i)aBc[d-f]é", ["ABCDé", "abceé", "abcé", "abcfÉ"]),
            ("(?P<year>\\d{4})(?<rest>x)", ["2024x", "2024", "204x"]),
            ("\\p{Lu}\\p{Nd}+", ["A1", "É٣", "a1", "A"]),
            ("a{,2}", ["", "a", "aa", "aaa"]),
            ("x{a}|{1", ["x{a}", "{1", "x"]),
            ("(a|b)*abb", ["abb", "aababb", "ab", "abba"]),
            ("((a*)*b)*", ["", "aab", "b", "aa"]),
            ("[\\[\\]\\-^]", ["[", "]", "-", "^", "\\"]),
        ])
    func patternsAgree(pattern: String, texts: [String]) throws {
        let constraint = try CompiledConstraint(.regex(pattern), vocabulary: Self.drawn.vocabulary)
        let expression = try Self.oracle(pattern)
        for text in texts {
            #expect(accepts(constraint, text) == expression.matches(text), "\(text.debugDescription)")
        }
        for seed in 0..<UInt64(3) {
            let bytes = try #require(drawnText(constraint, Self.drawn, seed: seed, patience: 10))
            let text = try #require(String(validating: bytes, as: UTF8.self))
            #expect(expression.matches(text), "\(text.debugDescription) was drawn but does not match")
        }
    }

    /// The matcher's syntax is RE2's, which writes some things in another way.
    private static func oracle(_ pattern: String) throws -> RegularExpression {
        var pattern = pattern
        for (from, to) in [
            ("{,2}", "{0,2}"), ("\\u{1F600}", "\\x{1F600}"), ("\\u0041", "A"),
        ] {
            pattern = pattern.split(separator: from, omittingEmptySubsequences: false).joined(separator: to)
        }
        return try RegularExpression("\\A(?:\(pattern))\\z")
    }

    @Test(
        "What an automaton cannot do is refused by its name",
        arguments: [
            ("a(?=b)", "look-ahead"), ("a(?!b)", "negative look-ahead"), ("(?<=a)b", "look-behind"),
            ("(?<!a)b", "negative look-behind"), ("(a)\\1", "back-reference"),
            ("(?P<n>a)(?P=n)", "back-reference"),
            ("\\bword", "word boundary"), ("a*+", "possessive"), ("(?>a)", "atomic"),
            ("(a)(?(1)b)", "conditional"),
            ("[[:alpha:]]", "POSIX"), ("[]x]", "begins with ]"), ("(?x)a", "flag"), ("a(?i)b", "flags"),
            ("a**", "multiple repeat"),
            ("(a", "missing )"), ("a)", "unmatched )"), ("[a", "missing ]"), ("[b-a]", "wrong way round"),
            ("*a", "nothing to repeat"), ("a{3,2}", "minimum count"), ("a{99999}", "count above"),
            ("\\q", "escape"),
            ("\\", "backslash"), ("\\ud800", "surrogate"), ("\\p{Greek}", "property"), ("a^b", "no text"),
            ("(a{1000}){1000}", "too large"), ("(a|b)*a(a|b){30}", "too large"),
        ])
    func refusals(pattern: String, word: String) {
        let error = #expect(throws: ConstraintError.self) {
            try CompiledConstraint(.regex(pattern), vocabulary: Self.drawn.vocabulary)
        }
        #expect(error?.place == "regex")
        #expect(error?.problem.contains(word) == true, "\(error.map(String.init(describing:)) ?? "")")
    }

    @Test("What the dialects read differently is written so that it holds for all of them")
    func dialectsAgree() throws {
        let cases = [
            ("\\d", "٣", false), ("\\D", "٣", false), ("\\w", "é", false), ("\\W", "é", false),
            ("\\s", "\u{A0}", false), ("\\S", "\u{A0}", false), (".", "\u{2028}", false),
            ("[^\\W]", "é", false),
            ("[^\\d]", "x", true), ("(?i)k", "\u{212A}", false), ("(?i)[^k]", "\u{212A}", false),
            ("\\S", "é", true),
        ]
        for (pattern, text, isAccepted) in cases {
            let constraint = try CompiledConstraint(.regex(pattern), vocabulary: Self.drawn.vocabulary)
            #expect(accepts(constraint, text) == isAccepted, "\(pattern) \(text)")
        }
    }

    @Test("A choice is one of the texts, byte for byte")
    func choices() throws {
        let texts = ["yes", "no", "yes, please", "日本", "\u{E9}", ""]
        let constraint = try CompiledConstraint(.choice(texts), vocabulary: Self.drawn.vocabulary)
        for text in texts { #expect(accepts(constraint, text)) }
        for text in ["ye", "maybe", "yesno", "日", "e\u{301}"] { #expect(!accepts(constraint, text)) }
        var seen: Set<String> = []
        for seed in 0..<UInt64(40) {
            let bytes = try #require(drawnText(constraint, Self.drawn, seed: seed))
            seen.insert(String(decoding: bytes, as: UTF8.self))
        }
        #expect(seen.isSubset(of: texts))
        #expect(seen.count > 3)
        #expect(throws: ConstraintError.self) {
            try CompiledConstraint(.choice([]), vocabulary: Self.drawn.vocabulary)
        }
    }

    @Test("Specifications are equal only byte for byte")
    func specificationsCompareBytes() {
        #expect(ConstraintSpecification.choice(["\u{E9}"]) != .choice(["e\u{301}"]))
        #expect(ConstraintSpecification.regex("a") == .regex("a"))
        #expect(ConstraintSpecification.regex("a") != .jsonSchema("a"))
        #expect(Set<ConstraintSpecification>([.regex("\u{E9}"), .regex("e\u{301}"), .jsonObject]).count == 3)
    }
}
