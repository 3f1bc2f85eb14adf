// The model of an evaluation: loaded into this process, or asked over the network.

import Evaluation
import Models
import Tensors
import Text

/// A model that is ready to be asked, and what reports say of it.
struct EvaluationModel: Sendable {
    let model: any SampleModel
    /// What tells it and its settings apart.
    let identity: OrderedJSON

    /// What knows the model's tokens and its chat template; nil for a server's model without a tokenizer
    /// here. It is read long before the weights, so that data are read before them, too.
    static func renderer(_ request: EvaluateRequest) throws -> PromptRenderer? {
        guard let directory = request.tokenizer else { return nil }
        do {
            return try PromptRenderer(
                tokenizer: Tokenizer(directory: directory), now: Environment.now())
        } catch let error as ChatTemplateError {
            throw CommandError("\(directory): the chat template: \(error)", status: 2)
        }
    }

    /// Loads the model, or looks for the server.
    static func open(_ request: EvaluateRequest, _ renderer: PromptRenderer?) async throws -> EvaluationModel
    {
        switch request.model {
        case .local(let directory, let adapter):
            guard let renderer else { throw CommandError("the model has no tokenizer", status: 2) }
            return try local(request, directory, adapter, renderer)
        case .remote(let address, let name, let key):
            return try await remote(request, address, name, key, renderer)
        }
    }

    // MARK: In this process

    private static func local(
        _ request: EvaluateRequest, _ directory: String, _ adapter: String?, _ renderer: PromptRenderer
    ) throws -> EvaluationModel {
        let pool = try ThreadPool(threads: request.threads)
        let total = try ModelConfiguration(directory: directory).numHiddenLayers
        let progress = ProgressLine("loading")
        let model = try CausalLanguageModel(
            directory: directory, quantization: request.quantization, pool: pool
        ) { progress.show($0, of: total) }
        progress.finish()
        var settings = LocalModelSettings()
        settings.maxLength = request.maxLength
        settings.maxRunning = request.batchSize
        settings.adapter = adapter
        settings.endIDs = try GenerationConfiguration(directory: directory).eosTokenIDs
        let sampleModel = try LocalSampleModel(
            model: model, renderer: renderer, pool: pool, settings: settings)
        var identity: [OrderedJSON.Member] = [
            .init(key: "path", value: .string(Environment.absolute(directory))),
            .init(key: "sampled_sha256", value: .string(ModelIdentity.digest(directory: directory))),
            .init(key: "quant", value: .string(request.quantization.rawValue)),
        ]
        if let adapter {
            identity.append(.init(key: "adapter", value: .string(Environment.absolute(adapter))))
            identity.append(
                .init(
                    key: "adapter_sampled_sha256", value: .string(ModelIdentity.digest(directory: adapter))))
        }
        identity += Self.settings(request)
        return EvaluationModel(model: sampleModel, identity: .object(identity))
    }

    // MARK: Behind an address

    private static func remote(
        _ request: EvaluateRequest, _ address: String, _ name: String, _ key: String?,
        _ renderer: PromptRenderer?
    ) async throws -> EvaluationModel {
        let transport = DownloaderTransport(address: address, key: key, connections: request.batchSize)
        var settings = RemoteModelSettings(model: name)
        settings.concurrency = request.batchSize
        settings.renderer = renderer
        if let tokenizer = renderer?.tokenizer {
            guard let prefix = tokenizer.bosTokenID ?? tokenizer.eosTokenID else {
                throw CommandError(
                    "the tokenizer names no token that begins or ends a text; leave --tokenizer out",
                    status: 2)
            }
            let told = try await RemoteSampleModel.maxLength(
                transport, model: name, retries: settings.retries)
            // A place for the token that servers want to write, and one for the last rated token, which is
            // sent, too.
            let length = min(request.maxLength ?? .max, told ?? request.maxLength ?? 2048) - 2
            settings.encoder = LikelihoodTokenizer(
                tokenizer: tokenizer, prefixID: prefix, maxLength: max(1, length))
        }
        let identity: [OrderedJSON.Member] = [
            .init(key: "api_url", value: .string(transport.root)), .init(key: "name", value: .string(name)),
            .init(key: "prompts", value: .string(settings.encoder == nil ? "texts" : "tokens")),
        ]
        return EvaluationModel(
            model: RemoteSampleModel(transport, settings),
            identity: .object(identity + Self.settings(request)))
    }

    /// What of the settings changes answers and is not the tasks'.
    private static func settings(_ request: EvaluateRequest) -> [OrderedJSON.Member] {
        var members: [OrderedJSON.Member] = [
            .init(key: "temperature", value: .double(request.sampling.temperature)),
            .init(key: "top_p", value: .double(request.sampling.topP)),
            .init(key: "top_k", value: request.sampling.topK.map { .int($0) } ?? .null),
            .init(key: "max_length", value: request.maxLength.map { .int($0) } ?? .null),
        ]
        if request.programSeconds != 4 {
            members.append(.init(key: "timeout", value: .double(request.programSeconds)))
        }
        return members
    }
}
