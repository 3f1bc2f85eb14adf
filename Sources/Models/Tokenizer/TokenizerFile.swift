// Reads tokenizer.json: the model straight from the text, since it is large, the small parts as trees.

import Text

/// What tokenizer.json says.
struct TokenizerFile {
    static let remedy = "take the file from the model's publisher again, or use another tokenizer"

    var addedTokens: [AddedToken] = []
    var normalizer: Normalizer?
    var preTokenizer = PreTokenizer(stages: [])
    var postProcessor = PostProcessor()
    /// Empty: no decoder, tokens are joined with blanks.
    var decoder: [DecoderStage] = []
    var model: BytePairEncoding

    init(_ bytes: [UInt8], file: String) throws(TokenizerError) {
        guard Self.isUTF8(bytes) else {
            throw TokenizerError(file: file, problem: "not UTF-8", remedy: Self.remedy)
        }
        do {
            try self.init(validated: bytes, file: file)
        } catch let error as TokenizerError {
            throw error
        } catch let error as JSONParseError {
            throw TokenizerError(
                file: file, field: "line \(error.line), column \(error.column)", problem: error.message,
                remedy: "the file is damaged or was not downloaded whole; fetch it again")
        } catch {
            throw TokenizerError(file: file, problem: "\(error)")
        }
    }

    private static func isUTF8(_ bytes: [UInt8]) -> Bool {
        do {
            _ = try UTF8Span(validating: bytes.span)
            return true
        } catch {
            return false
        }
    }

    private init(validated bytes: [UInt8], file: String) throws {
        var reader = JSONReader(bytes)
        var sections: [String: JSONValue] = [:]
        var model = ModelReader(file: file)
        let components = ComponentReader(file: file)
        guard try reader.peek() == .object else { throw reader.failure("expected an object") }
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if key == "model" {
                // The model's form depends on the pre-tokenizer, which is usually known by now.
                let stages = try sections["pre_tokenizer"].map { try components.preTokenizer($0) }
                try model.read(&reader, mayKeepBytes: stages.map(Self.endsInBytes))
            } else {
                sections[key] = try reader.readValue()
            }
        }
        try reader.finish()
        addedTokens = try components.addedTokens(sections["added_tokens"] ?? .null)
        normalizer = try components.normalizer(sections["normalizer"] ?? .null)
        let stages = try components.preTokenizer(sections["pre_tokenizer"] ?? .null)
        postProcessor = try components.postProcessor(sections["post_processor"] ?? .null)
        decoder = try components.decoder(sections["decoder"] ?? .null)
        self.model = try model.finish(mayKeepBytes: Self.endsInBytes(stages))
        // Where the vocabulary is in bytes, the last stage need not write them as characters.
        preTokenizer = PreTokenizer(
            stages: self.model.vocabulary.isInByteForm ? Self.withoutMapping(stages) : stages)
    }

    /// Whether pieces are made of visible bytes by the last stage, and by no other.
    private static func endsInBytes(_ stages: [PreTokenizerStage]) -> Bool {
        let mapping = stages.indices.filter {
            if case .byteLevel = stages[$0] { return true }
            return false
        }
        return mapping == [stages.count - 1]
    }

    private static func withoutMapping(_ stages: [PreTokenizerStage]) -> [PreTokenizerStage] {
        stages.map { stage in
            guard case .byteLevel(let addsPrefixSpace, let pattern, _) = stage else { return stage }
            return .byteLevel(addsPrefixSpace: addsPrefixSpace, pattern: pattern, mapsBytes: false)
        }
    }
}
