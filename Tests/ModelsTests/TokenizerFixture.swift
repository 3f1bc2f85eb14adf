// Small tokenizers for tests, written as the files that a model's directory has.

import Text

@testable import Models

/// A tokenizer.json to be filled in. Tokens get ids in their order, then merges theirs.
struct TokenizerFixture {
    var tokens: [String]
    var merges: [(String, String)] = []
    var model: [String: JSONValue] = [:]
    var addedTokens: [JSONValue] = []
    var normalizer: JSONValue = .null
    var preTokenizer: JSONValue = .null
    var postProcessor: JSONValue = .null
    var decoder: JSONValue = .null

    /// The 256 bytes and the merges, split at GPT-2's pattern or another.
    static func byteLevel(_ merges: [(String, String)] = [], pattern: String? = nil) -> TokenizerFixture {
        let alphabet = ByteAlphabet.scalars.sorted().compactMap { Unicode.Scalar($0).map { String($0) } }
        var fixture = TokenizerFixture(tokens: alphabet, merges: merges)
        let stage: [String: JSONValue] = [
            "type": "ByteLevel", "add_prefix_space": false, "use_regex": .bool(pattern == nil),
        ]
        fixture.preTokenizer = .object(stage)
        if let pattern {
            let split: JSONValue = [
                "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
                "invert": false,
            ]
            fixture.preTokenizer = ["type": "Sequence", "pretokenizers": [split, .object(stage)]]
        }
        fixture.decoder = ["type": "ByteLevel"]
        return fixture
    }

    /// Llama 2's kind: "▁" for blanks, bytes for what is unknown.
    static func sentencePiece(_ merges: [(String, String)] = []) -> TokenizerFixture {
        let digits = Array("0123456789ABCDEF")
        let bytes = (0..<256).map { "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>" }
        let letters = ["▁"] + "abcdefghijklmnopqrstuvwxyz".map { String($0) }
        var fixture = TokenizerFixture(tokens: ["<unk>", "<s>", "</s>"] + bytes + letters, merges: merges)
        fixture.model = ["byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>"]
        let blank: JSONValue = ["type": "Replace", "pattern": ["String": " "], "content": "▁"]
        fixture.normalizer = [
            "type": "Sequence", "normalizers": [["type": "Prepend", "prepend": "▁"], blank],
        ]
        let back: JSONValue = ["type": "Replace", "pattern": ["String": "▁"], "content": " "]
        let strip: JSONValue = ["type": "Strip", "content": " ", "start": 1, "stop": 0]
        fixture.decoder = [
            "type": "Sequence", "decoders": [back, ["type": "ByteFallback"], ["type": "Fuse"], strip],
        ]
        return fixture
    }

    /// An entry of `added_tokens`; its id comes of itself.
    static func added(_ content: String, _ flags: String...) -> JSONValue {
        var fields: [String: JSONValue] = ["id": 0, "content": .string(content)]
        for flag in ["special", "single_word", "lstrip", "rstrip", "normalized"] {
            fields[flag] = .bool(flags.contains(flag))
        }
        return .object(fields)
    }

    /// The text of the file. Tokens are written one by one: a dictionary would take some of them for equal.
    var json: [UInt8] {
        let all = tokens + merges.map { $0.0 + $0.1 }
        let vocabulary = all.enumerated().map { "\(JSONValue.string($1).compactText):\($0)" }
        let pairs = merges.map { JSONValue.array([.string($0.0), .string($0.1)]).compactText }
        let fields = model.map { "\"\($0.key)\":\($0.value.compactText)," }.sorted().joined()
        return Array(
            """
            {"version":"1.0","added_tokens":\(JSONValue.array(addedTokens).compactText),
            "normalizer":\(normalizer.compactText),"pre_tokenizer":\(preTokenizer.compactText),
            "post_processor":\(postProcessor.compactText),"decoder":\(decoder.compactText),
            "model":{"type":"BPE","continuing_subword_prefix":null,"end_of_word_suffix":null,\(fields)
            "vocab":{\(vocabulary.joined(separator: ","))},"merges":[\(pairs.joined(separator: ","))]}}
            """.utf8)
    }

    func tokenizer(configuration: JSONValue? = nil) throws -> Tokenizer {
        try Tokenizer(
            tokenizerJSON: json, configurationJSON: configuration.map { Array($0.compactText.utf8) },
            file: "tokenizer.json")
    }
}

extension Tokenizer {
    /// The tokens of a text, without those at its ends.
    func tokens(of text: String) -> [String] {
        encode(text, addSpecialTokens: false).map { token($0) ?? "?" }
    }
}
