// The fields that chat and completion requests share, read into the engine's terms.
import Inference
import Models
import Text

/// What a request says beside its prompt.
struct GenerationOptions: Sendable {
    /// The name of the model or adapter as the client wrote it; nil asks for the base model.
    var model: String?
    var sampling: SamplingParameters
    /// The client's own limit of the answer's length.
    var maxTokens: Int?
    /// How many answers to a prompt, 1 to 128.
    var choices = 1
    var streams = false
    var includesUsage = false
    var usageInEveryChunk = false
    var returnsTokenIDs = false
    /// Show tokens as `token_id:123`, which also tells tokens apart whose text is the same.
    var showsTokensAsIDs = false
    /// Keep only so many of the prompt's last tokens; -1 means as many as fit.
    var truncation: Int?
    var requestID: String?
    var priority = 0
    var cacheSalt: String?

    /// More answers than this to one prompt are refused, as OpenAI does.
    static let maxChoices = 128

    /// What reading needs to know of the server.
    struct Context: Sendable {
        var tokenizer: Tokenizer
        var defaults: SamplingDefaults
        var maxModelLength: Int
    }

    init(_ fields: inout FieldReader, _ context: Context) throws(APIError) {
        sampling = context.defaults.parameters()
        model = try fields.string("model")
        try Self.refuseRemoved(&fields)
        try readSampling(&fields, context)
        try readTokens(&fields, context)
        try readAnswerShape(&fields)
        fields.ignore(Self.withoutEffect)
    }

    /// Fields that are accepted and change nothing here.
    private static let withoutEffect = [
        "user", "store", "metadata", "service_tier", "spaces_between_special_tokens", "length_penalty",
        "early_stopping", "mm_processor_kwargs", "kv_transfer_params", "vllm_xargs", "prompt_cache_key",
        "safety_identifier", "verbosity", "prediction", "modalities",
    ]

    /// Fields whose effect a client relies on, and which this server does not have.
    private static func refuseRemoved(_ fields: inout FieldReader) throws(APIError) {
        for (old, new) in [
            ("guided_json", "json"), ("guided_regex", "regex"), ("guided_choice", "choice"),
            ("guided_grammar", "grammar"), ("guided_decoding_backend", "json"),
            ("guided_whitespace_pattern", "json"),
        ] where fields.value(old) != nil {
            throw fields.refused(
                old, "was replaced by `structured_outputs`; send `\"structured_outputs\": {\"\(new)\": ...}`")
        }
        if try fields.bool("use_beam_search") == true {
            throw fields.refused("use_beam_search", "is not supported; leave it out to sample")
        }
        for key in ["logits_processors", "logprob_token_ids", "thinking_token_budget"]
        where fields.value(key) != nil {
            throw fields.refused(key, "is not supported by this server; leave it out")
        }
    }

    private mutating func readSampling(_ fields: inout FieldReader, _ context: Context) throws(APIError) {
        if let value = try fields.number("temperature") { sampling.temperature = value }
        if let value = try fields.number("top_p") { sampling.topP = value }
        if let value = try fields.int("top_k", in: .min ... .max) { sampling.topK = value }
        if let value = try fields.number("min_p") { sampling.minP = value }
        if let value = try fields.number("repetition_penalty") { sampling.repetitionPenalty = value }
        if let value = try fields.number("presence_penalty") { sampling.presencePenalty = value }
        if let value = try fields.number("frequency_penalty") { sampling.frequencyPenalty = value }
        if let seed = try fields.int("seed", in: .min ... .max) {
            sampling.seed = UInt64(bitPattern: Int64(seed))
        }
        if let value = try fields.int("min_tokens", in: .min ... .max) { sampling.minTokens = value }
        sampling.stop = try fields.strings("stop", limit: 1_000) ?? []
        if let value = try fields.bool("include_stop_str_in_output") { sampling.includeStopString = value }
        if let value = try fields.bool("ignore_eos") { sampling.ignoreEOS = value }
        if let value = try fields.bool("skip_special_tokens") { sampling.skipSpecialTokens = value }
        if let count = try fields.int("prompt_logprobs", in: .min ... .max) {
            guard count >= 0 else {
                throw fields.refused("prompt_logprobs", "must be from 0 to \(SamplingParameters.maxLogprobs)")
            }
            sampling.promptLogprobs = count
        }
    }

