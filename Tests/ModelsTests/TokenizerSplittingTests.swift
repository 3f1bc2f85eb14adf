// How texts are split before they are encoded: patterns, scanners, behaviors.

import TestSupport
import Testing
import Text

@testable import Models

@Suite("Splitting")
struct TokenizerSplittingTests {
    /// Collects pieces as strings.
    private struct Pieces: PieceReceiver {
        var texts: [String] = []

        mutating func receive(_ piece: UTF8Text) { texts.append(String(decoding: piece, as: UTF8.self)) }
    }

    private static func pieces(_ text: String, _ stages: [PreTokenizerStage]) -> [String] {
        var pieces = Pieces()
        var text = text
        text.withUTF8 { PreTokenizer(stages: stages).split($0, isAtStart: true, into: &pieces) }
        return pieces.texts
    }

    private static func matches(_ pattern: String, in text: String) throws -> [String] {
        let expression = try BacktrackingExpression(pattern)
        var text = text
        return text.withUTF8 { bytes in
            var found: [String] = []
            expression.forEachMatch(in: bytes) {
                found.append(String(decoding: bytes.part($0), as: UTF8.self))
            }
            return found
        }
    }

    private static let mixed = [
        "a", "Z", "é", "ſ", "中", "ß", "1", "٣", "½", " ", " ", "\n", "\r", "\t", "\u{A0}", "\u{3000}", "'",
        "'s",
        "'LL", "'ve", ".", "!", "_", "😀", "\u{301}", "\u{200D}", "don't",
    ]

    @Test(
        "A hand-written scanner splits as its pattern does",
        arguments: [SplitScanner.gpt2, .gpt4(digits: 1), .gpt4(digits: 3)])
    func scannersAgree(scanner: SplitScanner) throws {
        let expression = try BacktrackingExpression(scanner.pattern)
        #expect(SplitScanner(pattern: scanner.pattern) == scanner)
        var random = SeededGenerator(seed: 11)
        for _ in 0..<1000 {
            let text = (0..<Int.random(in: 0...20, using: &random))
                .map { _ in Self.mixed.randomElement(using: &random) ?? "" }.joined()
            let fast = Self.pieces(text, [.split(.scanner(scanner), .isolated, isInverted: false)])
            let slow = Self.pieces(text, [.split(.expression(expression), .isolated, isInverted: false)])
            #expect(fast == slow, "\(text.debugDescription)")
            #expect(fast.joined() == text)
        }
    }

    @Test(
        "Known pieces of known patterns",
        arguments: [
            (
                SplitScanner.gpt2, "Hello  world's 123!\n\n x",
                ["Hello", " ", " world", "'s", " 123", "!", "\n\n", " x"]
            ),
            (
                .gpt4(digits: 3), "I'LL 12345\tx\n\n  y!!\n",
                ["I", "'LL", " ", "123", "45", "\tx", "\n\n", " ", " y", "!!\n"]
            ),
            (.gpt4(digits: 1), "v2.10", ["v", "2", ".", "1", "0"]),
        ] as [(SplitScanner, String, [String])])
    func knownPieces(scanner: SplitScanner, text: String, pieces: [String]) {
        #expect(Self.pieces(text, [.split(.scanner(scanner), .isolated, isInverted: false)]) == pieces)
    }

