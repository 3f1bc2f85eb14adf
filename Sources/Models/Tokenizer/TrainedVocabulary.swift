// What a trainer has learned, and the two files that make a tokenizer of it.

import Text

/// A learned vocabulary.
package struct TrainedVocabulary: Sendable {
    /// By id, in visible characters.
    private let tokens: [[UInt8]]
    /// In the order in which they were learned.
    private let merges: [(Int32, Int32)]
    private let specialTokens: [String]
    private let splitting: BytePairTrainer.Splitting

    init(
        tokens: [[UInt8]], merges: [(Int32, Int32)], specialTokens: [String],
        splitting: BytePairTrainer.Splitting
    ) {
        self.tokens = tokens
        self.merges = merges
        self.specialTokens = specialTokens
        self.splitting = splitting
    }

    /// How many tokens there are. Fewer than asked for if the texts had no more pairs.
    package var count: Int { tokens.count }

    /// The text of tokenizer.json, as Hugging Face's tokenizers load it.
    package var tokenizerJSON: [UInt8] {
        var writer = JSONLines()
        writer.add(#"{"version": "1.0", "truncation": null, "padding": null,"#)
        let added = specialTokens.enumerated().map { index, token in
            #"{"id": \#(index), "content": \#(Self.quoted(token)), "single_word": false, "lstrip": false, "#
                + #""rstrip": false, "normalized": false, "special": true}"#
        }
        writer.add(#""added_tokens": [\#(added.joined(separator: ", "))],"#)
        writer.add(#""normalizer": \#(splitting.normalization == nil ? "null" : #"{"type": "NFC"}"#),"#)
        let byteLevel =
            #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": "#
        if splitting == .gpt2 {
            writer.add(#""pre_tokenizer": \#(byteLevel)true},"#)
        } else {
            writer.add(#""pre_tokenizer": {"type": "Sequence", "pretokenizers": ["#)
            writer.add(
                #"{"type": "Split", "pattern": {"Regex": \#(Self.quoted(splitting.scanner.pattern))}, "#
                    + #""behavior": "Isolated", "invert": false},"#)
            writer.add("\(byteLevel)false}]},")
        }
        writer.add(#""post_processor": \#(byteLevel)false},"#)
        writer.add(#""decoder": \#(byteLevel)false},"#)
        writer.add(#""model": {"type": "BPE", "dropout": null, "unk_token": null,"#)
        writer.add(#""continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,"#)
        writer.add(#""byte_fallback": false, "ignore_merges": false, "vocab": {"#)
        for (id, token) in tokens.enumerated() {
            writer.add("\(quoted(token)): \(id)\(id + 1 < tokens.count ? "," : "")")
        }
        writer.add(#"}, "merges": ["#)
        for (index, (left, right)) in merges.enumerated() {
            let end = index + 1 < merges.count ? "," : ""
            writer.add("[\(quoted(tokens[Int(left)])), \(quoted(tokens[Int(right)]))]\(end)")
        }
        writer.add("]}}")
        return writer.bytes
    }

    /// The text of tokenizer_config.json.
    /// - Parameters:
    ///   - eosToken, padToken, bosToken: special tokens with a role, nil for none.
    ///   - chatTemplate: a Jinja template, nil for none.
    package func configurationJSON(
        bosToken: String? = nil, eosToken: String? = nil, padToken: String? = nil,
        maximumLength: Int = 131_072, chatTemplate: String? = nil
    ) -> [UInt8] {
        func role(_ token: String?) -> String { token.map(Self.quoted) ?? "null" }
        var writer = JSONLines()
        writer.add(#"{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,"#)
        writer.add(#""model_max_length": \#(maximumLength), "unk_token": null,"#)
        writer.add(#""bos_token": \#(role(bosToken)), "eos_token": \#(role(eosToken)),"#)
        writer.add(#""pad_token": \#(role(padToken))"#)
        if let chatTemplate { writer.add(#", "chat_template": \#(Self.quoted(chatTemplate))"#) }
        writer.add("}")
        return writer.bytes
    }

    private func quoted(_ token: [UInt8]) -> String { Self.quoted(String(decoding: token, as: UTF8.self)) }

    private static func quoted(_ text: String) -> String { JSONValue.string(text).compactText }
}

/// Text that grows line by line.
private struct JSONLines {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ line: String) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(0x0A)
    }
}