    private mutating func readTokens(_ fields: inout FieldReader, _ context: Context) throws(APIError) {
        let size = context.tokenizer.vocabularySize
        sampling.stopTokenIDs =
            try fields.tokenIDs("stop_token_ids", vocabularySize: size, limit: 1_024) ?? []
        sampling.allowedTokenIDs = try fields.tokenIDs(
            "allowed_token_ids", vocabularySize: size, limit: size)
        sampling.badWordsIDs = Self.badWords(
            try fields.strings("bad_words", limit: SamplingParameters.maxBadWords / 2) ?? [],
            context.tokenizer)
        guard let bias = try fields.object("logit_bias")?.objectValue else { return }
        for member in bias {
            guard let id = Int32(member.key), id >= 0, Int(id) < size else {
                throw fields.refused(
                    "logit_bias",
                    "has the key \"\(member.key.shortened)\"; keys are token ids from 0 to \(size - 1)")
            }
            guard let value = member.value.doubleValue else {
                throw fields.wrong("logit_bias.\(id)", "a number from -100 to 100", member.value)
            }
            // Out of range values are cut to it, as vLLM does.
            sampling.logitBias[id] = Float(min(max(value, -100), 100))
        }
    }

    /// A word is forbidden at the start of a text and after a space, where its tokens differ.
    private static func badWords(_ words: [String], _ tokenizer: Tokenizer) -> [[Int32]] {
        var sequences: [[Int32]] = []
        for word in words {
            let bare = tokenizer.encode(word, addSpecialTokens: false)
            guard !bare.isEmpty else { continue }
            sequences.append(bare)
            let trimmed = String(word.drop { $0 == " " })
            let spaced = tokenizer.encode(" " + trimmed, addSpecialTokens: false)
            if spaced.count == bare.count, spaced.first != bare.first { sequences.append(spaced) }
        }
        return sequences
    }

    private mutating func readAnswerShape(_ fields: inout FieldReader) throws(APIError) {
        choices = try fields.int("n", in: 1...Self.maxChoices) ?? 1
        if let best = try fields.int("best_of", in: 1...Self.maxChoices), best != choices {
            throw fields.refused("best_of", "must equal `n`: choosing among more answers is not supported")
        }
        streams = try fields.bool("stream") ?? false
        if let options = try fields.object("stream_options") {
            guard streams else { throw fields.refused("stream_options", "needs `\"stream\": true`") }
            var options = try FieldReader(options, path: fields.path(of: "stream_options"))
            includesUsage = try options.bool("include_usage") ?? false
            usageInEveryChunk = try options.bool("continuous_usage_stats") ?? false
        }
        if streams && sampling.promptLogprobs != nil {
            throw fields.refused("prompt_logprobs", "cannot be streamed; leave out `stream`")
        }
        returnsTokenIDs = try fields.bool("return_token_ids") ?? false
        showsTokensAsIDs = try fields.bool("return_tokens_as_token_ids") ?? false
        truncation = try fields.int("truncate_prompt_tokens", in: -1 ... .max)
        if truncation == 0 {
            throw fields.refused("truncate_prompt_tokens", "must be at least 1, or -1 for as many as fit")
        }
        requestID = try fields.string("request_id")
        priority = try fields.int("priority", in: .min ... .max) ?? 0
        cacheSalt = try fields.string("cache_salt")
        if cacheSalt?.isEmpty == true { throw fields.refused("cache_salt", "must not be empty") }
    }

    // MARK: After the prompt is known

    /// The prompt cut to what the request allows of it.
    func truncated(_ ids: [Int32], maxModelLength: Int) -> [Int32] {
        guard let truncation else { return ids }
        return Array(ids.suffix(truncation < 0 ? max(1, maxModelLength - 1) : truncation))
    }

    /// Sampling with the length that fits behind a prompt of so many tokens.
    func sampling(promptTokens: Int, _ context: Context) throws(APIError) -> SamplingParameters {
        let room = context.maxModelLength - promptTokens
        guard promptTokens > 0 else { throw .badRequest("the prompt is empty; send at least one token") }
        guard room > 0, (maxTokens ?? 1) <= room else {
            let wanted = maxTokens.map { "\($0) in the completion" } ?? "at least 1 in the completion"
            throw .badRequest(
                "This model's maximum context length is \(context.maxModelLength) tokens. However, you "
                    + "requested \(promptTokens) in the prompt, \(wanted). Please reduce the length of the "
                    + "prompt or the completion.",
                parameter: maxTokens == nil || room <= 0 ? nil : "max_tokens")
        }
        var result = sampling
        result.maxTokens = maxTokens ?? min(room, context.defaults.maxNewTokens ?? room)
        if let problem = result.validate(vocabularySize: context.tokenizer.vocabularySize).first {
            throw .badRequest(problem.message, parameter: problem.field)
        }
        return result
    }
}
