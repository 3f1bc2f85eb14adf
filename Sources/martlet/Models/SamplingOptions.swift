// How the next token is chosen: flags with the names of the HTTP API's fields.

import ArgumentParser
import Inference
import Models

struct SamplingOptions: ParsableArguments {
    @Option(help: "Tokens to generate at most.")
    var maxNewTokens = 512

    @Option(help: "0 always takes the most probable token. The model's own default unless given, else 1.")
    var temperature: Double?

    @Option(help: "Only the most probable tokens count, as many as this; 0 for all.")
    var topK: Int?

    @Option(help: "Only the most probable tokens count, up to this share of probability.")
    var topP: Double?

    @Option(help: "Only tokens count that are at least this probable, as a share of the most probable one.")
    var minP: Double?

    @Option(help: "Above 1, what stands in the text already becomes rarer.")
    var repetitionPenalty: Double?

    @Option(help: "From -2 to 2: lowers tokens that were generated before.")
    var presencePenalty: Double?

    @Option(help: "From -2 to 2: lowers tokens by how often they were generated before.")
    var frequencyPenalty: Double?

    @Option(help: "The same seed draws the same tokens.")
    var seed: UInt64?

    @Option(help: "Text that ends the generation; may be given several times.")
    var stop: [String] = []

    @Flag(help: "Go on after the model's end token.")
    var ignoreEos = false

    @Option(
        help: ArgumentHelp(
            "JSON schema, as text or @FILE, that the output must validate against.", valueName: "SCHEMA"))
    var jsonSchema: String?

    @Option(help: "Regular expression that the whole output must match.")
    var regex: String?

    @Option(help: "The output is one of these; give it several times.")
    var choice: [String] = []

    func validate() throws {
        let constraints = (jsonSchema == nil ? 0 : 1) + (regex == nil ? 0 : 1) + (choice.isEmpty ? 0 : 1)
        if constraints > 1 { throw ValidationError("give one of --json-schema, --regex and --choice") }
        if maxNewTokens < 1 { throw ValidationError("--max-new-tokens must be at least 1") }
    }

    func parameters(_ configuration: GenerationConfiguration) throws -> SamplingParameters {
        var parameters = SamplingParameters(maxTokens: maxNewTokens)
        // Makers who want no sampling say so; then their other numbers have no meaning.
        parameters.temperature =
            temperature ?? (configuration.doSample ? configuration.temperature.map(Double.init) : nil) ?? 1
        parameters.topK = topK ?? configuration.topK ?? 0
        parameters.topP = topP ?? configuration.topP.map(Double.init) ?? 1
        parameters.minP = minP ?? configuration.minP.map(Double.init) ?? 0
        parameters.repetitionPenalty =
            repetitionPenalty ?? configuration.repetitionPenalty.map(Double.init) ?? 1
        parameters.presencePenalty = presencePenalty ?? 0
        parameters.frequencyPenalty = frequencyPenalty ?? 0
        parameters.seed = seed
        parameters.stop = stop
        parameters.ignoreEOS = ignoreEos
        if let jsonSchema {
            let text =
                jsonSchema.hasPrefix("@")
                ? String(decoding: try Environment.read(String(jsonSchema.dropFirst())), as: UTF8.self)
                : jsonSchema
            parameters.constraint = .jsonSchema(text)
        } else if let regex {
            parameters.constraint = .regex(regex)
        } else if !choice.isEmpty {
            parameters.constraint = .choice(choice)
        }
        return parameters
    }
}
