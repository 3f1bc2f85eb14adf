// From ids to text, whole and token by token.

import TestSupport
import Testing
import Text

@testable import Models

@Suite("Decoding")
struct TokenizerDecodingTests {
    /// Tokenizers whose decoders hold text back in different ways.
    private static func fixture(_ name: String) -> TokenizerFixture {
        var fixture: TokenizerFixture
        switch name {
        case "bytes":
            fixture = .byteLevel([("Ã", "©"), ("Ġ", "a")])
        case "pieces":
            fixture = .sentencePiece([("▁", "a")])
        case "metaspace":
            fixture = TokenizerFixture(tokens: ["▁", "a", "é", "▁▁"])
            fixture.decoder = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"]
        case "suffix":
            fixture = TokenizerFixture(tokens: ["a</w>", "b", "c</w>"])
            fixture.decoder = ["type": "BPEDecoder", "suffix": "</w>"]
        case "fused":
            fixture = TokenizerFixture(tokens: ["a", "b", " ", "ab", "<0x41>", "é"])
            let strip: JSONValue = ["type": "Strip", "content": " ", "start": 2, "stop": 2]
            let double: JSONValue = ["type": "Replace", "pattern": ["String": "aba"], "content": "-"]
            let expression: JSONValue = ["type": "Replace", "pattern": ["Regex": "b+"], "content": "B"]
            fixture.decoder = [
                "type": "Sequence",
                "decoders": [["type": "Fuse"], double, strip, expression, ["type": "ByteFallback"]],
            ]
        default: fixture = TokenizerFixture(tokens: ["a", "b", "é"])
        }
        fixture.addedTokens = [TokenizerFixture.added("<|中|>", "special"), TokenizerFixture.added("<x>")]
        return fixture
    }

    private static let names = ["bytes", "pieces", "metaspace", "suffix", "fused", "none"]

    @Test(
        "What a stream gives is, taken together, the text of all ids, without half characters",
        arguments: names)
    func streams(name: String) throws {
        let tokenizer = try Self.fixture(name).tokenizer()
        var random = SeededGenerator(seed: 3)
        for round in 0..<300 {
            let ids = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                Int32.random(in: 0...Int32(tokenizer.vocabularySize), using: &random)
            }
            let skips = round % 2 == 0
            var stream = StreamDecoder(tokenizer, skipSpecialTokens: skips)
            var text = ""
            for id in ids { text += stream.append(id) }
            text += stream.finish()
            #expect(Array(text.utf8) == Array(tokenizer.decode(ids, skipSpecialTokens: skips).utf8), "\(ids)")
        }
    }

    @Test("A character comes when its last byte has come, and broken ones as soon as they are known to be")
    func streamsByCharacters() throws {
        let tokenizer = try Self.fixture("bytes").tokenizer()
        let ids = tokenizer.encode("a😀b", addSpecialTokens: false)
        var stream = StreamDecoder(tokenizer, skipSpecialTokens: false)
        #expect(ids.map { stream.append($0) } == ["a", "", "", "", "😀", "b"])
        var broken = StreamDecoder(tokenizer, skipSpecialTokens: false)
        #expect([ids[1], ids[2], ids[0]].map { broken.append($0) } == ["", "", "\u{FFFD}a"])
        #expect(broken.finish() == "")
        #expect(broken.append(ids[1]) == "")
        #expect(broken.finish() == "\u{FFFD}")
    }

    @Test(
        "Broken UTF-8 becomes U+FFFD as Rust has it",
        arguments: [
            ([0xFF], "\u{FFFD}"), ([0xE4, 0xBD], "\u{FFFD}"), ([0xE4, 0x41], "\u{FFFD}A"),
            ([0xF0, 0x9F, 0x98], "\u{FFFD}"),
            ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xF4, 0x90, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xE4, 0xBD, 0xA0, 0xE4], "你\u{FFFD}"),
        ] as [([UInt8], String)])
    func brokenBytes(bytes: [UInt8], text: String) {
        var found: [UInt8] = []
        let used = bytes.withUnsafeBufferPointer { LossyUTF8.append($0, to: &found, isLast: true) }
        #expect(used == bytes.count)
        #expect(String(decoding: found, as: UTF8.self) == text)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    @Test(
        "Decoders put tokens together in their ways",
        arguments: [
            ("pieces", ["▁a", "<0xC3>", "<0xA9>", "▁a"], "aé a"),
            ("pieces", ["<0xC3>", "<0xA9>", "<0xFF>"], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("metaspace", ["▁▁", "a", "▁", "a"], "a a"), ("suffix", ["a</w>", "b", "c</w>"], "a bc"),
            ("none", ["a", "b"], "a b"),
            ("fused", [" ", " ", " ", "ab", "a", "b", "b", " ", " "], " -B"),
        ])
    func decoders(name: String, tokens: [String], text: String) throws {
        let tokenizer = try Self.fixture(name).tokenizer()
        let ids = try tokens.map { try #require(tokenizer.id(of: $0)) }
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == text)
    }

    @Test("Special tokens are left out on demand, unknown ids always")
    func specialTokens() throws {
        let tokenizer = try Self.fixture("bytes").tokenizer()
        let special = try #require(tokenizer.id(of: "<|中|>"))
        let added = try #require(tokenizer.id(of: "<x>"))
        let ids = [special, added, 99_999, -1, .max, .min]
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == "<|中|><x>")
        #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "<x>")
        #expect(
            tokenizer.token(99_999) == nil && tokenizer.token(-1) == nil
                && tokenizer.token(special) == "<|中|>")
    }

    @Test("The bytes of a token are what it adds in the middle of a text")
    func tokenBytes() throws {
        let bytes = try Self.fixture("bytes").tokenizer()
        let pieces = try Self.fixture("pieces").tokenizer()
        func found(_ tokenizer: Tokenizer, _ token: String) throws -> [UInt8] {
            tokenizer.tokenBytes(try #require(tokenizer.id(of: token)))
        }
        #expect(try found(bytes, "Ġa") == [0x20, 0x61])
        #expect(try found(bytes, "Ã") == [0xC3])
        #expect(try found(bytes, "<x>") == Array("<x>".utf8))
        #expect(try found(bytes, "<|中|>") == [])
        #expect(bytes.tokenBytes(-5) == [] && bytes.tokenBytes(100_000) == [])
        #expect(try found(pieces, "▁a") == [0x20, 0x61])
        #expect(try found(pieces, "<0xC3>") == [0xC3])
    }

    @Test("Spaces are cleaned up only where the configuration insists", arguments: [false, true])
    func cleanUp(insists: Bool) throws {
        let tokenizer = try TokenizerFixture.byteLevel().tokenizer(configuration: [
            "clean_up_tokenization_spaces": true,
            "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": .bool(insists),
        ])
        let ids = tokenizer.encode("a . b n't ' c", addSpecialTokens: false)
        #expect(tokenizer.decode(ids, skipSpecialTokens: false) == (insists ? "a. bn't'c" : "a . b n't ' c"))
    }
}
