// From text to ids: merges, byte fallback, added tokens, what stands at the ends.

import TestSupport
import Testing
import Text

@testable import Models

@Suite("Encoding")
struct TokenizerEncodingTests {
    private static let abc = [("a", "b"), ("b", "c"), ("ab", "c"), ("Ġ", "abc"), ("a", "a"), ("aa", "aa")]

    @Test(
        "Of all pairs the one learned first is joined, and of its places the leftmost",
        arguments: [
            ("", []), ("a", ["a"]), ("abc", ["abc"]), ("bc", ["bc"]), ("abcabc", ["abc", "abc"]),
            ("bcab", ["bc", "ab"]), ("x abc", ["x", "Ġabc"]), ("aaa", ["aa", "a"]), ("aaaaa", ["aaaa", "a"]),
            ("é", ["Ã", "©"]), ("e\u{301}", ["e", "Ì", "ģ"]), ("\n", ["Ċ"]),
        ] as [(String, [String])])
    func merges(text: String, tokens: [String]) throws {
        let tokenizer = try TokenizerFixture.byteLevel(Self.abc).tokenizer()
        #expect(tokenizer.tokens(of: text) == tokens)
        #expect(
            tokenizer.decode(tokenizer.encode(text, addSpecialTokens: false), skipSpecialTokens: false)
                == text)
    }

    @Test("A long piece, merged with a heap, becomes what the rule says", arguments: 0..<20)
    func longPieces(seed: UInt64) throws {
        let file = try TokenizerFile(TokenizerFixture.byteLevel(Self.abc).json, file: "t")
        var random = SeededGenerator(seed: seed)
        let text = (0..<Int.random(in: 30...300, using: &random)).map { _ in
            "aabc".utf8.randomElement(using: &random) ?? 0
        }
        var ids: [Int32] = []
        var scratch = BytePairEncoding.Scratch()
        text.withUnsafeBufferPointer { file.model.encode($0, into: &ids, scratch: &scratch) }
        #expect(ids == Self.plainlyMerged(text, file.model))
    }

    /// Looks for the best pair each time.
    private static func plainlyMerged(_ text: [UInt8], _ model: BytePairEncoding) -> [Int32] {
        var ids = text.compactMap { byte in
            [byte].withUnsafeBufferPointer { model.vocabulary.id(ofEntry: $0) }
        }
        while true {
            let merges = zip(ids, ids.dropFirst()).map { model.merges.merge($0, $1) }
            guard let best = merges.min(), best != MergeTable.none, let place = merges.firstIndex(of: best)
            else {
                return ids
            }
            ids.replaceSubrange(place...(place + 1), with: [MergeTable.result(best)])
        }
    }

    @Test("A word of 100,000 letters takes no quadratic time")
    func hugeWord() throws {
        let tokenizer = try TokenizerFixture.byteLevel(Self.abc).tokenizer()
        let ids = tokenizer.encode(String(repeating: "a", count: 100_000), addSpecialTokens: false)
        #expect(ids.count == 25_000)
        #expect(Set(ids).count == 1)
    }

    @Test("With ignore_merges, a whole piece that is a token needs no merges")
    func ignoredMerges() throws {
        var fixture = TokenizerFixture.byteLevel([("a", "b")])
        fixture.tokens.append("abcd")
        #expect(try fixture.tokenizer().tokens(of: "abcd") == ["ab", "c", "d"])
        fixture.model["ignore_merges"] = true
        #expect(try fixture.tokenizer().tokens(of: "abcd abcd") == ["abcd", "Ġ", "ab", "c", "d"])
    }

    @Test(
        "A Llama 2 tokenizer puts a blank in front and has bytes for what it does not know",
        arguments: [
            ("", []), ("ab", ["▁ab"]), (" ab", ["▁", "▁ab"]), ("ab  ab", ["▁ab", "▁", "▁ab"]),
            ("é", ["▁", "<0xC3>", "<0xA9>"]), ("ab\n", ["▁ab", "<0x0A>"]), ("</s>ab", ["</s>", "▁ab"]),
        ] as [(String, [String])])
    func sentencePiece(text: String, tokens: [String]) throws {
        var fixture = TokenizerFixture.sentencePiece([("a", "b"), ("▁", "ab")])
        fixture.addedTokens = [TokenizerFixture.added("</s>", "special")]
        #expect(try fixture.tokenizer().tokens(of: text) == tokens)
    }

    @Test("A text is cut before blanks only where no merge reaches over them", arguments: [false, true])
    func cuts(reachesOver: Bool) throws {
        var merges = [("a", "b"), ("▁", "ab"), ("▁", "▁"), ("▁▁", "▁▁")]
        if reachesOver { merges.insert(("b", "▁"), at: 0) }
        let file = try TokenizerFile(TokenizerFixture.sentencePiece(merges).json, file: "t")
        #expect(file.model.cut.isEmpty == reachesOver)
        var uncut = file
        uncut.model.cut = []
        let tokenizer = try Tokenizer(file, TokenizerConfiguration())
        let plain = try Tokenizer(uncut, TokenizerConfiguration())
        var random = SeededGenerator(seed: 5)
        for _ in 0..<200 {
            let text = String((0..<20).map { _ in "ab ▁é".randomElement(using: &random) ?? " " })
            #expect(tokenizer.tokens(of: text) == plain.tokens(of: text), "\(text)")
        }
    }

    @Test(
        "Unknown characters become one token or several, or none",
        arguments: [
            (true, "a??b", ["a", "<unk>", "b"]), (false, "a??b", ["a", "<unk>", "<unk>", "b"]),
            (nil, "a??b", ["a", "b"]),
        ] as [(Bool?, String, [String])])
    func unknown(fuses: Bool?, text: String, tokens: [String]) throws {
        var fixture = TokenizerFixture(tokens: ["<unk>", "a", "b"])
        if let fuses { fixture.model = ["unk_token": "<unk>", "fuse_unk": .bool(fuses)] }
        #expect(try fixture.tokenizer().tokens(of: text) == tokens)
    }

    @Test(
        "The flags of an added token say where it is found and what it takes with it",
        arguments: [
            (["special"], "a<x>b <x> ", ["a", "<x>", "b", " ", "<x>", " "]),
            (["lstrip"], "a  <x> b", ["a", "<x>", " ", "b"]),
            (["rstrip"], "a  <x>  b", ["a", " ", " ", "<x>", "b"]),
            (["single_word"], "a<x> <x>", ["a", "<", "x", ">", " ", "<x>"]),
            (["normalized"], "<X>A", ["<x>", "a"]),
            (["special"], "<X>A", ["<", "x", ">", "a"]),
        ] as [([String], String, [String])])
    func addedTokens(flags: [String], text: String, tokens: [String]) throws {
        var fixture = TokenizerFixture(tokens: ["a", "b", " ", "<", "x", ">"])
        fixture.normalizer = ["type": "Lowercase"]
        var token: [String: JSONValue] = ["id": 6, "content": "<x>"]
        for flag in ["special", "lstrip", "rstrip", "single_word", "normalized"] {
            token[flag] = .bool(flags.contains(flag))
        }
        fixture.addedTokens = [.object(token)]
        #expect(try fixture.tokenizer().tokens(of: text) == tokens)
    }

    @Test("Of added tokens that begin alike the longest is found, and ids follow the vocabulary")
    func longestAddedToken() throws {
        var fixture = TokenizerFixture(tokens: ["a", "b"])
        fixture.addedTokens = ["<x", "<x>", "<x>a"].map { TokenizerFixture.added($0, "special") }
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.encode("<x<x><x>a<xb", addSpecialTokens: false) == [2, 3, 4, 2, 1])
        #expect(tokenizer.vocabularySize == 5)
        #expect(tokenizer.isSpecial(4) && !tokenizer.isSpecial(0))
    }

    @Test("A template's special tokens stand around a text")
    func template() throws {
        var fixture = TokenizerFixture(tokens: ["<s>", "</s>", "a"])
        let special: JSONValue = ["<s>": ["id": "<s>", "ids": [0]], "</s>": ["id": "</s>", "ids": [1]]]
        let single: JSONValue = [
            ["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]],
            ["SpecialToken": ["id": "</s>", "type_id": 0]],
        ]
        fixture.postProcessor = ["type": "TemplateProcessing", "single": single, "special_tokens": special]
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.encode("a", addSpecialTokens: true) == [0, 2, 1])
        #expect(tokenizer.encode("a", addSpecialTokens: false) == [2])
        // What tokenizer_config.json says about the ends counts more.
        let configured = try fixture.tokenizer(configuration: [
            "add_bos_token": true, "add_eos_token": false, "bos_token": "<s>",
            "eos_token": ["content": "</s>"],
        ])
        #expect(configured.encode("a", addSpecialTokens: true) == [0, 2])
        #expect(configured.eosTokenID == 1 && configured.bosTokenID == 0 && configured.padTokenID == nil)
    }

    @Test(
        "Metaspace puts \"▁\" before a text, before its beginning only, or not at all",
        arguments: [
            ("always", "a<x>a a", ["▁a", "<x>", "▁a", "▁a"]), ("first", "a<x>a a", ["▁a", "<x>", "a", "▁a"]),
            ("never", "a<x>a a", ["a", "<x>", "a", "▁a"]), ("always", " a", ["▁a"]),
        ] as [(String, String, [String])])
    func metaspace(scheme: String, text: String, tokens: [String]) throws {
        var fixture = TokenizerFixture(tokens: ["▁", "a"], merges: [("▁", "a")])
        fixture.preTokenizer = [
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": .string(scheme), "split": true,
        ]
        fixture.addedTokens = [TokenizerFixture.added("<x>", "special")]
        #expect(try fixture.tokenizer().tokens(of: text) == tokens)
    }

    @Test("A prefix for characters inside a word, a suffix for its last")
    func affixes() throws {
        var fixture = TokenizerFixture(tokens: ["<unk>", "a", "##b", "##b</w>", "a</w>"])
        fixture.model = [
            "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "unk_token": "<unk>",
        ]
        fixture.preTokenizer = ["type": "WhitespaceSplit"]
        #expect(try fixture.tokenizer().tokens(of: "abb a") == ["a", "##b", "##b</w>", "a</w>"])
    }
}
