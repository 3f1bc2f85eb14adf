// What a request that says nothing of sampling gets: the model's own generation_config.json, as vLLM has it.
package import Inference
package import Models

/// Values for fields that a request leaves out; nil leaves OpenAI's default.
package struct SamplingDefaults: Sendable, Hashable {
    package var temperature: Double?
    package var topP: Double?
    package var topK: Int?
    package var minP: Double?
    package var repetitionPenalty: Double?
    /// The length of answers whose request names none; nil lets them fill the model's context.
    package var maxNewTokens: Int?

    package init(
        temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil, minP: Double? = nil,
        repetitionPenalty: Double? = nil, maxNewTokens: Int? = nil
    ) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.maxNewTokens = maxNewTokens
    }

    /// The defaults that a model's makers recommend. Numbers are taken by their decimal text, so that 0.7 in
    /// the file is the same number as 0.7 in a request.
    package init(_ configuration: GenerationConfiguration) {
        func exact(_ value: Float?) -> Double? { value.flatMap { Double("\($0)") } }
        self.init(
            temperature: exact(configuration.temperature), topP: exact(configuration.topP),
            topK: configuration.topK, minP: exact(configuration.minP),
            repetitionPenalty: exact(configuration.repetitionPenalty),
            maxNewTokens: configuration.maxNewTokens)
    }

    /// Sampling as these defaults want it, before a request's own fields.
    package func parameters() -> SamplingParameters {
        var parameters = SamplingParameters(maxTokens: 1)
        if let temperature { parameters.temperature = temperature }
        if let topP { parameters.topP = topP }
        if let topK { parameters.topK = topK }
        if let minP { parameters.minP = minP }
        if let repetitionPenalty { parameters.repetitionPenalty = repetitionPenalty }
        return parameters
    }
}
