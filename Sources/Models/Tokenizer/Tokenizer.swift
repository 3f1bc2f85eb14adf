// Text to token ids and back, as a model's tokenizer.json says.

/// A tokenizer as Hugging Face's fast tokenizers are. It is a reference to what never changes, so that copies
/// cost nothing and any number of threads may use it at once.
package struct Tokenizer: Sendable {
    private let storage: TokenizerStorage

    /// - Parameters:
    ///   - tokenizerJSON: the text of tokenizer.json.
    ///   - configurationJSON: the text of tokenizer_config.json, if there is one.
    ///   - file: how errors name the first; the second is named beside it.
    package init(
        tokenizerJSON: [UInt8], configurationJSON: [UInt8]?, file: String = "tokenizer.json"
    ) throws(TokenizerError) {
        let slash = file.lastIndex(of: "/").map { file.index(after: $0) } ?? file.startIndex
        let configurationFile = file[..<slash] + "tokenizer_config.json"
        var configuration = TokenizerConfiguration()
        if let configurationJSON {
            configuration = try TokenizerConfiguration(configurationJSON, file: String(configurationFile))
        }
        try self.init(TokenizerFile(tokenizerJSON, file: file), configuration)
    }

    init(_ file: TokenizerFile, _ configuration: TokenizerConfiguration) throws(TokenizerError) {
        storage = TokenizerStorage(file, configuration)
    }

    /// The highest id plus one.
    package var vocabularySize: Int { storage.vocabularySize }

    /// The ids of a text. Special tokens in the text are themselves.
    /// - Parameter addSpecialTokens: whether the tokenizer's own beginning and end are added.
    package func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
        storage.encode(text, addSpecialTokens: addSpecialTokens)
    }

    /// The text of ids. Unknown ids are left out; bytes that are no UTF-8 become U+FFFD.
    package func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
        var decoder = StreamDecoder(self, skipSpecialTokens: skipSpecialTokens)
        var text: [UInt8] = []
        for id in ids { decoder.append(id, to: &text) }
        decoder.finish(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// What a token adds in the middle of a text, which may be part of a character; empty for special and
    /// unknown ids.
    package func tokenBytes(_ id: Int32) -> [UInt8] { storage.tokenBytes(id) }

    /// The token as files have it ("Ġthe"), nil for an unknown id.
    package func token(_ id: Int32) -> String? {
        storage.token(id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The id of a token as files have it, nil if there is none.
    package func id(of token: String) -> Int32? { storage.id(of: Array(token.utf8)) }

    /// Whether the token is left out where special tokens are skipped.
    package func isSpecial(_ id: Int32) -> Bool { storage.isSpecial(id) }

    package var bosToken: String? { storage.configuration.bosToken }
    package var eosToken: String? { storage.configuration.eosToken }
    package var padToken: String? { storage.configuration.padToken }
    package var unkToken: String? { storage.configuration.unkToken }
    package var bosTokenID: Int32? { bosToken.flatMap(id(of:)) }
    package var eosTokenID: Int32? { eosToken.flatMap(id(of:)) }
    package var padTokenID: Int32? { padToken.flatMap(id(of:)) }
    package var unkTokenID: Int32? { unkToken.flatMap(id(of:)) }

    /// The chat templates by name; the one without a name is "default".
    package var chatTemplates: [String: String] { storage.configuration.chatTemplates }

    /// Decoding that has not begun.
    func makeDecoder() -> TextDecoder { TextDecoder(stages: storage.decoder) }

    /// Feeds one token to a decoding.
    func feed(
        _ id: Int32, to decoder: inout TextDecoder, skipSpecialTokens: Bool, output: inout [UInt8]
    ) {
        storage.feed(id, to: &decoder, skipSpecialTokens: skipSpecialTokens, output: &output)
    }
}

/// What a tokenizer consists of.
private final class TokenizerStorage: Sendable {
    let configuration: TokenizerConfiguration
    let decoder: [DecoderStage]
    let vocabularySize: Int
    private let addedTokens: AddedTokens
    private let normalizer: Normalizer?
    private let preTokenizer: PreTokenizer
    private let model: BytePairEncoding
    private let postProcessor: PostProcessor
    /// Whether the decoder wants the bytes that the vocabulary keeps.
    private let decodesBytes: Bool

    init(_ file: TokenizerFile, _ configuration: TokenizerConfiguration) {
        self.configuration = configuration
        normalizer = file.normalizer
        preTokenizer = file.preTokenizer
        model = file.model
        var stages = file.decoder.isEmpty ? [.joinWithBlanks] : file.decoder
        if case .byteLevel = stages[0] {
            decodesBytes = file.model.vocabulary.isInByteForm
        } else {
            decodesBytes = false
        }
        if configuration.cleansUpSpaces { stages += TokenizerConfiguration.cleanUp }
        decoder = stages
        var addedTokens = AddedTokens()
        for token in file.addedTokens + configuration.addedTokens(beside: file.addedTokens) {
            addedTokens.add(token, vocabulary: file.model.vocabulary)
        }
        addedTokens.splitsSpecialTokens = configuration.splitsSpecialTokens
        addedTokens.prepare(normalizer: file.normalizer)
        self.addedTokens = addedTokens
        vocabularySize = max(file.model.vocabulary.idLimit, Int(addedTokens.highestID) + 1)
        postProcessor =
            configuration.postProcessor { token in
                addedTokens[token]?.id ?? file.model.vocabulary.id(ofToken: token)
            } ?? file.postProcessor
    }

    func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
        var text = text
        return text.withUTF8 { bytes in
            var encoder = PieceEncoder(model: model)
            encoder.ids.reserveCapacity(bytes.count / 4 + 8)
            if addSpecialTokens { encoder.ids += postProcessor.prefix }
            for part in addedTokens.parts(of: bytes, isNormalized: false) {
                if let id = part.tokenID {
                    encoder.ids.append(id)
                } else if !part.range.isEmpty {
                    encode(bytes.part(part.range), isAtStart: part.range.lowerBound == 0, &encoder)
                }
            }
            if addSpecialTokens { encoder.ids += postProcessor.suffix }
            return encoder.ids
        }
    }

    /// Encodes what is between the tokens that are looked for in the text as it came.
    private func encode(_ text: UTF8Text, isAtStart: Bool, _ encoder: inout PieceEncoder) {
        var isAtStart = isAtStart
        if let changed = normalizer?.normalized(text, isAtStart: &isAtStart) {
            changed.withUnsafeBufferPointer { encodeNormalized($0, isAtStart: isAtStart, &encoder) }
        } else {
            encodeNormalized(text, isAtStart: isAtStart, &encoder)
        }
    }

    private func encodeNormalized(_ text: UTF8Text, isAtStart: Bool, _ encoder: inout PieceEncoder) {
        guard addedTokens.hasNormalizedTokens else {
            return preTokenizer.split(text, isAtStart: isAtStart, into: &encoder)
        }
        for part in addedTokens.parts(of: text, isNormalized: true) {
            if let id = part.tokenID {
                encoder.ids.append(id)
            } else {
                preTokenizer.split(
                    text.part(part.range), isAtStart: isAtStart && part.range.lowerBound == 0,
                    into: &encoder)
            }
        }
    }

    func feed(_ id: Int32, to decoder: inout TextDecoder, skipSpecialTokens: Bool, output: inout [UInt8]) {
        let added = addedTokens[id]
        if skipSpecialTokens, let added, addedTokens.isSkipped(added) { return }
        if decodesBytes {
            if let added {
                var bytes: [UInt8] = []
                TextDecoder.appendBytes(of: added.decoded, to: &bytes)
                bytes.withUnsafeBufferPointer { decoder.append(bytes: $0, to: &output) }
            } else {
                model.vocabulary.withEntryBytes(id) { decoder.append(bytes: $0, to: &output) }
            }
        } else if let token = added?.decoded ?? model.vocabulary.token(id) {
            decoder.append(token, to: &output)
        }
    }

    func token(_ id: Int32) -> [UInt8]? { addedTokens[id]?.content ?? model.vocabulary.token(id) }

    func id(of token: [UInt8]) -> Int32? { addedTokens[token]?.id ?? model.vocabulary.id(ofToken: token) }

    func isSpecial(_ id: Int32) -> Bool { addedTokens[id]?.isSpecial ?? false }

    func tokenBytes(_ id: Int32) -> [UInt8] {
        if isSpecial(id) { return [] }
        guard let token = addedTokens[id]?.decoded ?? model.vocabulary.token(id) else { return [] }
        return DecoderStage.bytesInMiddle(of: token, stages: decoder)
    }
}

/// Encodes the pieces of a text one after another.
private struct PieceEncoder: PieceReceiver {
    private let model: BytePairEncoding
    private var scratch = BytePairEncoding.Scratch()
    var ids: [Int32] = []

    init(model: BytePairEncoding) { self.model = model }

    mutating func receive(_ piece: UTF8Text) {
        guard !model.cut.isEmpty else {
            model.encode(piece, into: &ids, scratch: &scratch)
            return
        }
        // A row of cut tokens stays together with what is behind it.
        let cut = model.cut.count
        var start = 0
        var searched = 0
        while let found = SplitPattern.find(model.cut, in: piece, from: searched) {
            if found.lowerBound > searched {
                model.encode(piece.part(start..<found.lowerBound), into: &ids, scratch: &scratch)
                start = found.lowerBound
            }
            searched = found.lowerBound + cut
        }
        model.encode(piece.part(start..<piece.count), into: &ids, scratch: &scratch)
    }
}