    @Test(
        "What becomes of a match",
        arguments: [
            (SplitBehavior.removed, ["a", "b"]), (.isolated, ["a", "-", "-", "b", "-"]),
            (.contiguous, ["a", "--", "b", "-"]), (.mergedWithPrevious, ["a-", "-", "b-"]),
            (.mergedWithNext, ["a", "-", "-b", "-"]),
        ])
    func behaviors(behavior: SplitBehavior, pieces: [String]) {
        #expect(
            Self.pieces("a--b-", [.split(.literal(Array("-".utf8)), behavior, isInverted: false)]) == pieces)
    }

    @Test(
        "Patterns match as Oniguruma matches them",
        arguments: [
            (#"\p{L}+(?=\d)"#, "ab1 cd e2", ["ab", "e"]), (#"(?<=a)b|(?<!a)c"#, "abc ac", ["b", "c"]),
            (#"a{2,3}"#, "aaaaa", ["aaa", "aa"]), (#"a{,2}b"#, "aaab b", ["aab", "b"]),
            (#"a+?b?"#, "aab", ["a", "ab"]),
            (#"a++a|b"#, "aab", ["b"]), (#"(?>a+)a|b"#, "aab", ["b"]),
            (#"(?i:straSSe)"#, "STRASSE straße", ["STRASSE"]),
            (#"[^\s\p{L}]"#, "a 1é!", ["1", "!"]), (#"[\p{L}&&[^a-m]]+"#, "abcxyz", ["xyz"]),
            (#"[[:alpha:]_]+"#, "ab_1", ["ab_"]), (#"^b|c$"#, "a\nb c\nc", ["b", "c", "c"]),
            (#"\bfoo\b"#, "foo food foo", ["foo", "foo"]), (#"(?:a|ab)(?:c|bcd)"#, "abcd", ["abcd"]),
            (#"(a?)*b"#, "aab", ["aab"]), (#"(?:)*x"#, "x", ["x"]), (#"\x41\u00e9\n"#, "Aé\n", ["Aé\n"]),
            (#"(?i)k"#, "K\u{212A}k", ["K", "\u{212A}", "k"]), (#"[a-]+"#, "a-b", ["a-"]),
            (#"\p{Han}+"#, "漢字かな", ["漢字"]),
        ] as [(String, String, [String])])
    func expressions(pattern: String, text: String, matches: [String]) throws {
        #expect(try Self.matches(pattern, in: text) == matches)
    }

    @Test(
        "What the engine cannot do is an error that says so",
        arguments: [
            (#"(a)\1"#, "references"), (#"(?<=a+)b"#, "unknown length"), ("a)", "without"), ("(a", "without"),
            ("[a", "without"),
            (#"\p{Klingon}"#, "Klingon"), ("*a", "nothing to repeat"), (#"(?{x})"#, "not supported"),
            ("a{5,2}", "before its"),
            (#"\X"#, "not supported"), ("a{2000}", "more than"),
            (String(repeating: "(", count: 200), "nested"),
            ("a" + String(repeating: "?", count: 100), "too often"),
            ("((((a{999}b){999}){999}){999})", "too large"),
            ("(((((){999}){999}){999}){999})", "too large"), (#"\"#, "backslash"),
        ] as [(String, String)])
    func refusals(pattern: String, problem: String) {
        #expect {
            try BacktrackingExpression(pattern)
        } throws: { error in
            (error as? PatternError)?.message.contains(problem) == true
        }
    }

    @Test("A pattern that would backtrack for ever gives up, and the text stays whole")
    func stepsAreLimited() throws {
        let expression = try BacktrackingExpression("(?:a|a)*b")
        let text = String(repeating: "a", count: 60)
        #expect(Self.pieces(text, [.split(.expression(expression), .isolated, isInverted: false)]) == [text])
    }

    @Test(
        "Character classes split",
        arguments: [
            (#"{"type": "Whitespace"}"#, "Hi there_1, you!", ["Hi", "there_1", ",", "you", "!"]),
            (#"{"type": "WhitespaceSplit"}"#, " a \u{3000}b", ["a", "b"]),
            (#"{"type": "Digits", "individual_digits": true}"#, "a12b", ["a", "1", "2", "b"]),
            (#"{"type": "Digits", "individual_digits": false}"#, "a12b", ["a", "12", "b"]),
            (#"{"type": "Punctuation", "behavior": "Isolated"}"#, "a+b。", ["a", "+", "b", "。"]),
            (#"{"type": "BertPreTokenizer"}"#, "a b,c", ["a", "b", ",", "c"]),
            (#"{"type": "CharDelimiterSplit", "delimiter": "b"}"#, "abc", ["a", "c"]),
            (
                #"{"type": "Split", "pattern": {"String": "b"}, "behavior": "Removed", "invert": true}"#,
                "abcb", ["b", "b"]
            ),
        ] as [(String, String, [String])])
    func classes(json: String, text: String, pieces: [String]) throws {
        let stages = try ComponentReader(file: "t").preTokenizer(JSONValue(parsing: json))
        #expect(Self.pieces(text, stages) == pieces)
    }

    @Test("Bytes written as characters in the middle of a sequence are split on, and understood by the model")
    func mappedBytes() throws {
        var fixture = TokenizerFixture.byteLevel([("1", "2"), ("é", "1")])
        fixture.merges.removeLast()
        let split: JSONValue = [
            "type": "Split", "pattern": ["Regex": "[0-9]"], "behavior": "Isolated", "invert": false,
        ]
        let bytes: JSONValue = ["type": "ByteLevel", "add_prefix_space": true, "use_regex": false]
        fixture.preTokenizer = ["type": "Sequence", "pretokenizers": [bytes, split]]
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.tokens(of: "é12") == ["Ġ", "Ã", "©", "1", "2"])
        #expect(
            tokenizer.decode(tokenizer.encode("é12", addSpecialTokens: false), skipSpecialTokens: true)
                == " é12")
    }
}
