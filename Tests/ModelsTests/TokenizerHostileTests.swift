// Broken and malicious tokenizer files: each an error that names the place, none a trap.

import TestSupport
import Testing
import Text

@testable import Models

@Suite("Hostile tokenizer files")
struct TokenizerHostileTests {
    private static func open(_ text: String) throws -> Tokenizer {
        try Tokenizer(tokenizerJSON: Array(text.utf8), configurationJSON: nil, file: "dir/tokenizer.json")
    }

    private static func model(_ fields: String) -> String { #"{"model": {"type": "BPE", \#(fields)}}"# }

    private static func part(_ name: String, _ value: String) -> String {
        #"{"\#(name)": \#(value), "model": {"type": "BPE", "vocab": {}, "merges": []}}"#
    }

    @Test(
        "What is wrong is named with file and field",
        arguments: [
            ("", "line 1"), ("[]", "expected an object"), ("{}", "model: missing"),
            (#"{"model": 5}"#, "not an object"),
            (#"{"model": {}}"#, "unknown"),
            (#"{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}"#, "type Unigram"),
            (#"{"model": {"type": "WordPiece", "vocab": {}}}"#, "type WordPiece"),
            (model(#""merges": []"#), "model.vocab: missing"),
            (model(#""vocab": {}"#), "model.merges: missing"),
            (model(#""vocab": {"a": -1}, "merges": []"#), #"model.vocab["a"]"#),
            (model(#""vocab": {"a": 99999999}, "merges": []"#), "not in 0..."),
            (model(#""vocab": {"a": 1e400}, "merges": []"#), "too large"),
            (model(#""vocab": {"a": 123456789012345678901}, "merges": []"#), "too large"),
            (model(#""vocab": {"a": 0.5}, "merges": []"#), "integer"),
            (model(#""vocab": {"a": 0, "b": 0}, "merges": []"#), "two tokens have the id 0"),
            (model(#""vocab": {"a": 0}, "merges": ["a b"]"#), "model.merges[0]"),
            (model(#""vocab": {"a": 0}, "merges": [["a", "a"]]"#), #""aa" is not in the vocabulary"#),
            (model(#""vocab": {"a": 0}, "merges": ["aa"]"#), "not two tokens"),
            (model(#""vocab": {"a": 0}, "merges": [["a"]]"#), "not two tokens"),
            (model(#""vocab": {"a": 0}, "merges": ["a a a"]"#), "not two tokens"),
            (model(#""vocab": {"a": 0}, "merges": {}"#), "not a list"),
            (model(#""vocab": {"a": 0}, "merges": [], "unk_token": "u""#), "model.unk_token"),
            (model(#""vocab": {"a": 0}, "merges": [], "fuse_unk": 3"#), "model.fuse_unk"),
            (model(#""vocab": {"a": 0}, "merges": []"#) + "x", "text after"),
            (
                part("normalizer", #"{"type": "Precompiled"}"#),
                "normalizer: the type Precompiled"
            ),
            (
                part("decoder", #"{"type": "CTC"}"#),
                "decoder: the type CTC"
            ),
            (
                part(
                    "pre_tokenizer",
                    #"{"type": "Split", "pattern": {"Regex": "(a)\\1"}, "behavior": "Isolated"}"#),
                "pre_tokenizer.pattern"
            ),
            (
                part("pre_tokenizer", #"{}"#),
                "pre_tokenizer.type"
            ),
            (
                part("added_tokens", #"[{"id": 1}]"#),
                "added_tokens[0].content"
            ),
            (
                part("post_processor", #"{"type": "TemplateProcessing", "single": []}"#),
                "the text is missing"
            ),
            (
                part("normalizer", #"{"type": "Replace", "pattern": {"String": ""}, "content": 5}"#),
                "normalizer.content"
            ),
        ] as [(String, String)])
    func errors(text: String, problem: String) {
        #expect {
            try Self.open(text)
        } throws: { error in
            let description = "\(error)"
            return description.hasPrefix("dir/tokenizer.json") && description.contains(problem)
        }
    }

    @Test("Replacements that would make a text grow without end are refused")
    func growth() {
        let step = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#
        let steps = Array(repeating: step, count: 20).joined(separator: ",")
        let text =
            Self.part("normalizer", #"{"type": "Sequence", "normalizers": [\#(steps)]}"#)
        #expect(throws: TokenizerError.self) { try Self.open(text) }
    }

    @Test("Deep nesting is refused", arguments: ["[", #"{"a":"#])
    func deepNesting(opening: String) {
        let text = #"{"x": "# + String(repeating: opening, count: 100_000)
        #expect(throws: TokenizerError.self) { try Self.open(text) }
    }

    @Test("The order of a file's parts does not matter")
    func order() throws {
        let text = #"""
            {"model": {"merges": ["#version: 0.2", "a b", "a b", "Ġ ab"],
            "vocab": {"ab": 2, "a": 0, "b": 1, "Ġ": 4, "Ġab": 3}},
            "decoder": {"type": "ByteLevel"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}
            """#
        let tokenizer = try Self.open(text)
        #expect(tokenizer.encode("ab ab", addSpecialTokens: true) == [2, 3])
        #expect(tokenizer.decode([3, 0], skipSpecialTokens: true) == " aba")
    }

    @Test(
        "Added tokens that swallow each other's blanks do no harm",
        arguments: [
            ("lstrip", "x    a", ["x", "a"]), ("rstrip", "x    a", ["x", "  ", "  ", "a"]),
            ("none", "x   a", ["x", "  ", " ", "a"]), ("single_word", "x     a", ["x", "  ", " ", "a"]),
        ] as [(String, String, [String])])
    func overlappingAddedTokens(flag: String, text: String, tokens: [String]) throws {
        var fixture = TokenizerFixture(tokens: ["a", " "])
        fixture.addedTokens = [
            TokenizerFixture.added("x", "rstrip"),
            TokenizerFixture.added("  ", flag, flag == "lstrip" ? "rstrip" : flag),
        ]
        #expect(try fixture.tokenizer().tokens(of: text) == tokens)
    }

    @Test("Changed bytes give an error or a tokenizer that works", arguments: [0, 1, 2] as [UInt64])
    func changedBytes(seed: UInt64) throws {
        var fixture =
            seed == 0
            ? TokenizerFixture.byteLevel([("a", "b")], pattern: SplitScanner.gpt2.pattern)
            : .sentencePiece([("a", "b")])
        fixture.addedTokens = [
            TokenizerFixture.added("<x>", "special", "lstrip"), TokenizerFixture.added("y", "normalized"),
        ]
        let original = fixture.json
        var random = SeededGenerator(seed: seed)
        var opened = 0
        for _ in 0..<300 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default:
                    bytes.insert(Array("\"{}[]:,0-9ae\\".utf8).randomElement(using: &random) ?? 0, at: place)
                }
            }
            guard let tokenizer = try? Tokenizer(tokenizerJSON: bytes, configurationJSON: nil, file: "t")
            else { continue }
            opened += 1
            let ids = tokenizer.encode("ab <x> y é\n", addSpecialTokens: true)
            _ = tokenizer.decode(ids + [0, 5, 300], skipSpecialTokens: false)
        }
        #expect(opened > 0)
    }

    @Test(
        "A broken tokenizer_config.json is named",
        arguments: [
            ("{", "line 1"), ("[]", "not an object"), (#"{"chat_template": 5}"#, "chat_template"),
            (#"{"chat_template": [{}]}"#, "chat_template[0]"),
            (#"{"bos_token": {"x": 1}}"#, "bos_token.content"),
            (#"{"added_tokens_decoder": {"x": {"content": "a"}}}"#, "added_tokens_decoder"),
        ] as [(String, String)])
    func configuration(text: String, problem: String) {
        #expect {
            try Tokenizer(
                tokenizerJSON: TokenizerFixture(tokens: ["a"]).json, configurationJSON: Array(text.utf8),
                file: "dir/tokenizer.json")
        } throws: { error in
            let description = "\(error)"
            return description.hasPrefix("dir/tokenizer_config.json") && description.contains(problem)
        }
    }
}
