// generation_config.json: how the model's makers mean it to be sampled, and which tokens end a text.

import Tensors
package import Text

/// Defaults for generation. What the file does not say is nil, so that a server's own default can take its place;
/// transformers' are temperature 1, top_k 50, top_p 1, repetition_penalty 1, greedy unless `do_sample`.
package struct GenerationConfiguration: Sendable, Hashable {
    package static let fileName = "generation_config.json"

    package var doSample = false
    package var temperature: Float?
    /// 0 means no limit.
    package var topK: Int?
    package var topP: Float?
    package var minP: Float?
    package var repetitionPenalty: Float?
    package var maxNewTokens: Int?
    /// With the prompt.
    package var maxLength: Int?
    package var bosTokenID: Int32?
    package var eosTokenIDs: [Int32] = []
    package var padTokenID: Int32?
    /// The file as it was, an empty object where there is none.
    package var json: OrderedJSON = .object([])

    /// Nothing said.
    package init() {}

    /// Reads `generation_config.json`; a directory without one gives what `init()` does.
    package init(directory: String) throws(ConfigurationError) {
        let path = "\(directory)/\(Self.fileName)"
        guard SmallFile.exists(path) else {
            self.init()
            return
        }
        try self.init(ConfigurationFields(path: path))
    }

    /// - Parameter file: the path, for errors.
    package init(parsing bytes: [UInt8], file: String) throws(ConfigurationError) {
        try self.init(ConfigurationFields(parsing: bytes, file: file))
    }

    private init(_ fields: ConfigurationFields) throws(ConfigurationError) {
        json = fields.json
        doSample = try fields.bool("do_sample") ?? false
        temperature = try fields.double("temperature", in: 0...1000).map { Float($0) }
        topK = try fields.int("top_k", in: -1...Int(Int32.max)).map { max($0, 0) }
        topP = try fields.double("top_p", in: 0...1).map { Float($0) }
        minP = try fields.double("min_p", in: 0...1).map { Float($0) }
        repetitionPenalty = try fields.double("repetition_penalty", in: 1e-3...1e3).map { Float($0) }
        maxNewTokens = try fields.int("max_new_tokens", in: 0...Int(Int32.max))
        maxLength = try fields.int("max_length", in: 0...Int(Int32.max))
        bosTokenID = try fields.tokenID("bos_token_id")
        eosTokenIDs = try fields.tokenIDs("eos_token_id")
        padTokenID = try fields.tokenID("pad_token_id")
    }
}
