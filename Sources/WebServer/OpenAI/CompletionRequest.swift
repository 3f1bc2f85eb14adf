// The bodies of POST /v1/completions and /v1/embeddings, which both take texts or token ids.
import Inference
import Models
import Text

/// One or many prompts, each a text or its token ids.
enum PromptField {
    /// More prompts than this are refused.
    static let maxPrompts = 2_048

    /// Reads a string, an array of strings, an array of ids, or an array of arrays of ids.
    static func read(
        _ fields: inout FieldReader, _ key: String, tokenizer: Tokenizer, addsSpecialTokens: Bool
    ) throws(APIError) -> [[Int32]] {
        let wanted = "a string, an array of strings, an array of token ids, or an array of such arrays"
        guard let value = fields.value(key) else { throw fields.missing(key, wanted) }
        let size = tokenizer.vocabularySize
        if let text = value.stringValue {
            return [tokenizer.encode(text, addSpecialTokens: addsSpecialTokens)]
        }
        guard let elements = value.arrayValue else { throw fields.wrong(key, wanted, value) }
        guard let first = elements.first else { throw fields.refused(key, "must not be empty") }
        if case .int = first {
            return [try fields.tokenIDs(value, named: key, vocabularySize: size, limit: .max)]
        }
        guard elements.count <= maxPrompts else {
            throw fields.refused(key, "must have at most \(maxPrompts) prompts; send more requests")
        }
        var prompts: [[Int32]] = []
        for (index, element) in elements.enumerated() {
            if let text = element.stringValue {
                prompts.append(tokenizer.encode(text, addSpecialTokens: addsSpecialTokens))
            } else if element.arrayValue != nil {
                prompts.append(
                    try fields.tokenIDs(element, named: "\(key)[\(index)]", vocabularySize: size, limit: .max)
                )
            } else {
                throw fields.wrong("\(key)[\(index)]", "a string or an array of token ids", element)
            }
        }
        return prompts
    }
}

/// A completion request: prompts as ids, and what to do with them.
struct CompletionRequest: Sendable {
    var options: GenerationOptions
    var prompts: [[Int32]]
    /// Begin each answer with its prompt.
    var echoes = false
    /// How many alternatives to report for each token, nil for no log-probabilities.
    var logprobs: Int?
    /// With `echo` and a limit of 0 tokens nothing is generated: the prompt alone is asked about.
    var promptOnly = false
    /// Whether `prompt_logprobs` was in the request; `echo` with `logprobs` makes the engine report them,
    /// too.
    var asksForPromptLogprobs = false
    var unknownFields: [String] = []

    init(_ body: OrderedJSON, _ context: GenerationOptions.Context) throws(APIError) {
        var fields = try FieldReader(body)
        options = try GenerationOptions(&fields, context)
        options.sampling.constraint = try StructuredOutput.read(&fields)
        let addsSpecialTokens = try fields.bool("add_special_tokens") ?? true
        prompts = try PromptField.read(
            &fields, "prompt", tokenizer: context.tokenizer, addsSpecialTokens: addsSpecialTokens)
        echoes = try fields.bool("echo") ?? false
        if let suffix = try fields.string("suffix"), !suffix.isEmpty {
            throw fields.refused("suffix", "is not supported; put what comes after into the prompt")
        }
        // OpenAI's default here is 16, unlike chat's.
        let limit = try fields.int("max_tokens", in: 0 ... .max) ?? 16
        options.maxTokens = limit
        if limit == 0 {
            guard echoes else {
                throw fields.refused("max_tokens", "must be at least 1, unless `echo` is true")
            }
            promptOnly = true
            options.maxTokens = 1
        }
        try readLogprobs(&fields)
        guard prompts.count * options.choices <= PromptField.maxPrompts else {
            throw fields.refused("n", "times the number of prompts must be at most \(PromptField.maxPrompts)")
        }
        unknownFields = fields.unknown
    }

    private mutating func readLogprobs(_ fields: inout FieldReader) throws(APIError) {
        asksForPromptLogprobs = options.sampling.promptLogprobs != nil
        if case .bool(false)? = fields.value("logprobs") { return }
        logprobs = try fields.int("logprobs", in: 0...SamplingParameters.maxLogprobs)
        options.sampling.logprobs = logprobs
        guard echoes, let logprobs else { return }
        options.sampling.promptLogprobs = max(logprobs, options.sampling.promptLogprobs ?? 0)
    }
}

/// An embedding request.
struct EmbeddingRequest: Sendable {
    var model: String?
    var inputs: [[Int32]]
    /// Little-endian 32-bit floats in base64, as OpenAI's Python client asks for, instead of an array.
    var usesBase64 = false
    var normalizes = true
    var dimensions: Int?
    var unknownFields: [String] = []

    init(_ body: OrderedJSON, _ context: GenerationOptions.Context) throws(APIError) {
        var fields = try FieldReader(body)
        model = try fields.string("model")
        let addsSpecialTokens = try fields.bool("add_special_tokens") ?? true
        inputs = try PromptField.read(
            &fields, "input", tokenizer: context.tokenizer, addsSpecialTokens: addsSpecialTokens)
        switch try fields.string("encoding_format") {
        case nil, "float": break
        case "base64": usesBase64 = true
        case let other?:
            throw fields.refused("encoding_format", "must be float or base64, not \"\(other.shortened)\"")
        }
        normalizes = try fields.bool("normalize") ?? true
        dimensions = try fields.int("dimensions", in: 1 ... .max)
        let truncation = try fields.int("truncate_prompt_tokens", in: -1 ... .max)
        fields.ignore(["user", "priority", "request_id"])
        for (index, input) in inputs.enumerated() {
            if let truncation {
                inputs[index] = Array(input.suffix(truncation < 0 ? context.maxModelLength : truncation))
            }
            let count = inputs[index].count
            guard count > 0 else { throw fields.refused("input", "has an empty text; leave it out") }
            guard count <= context.maxModelLength else {
                throw fields.refused(
                    "input",
                    "has \(count) tokens, but this model reads at most \(context.maxModelLength); send "
                        + "less, or `truncate_prompt_tokens`")
            }
        }
        unknownFields = fields.unknown
    }
}
