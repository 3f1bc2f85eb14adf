// A tokenizer for tests whose ids can be read: one token a byte, its id the byte's value, and a few
// special ones.
import Models
import Text

enum ByteTokenizer {
    static let endOfText: Int32 = 258
    static let special = ["<|im_start|>", "<|endoftext|>", "<|im_end|>"]

    /// A template in the manner of Qwen's, small enough to compute its text by hand.
    static let chatTemplate = """
        {%- if tools %}
        {{- '<|im_start|>tools <tool_call> ' + tools[0].function.name + '<|im_end|>\\n' }}
        {%- endif %}
        {%- for message in messages %}
        {%- if message.role == 'forbidden' %}{{- raise_exception('no such role') }}{%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
        """

    static func make(chatTemplate: String? = chatTemplate) throws -> Tokenizer {
        var vocabulary: [OrderedJSON.Member] = []
        for (byte, letter) in letters().enumerated() {
            vocabulary.append(.init(key: letter, value: .int(byte)))
        }
        let added = special.enumerated().map { index, token in
            object([
                ("id", .int(256 + index)), ("content", .string(token)), ("special", .bool(true)),
                ("single_word", .bool(false)), ("lstrip", .bool(false)), ("rstrip", .bool(false)),
                ("normalized", .bool(false)),
            ])
        }
        let byteLevel = object([
            ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("trim_offsets", .bool(true)),
            ("use_regex", .bool(false)),
        ])
        let file = object([
            ("version", .string("1.0")), ("truncation", .null), ("padding", .null),
            ("added_tokens", .array(added)), ("normalizer", .null), ("pre_tokenizer", byteLevel),
            ("post_processor", .null), ("decoder", byteLevel),
            (
                "model",
                object([
                    ("type", .string("BPE")), ("dropout", .null), ("unk_token", .null),
                    ("continuing_subword_prefix", .null), ("end_of_word_suffix", .null),
                    ("fuse_unk", .bool(false)),
                    ("byte_fallback", .bool(false)), ("vocab", .object(vocabulary)), ("merges", .array([])),
                ])
            ),
        ])
        var configuration: [(String, OrderedJSON)] = [
            ("eos_token", .string("<|im_end|>")), ("pad_token", .string("<|endoftext|>")),
            ("tokenizer_class", .string("Qwen2Tokenizer")),
        ]
        if let chatTemplate { configuration.append(("chat_template", .string(chatTemplate))) }
        return try Tokenizer(
            tokenizerJSON: Array(file.compactText.utf8),
            configurationJSON: Array(object(configuration).compactText.utf8), file: "tokenizer.json")
    }

    static func object(_ members: [(String, OrderedJSON)]) -> OrderedJSON {
        .object(members.map { .init(key: $0.0, value: $0.1) })
    }

    /// The letters that byte-level vocabularies write for the bytes 0 to 255: printable ones for themselves,
    /// the others from U+0100 on.
    private static func letters() -> [String] {
        var next: UInt32 = 256
        return (0..<256).map { byte in
            let isPrintable =
                (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
            var value = UInt32(byte)
            if !isPrintable {
                value = next
                next += 1
            }
            return Unicode.Scalar(value).map { String(Character($0)) } ?? ""
        }
    }
}
