// Regular expressions: the language, the choice among matches, and linear time.

import TestSupport
import Testing
import Text

@Suite("Regular expressions")
struct RegularExpressionTests {
    /// The texts of the first match's groups; groups that took no part are nil.
    static func groups(_ pattern: String, _ text: String) throws -> [String?]? {
        let bytes = Array(text.utf8)
        return try RegularExpression(pattern).firstMatch(in: text)?.groups.map { range in
            range.map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    @Test(
        "The leftmost match is found, and of those the preferred one",
        arguments: [
            ("", "abc", [""]), ("b", "abc", ["b"]), ("a|ab", "ab", ["a"]),
            ("(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "a", "bcd", ""]), ("a+", "baaa", ["aaa"]),
            ("a+?", "baaa", ["a"]), ("a*", "baaa", [""]), ("(a*)(b?)", "aab", ["aab", "aa", "b"]),
            ("x(a)?y", "xy", ["xy", nil]), ("(a)|(b)", "b", ["b", nil, "b"]), ("a{2}", "aaa", ["aa"]),
            ("a{2,}", "aaa", ["aaa"]), ("a{1,2}?", "aaa", ["a"]), ("a{,2}", "a{,2}", ["a{,2}"]),
            ("x{", "x{", ["x{"]), ("(ab)+", "ababa", ["abab", "ab"]),
            ("^a", "ba", nil), ("^b", "ba", ["b"]), ("a$", "ba", ["a"]), ("a$", "ba\n", nil),
            ("(?m)^b$", "a\nb\nc", ["b"]), (#"\Aab\z"#, "ab", ["ab"]), (#"\bfoo\b"#, "a foo b", ["foo"]),
            (#"\bfoo\b"#, "afoo", nil), (#"\Boo"#, "foo", ["oo"]),
            (".", "\n", nil), ("(?s).", "\n", ["\n"]), ("a.c", "aéc", ["aéc"]), ("[a-c]+", "xabcd", ["abc"]),
            ("[^a-c]+", "abxyc", ["xy"]), ("[]a]+", "]a", ["]a"]), ("[^]a]", "]ab", ["b"]),
            ("[a-]+", "a-b", ["a-"]), (#"[\d.]+"#, "v1.2", ["1.2"]), (#"\d+\D\w\W\s\S"#, "12x_ - y", nil),
            (#"\d+\D\w\W\s\S"#, "12x_-  y", nil), (#"\d\D\w\W\s\S"#, "1x_- y", ["1x_- y"]),
            ("[[:alpha:]]+", "12ab3", ["ab"]), ("[[:^alpha:]]+", "ab12c", ["12"]),
            ("[[:word:]-]+", "!a_1-!", ["a_1-"]), (#"\pL+"#, "1éß2", ["éß"]),
            (#"\p{Lu}\p{Ll}"#, "aÉé", ["Éé"]), (#"\PL"#, "é1", ["1"]), (#"[^\pL]"#, "é1", ["1"]),
            (#"\p{^Lu}"#, "Aa", ["a"]),
            ("(?i)straße", "STRAßE", ["STRAßE"]), ("(?i)é", "É", ["É"]), ("(?i)[a-c]+", "xABc", ["ABc"]),
            ("(?i)k", "\u{212A}", ["\u{212A}"]), ("(?i)[^a]", "A", nil), ("a(?i)b", "aB", ["aB"]),
            ("a(?i:b)c", "aBC", nil), ("(?i-s)A.", "a\n", nil), ("(?U)a+", "aaa", ["a"]),
            ("(?U)a+?", "aaa", ["aaa"]),
            (#"\Qa.b\E+"#, "a.bb", ["a.bb"]), (#"\Q*"#, "a*", ["*"]),
            (#"\x41\x{1F600}\101\0"#, "A😀A\u{0}", ["A😀A\u{0}"]), (#"\.\*\-\/"#, ".*-/", [".*-/"]),
            ("(?P<y>\\d+)-(?<m>\\d+)", "2026-07", ["2026-07", "2026", "07"]), ("(?:a|b)+", "abab", ["abab"]),
            ("(|a)*", "aa", ["", ""]), ("(|a)+", "aa", ["", ""]), ("(a*)*", "b", ["", ""]),
            ("(a|b)*", "abx", ["ab", "b"]), ("(a?)*?b", "aab", ["aab", "a"]), ("", "", [""]),
            ("^*", "a", [""]),
            ("😀+", "a😀😀", ["😀😀"]), ("é", "e\u{301}", nil),
        ] as [(String, String, [String?]?)])
    func firstMatch(pattern: String, text: String, groups: [String?]?) throws {
        #expect(try Self.groups(pattern, text) == groups)
        #expect(try RegularExpression(pattern).matches(text) == (groups != nil))
    }

    @Test(
        "What cannot be matched in linear time, or is no pattern, is refused",
        arguments: [
            "(", ")", "a)", "(a", "[", "[a", "[z-a]", "*", "+a", "a**", "a*+", "a{2}{3}", "a{1001}", "a{2,1}",
            "\\", "\\1", "(a)\\1", "\\8", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?z)", "(?", "(?i",
            "(?P<n", "(?P<>a)", "(?P<n>a)(?P<n>b)", "(?P=n)", "\\p{Greek}x\\p{No_Such}", "\\pX", "\\p{L",
            "[[:nope:]]", "\\x{110000}", "\\xZ", "\\y", "\\Z", "\\C", "(?-)", "|*", "((a{1000}){1000}){1000}",
            "(((){1000}){1000}){1000}", "[a-\\d]",
        ])
    func refuses(pattern: String) {
        let error = #expect(throws: RegularExpressionError.self) { try RegularExpression(pattern) }
        #expect(error?.message.isEmpty == false)
    }

    @Test("Too long or too deep patterns are refused")
    func limits() {
        #expect(throws: RegularExpressionError.self) {
            try RegularExpression(String(repeating: "a", count: 10_001))
        }
        #expect(throws: RegularExpressionError.self) {
            try RegularExpression(String(repeating: "(", count: 5_000) + String(repeating: ")", count: 5_000))
        }
        #expect(throws: RegularExpressionError.self) {
            try RegularExpression(String(repeating: "()", count: 4_999))
        }
    }

    @Test("Deeply nested groups work up to the limit")
    func nesting() throws {
        let pattern = String(repeating: "(", count: 200) + "a" + String(repeating: ")", count: 200)
        #expect(try RegularExpression(pattern).firstMatch(in: "ba")?.groups.last == 1..<2)
    }

    @Test("All matches follow each other without overlap")
    func allMatches() throws {
        func ranges(_ pattern: String, _ text: String, limit: Int = .max) throws -> [Range<Int>] {
            try RegularExpression(pattern).allMatches(in: text, limit: limit).map(\.range)
        }
        #expect(try ranges("a+", "aabaaa") == [0..<2, 3..<6])
        #expect(try ranges("a*", "baac") == [0..<0, 1..<3, 4..<4])
        #expect(try ranges("", "é") == [0..<0, 2..<2])
        #expect(try ranges("a", "aaa", limit: 2) == [0..<1, 1..<2])
        #expect(try ranges(#"\b"#, "ab c") == [0..<0, 2..<2, 3..<3, 4..<4])
        #expect(try ranges("^a", "aaa") == [0..<1])
    }

    @Test(
        "Replacing expands groups",
        arguments: [
            ("a(x*)b", "-ab-axxb-", "$1W", "---"), ("a(x*)b", "-ab-axxb-", "${1}W", "-W-xxW-"),
            ("(?P<n>x+)", "axx", "<$n$$>", "a<xx$>"), ("a", "banana", "", "bnn"), ("", "ab", "-", "-a-b-"),
            ("a*", "baac", "x", "xbxcx"), ("a", "a", "$", "$"), ("a", "a", "${", "${"), ("a", "a", "$9", ""),
            ("b", "aaa", "x", "aaa"), ("(a)(b)?", "a", "[$2]", "[]"),
        ])
    func replaces(pattern: String, text: String, template: String, result: String) throws {
        #expect(try RegularExpression(pattern).replacingAll(in: text, with: template) == result)
    }

    @Test("A literal replacement is taken as it is")
    func replacesLiterally() throws {
        #expect(try RegularExpression("a").replacingAll(in: "banana", literal: "$1") == "b$1n$1n$1")
    }

    @Test(
        "Splitting follows Go",
        arguments: [
            ("a", "banana", -1, ["b", "n", "n", ""]), ("a", "banana", 0, []), ("a", "banana", 1, ["banana"]),
            ("a", "banana", 2, ["b", "nana"]), ("z+", "pizza", -1, ["pi", "a"]),
            ("", "abc", -1, ["a", "b", "c"]), ("a", "", -1, [""]), (",", "a,b", 10, ["a", "b"]),
        ])
    func splits(pattern: String, text: String, limit: Int, pieces: [String]) throws {
        #expect(try RegularExpression(pattern).split(text, limit: limit) == pieces)
    }

    @Test("Groups have the names the pattern gives them")
    func names() throws {
        #expect(try RegularExpression("(a)(?P<x>b)(?<y1>c)(?:d)").names == [nil, nil, "x", "y1"])
    }

    @Test("Patterns that ruin backtracking matchers take linear time")
    func linearTime() throws {
        let text = String(repeating: "a", count: 2_000)
        #expect(try !RegularExpression("(a*)*b").matches(text))
        #expect(try !RegularExpression("(a|aa)+$x").matches(text))
        #expect(try RegularExpression("(a?){200}a{200}").matches(String(repeating: "a", count: 200)))
    }

    @Test("A backtracking matcher finds the same", arguments: 0..<100 as Range<UInt64>)
    func agreesWithBacktracking(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<30 {
            let tree = OraclePattern.random(depth: 4, using: &generator)
            let pattern = tree.text
            let expression = try RegularExpression(pattern)
            for _ in 0..<10 {
                let count = Int.random(in: 0..<8, using: &generator)
                let text = (0..<count).map { _ in ["a", "b", "c"].randomElement(using: &generator) ?? "a" }
                    .joined()
                let expected = tree.firstMatch(in: Array(text.utf8))
                let found = expression.firstMatch(in: text)?.range
                #expect(found == expected, "pattern \(pattern), text \(text)")
                #expect(expression.matches(text) == (expected != nil))
            }
        }
    }

    @Test("Random patterns are refused or work, and never trap", arguments: 0..<50 as Range<UInt64>)
    func randomPatterns(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("ab()[]{}|*+?^$.\\-:,1239PpLdwsbBAzQExi<>é😀\n".unicodeScalars)
        for _ in 0..<200 {
            var pattern = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<14, using: &generator) {
                pattern.append(alphabet.randomElement(using: &generator) ?? "a")
            }
            guard let expression = try? RegularExpression(String(pattern)) else { continue }
            for text in ["", "ab", "aéb😀a", "\n a1_"] {
                let length = text.utf8.count
                for match in expression.allMatches(in: text) {
                    #expect(match.range.upperBound <= length)
                }
                #expect(expression.replacingAll(in: text, with: "$0") == text)
            }
        }
    }
}
