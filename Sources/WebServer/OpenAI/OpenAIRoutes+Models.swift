// Models, adapters, tokens, embeddings and metrics: the routes beside generation.
import Foundation
import Inference
import Text

extension OpenAIRoutes {
    /// Names of the base model, at least one.
    var servedNames: [String] {
        settings.servedModelNames.isEmpty ? [service.modelName] : settings.servedModelNames
    }

    /// The adapter that a request's model stands for, nil for the base model. Whether it is loaded the engine
    /// knows.
    func adapter(named model: String?) -> String? {
        guard let model else { return nil }
        return servedNames.contains { $0.utf8.elementsEqual(model.utf8) } ? nil : model
    }

    // MARK: Models

    private func card(_ id: String, parent: String?) -> OrderedJSON {
        .object([
            .init("id", .string(id)), .init("object", .string("model")),
            .init("created", .int(surroundings.wallSeconds())), .init("owned_by", .string("martlet")),
            .init("root", .string(parent == nil ? settings.modelRoot ?? service.modelName : id)),
            .init("parent", parent.map { .string($0) } ?? .null),
            .init("max_model_len", .int(service.maxModelLength)),
            .init("permission", .array([])),
        ])
    }

    private func cards() async -> [(id: String, card: OrderedJSON)] {
        let base = servedNames.map { ($0, card($0, parent: nil)) }
        return base + (await service.adapterNames()).map { ($0, card($0, parent: servedNames[0])) }
    }

    func models() async -> HTTPReply {
        Self.json(
            .object([.init("object", .string("list")), .init("data", .array(await cards().map(\.card)))]))
    }

    func model(_ name: String) async throws -> HTTPReply {
        let found = await cards().first { $0.id.utf8.elementsEqual(name.utf8) }
        guard let found else { throw APIError.unknownModel(name) }
        return Self.json(found.card)
    }

    // MARK: Adapters

    private func checkAdapterLoading() throws(APIError) {
        guard settings.allowsAdapterLoading else {
            throw .forbidden("this server does not load adapters by request; start it with them instead")
        }
    }

    func loadAdapter(_ body: OrderedJSON) async throws -> HTTPReply {
        try checkAdapterLoading()
        var fields = try FieldReader(body)
        let name = try fields.requiredString("lora_name")
        let path = try fields.requiredString("lora_path")
        let replaces = try fields.bool("load_inplace") ?? false
        guard !name.isEmpty, !path.isEmpty else {
            throw APIError.badRequest("`lora_name` and `lora_path` must not be empty", parameter: "lora_name")
        }
        let isLoaded = await service.adapterNames().contains(name)
        if servedNames.contains(name) || (isLoaded && !replaces) {
            throw APIError.badRequest(
                "a model or adapter named '\(name.shortened)' is served already; unload it first, or send "
                    + "`\"load_inplace\": true`",
                parameter: "lora_name")
        }
        if isLoaded { try await service.unloadAdapter(name: name) }
        do {
            try await service.loadAdapter(name: name, path: path)
        } catch let error where !(error is CancellationError) {
            // What is wrong with an adapter's files is for the one who named them.
            throw APIError.badRequest("the adapter was not loaded: \(error)", parameter: "lora_path")
        }
        return Self.text("Success: LoRA adapter '\(name)' added successfully.")
    }

    func unloadAdapter(_ body: OrderedJSON) async throws -> HTTPReply {
        try checkAdapterLoading()
        var fields = try FieldReader(body)
        let name = try fields.requiredString("lora_name")
        guard await service.adapterNames().contains(name) else {
            throw APIError.notFound(
                "no adapter named '\(name.shortened)' is loaded", parameter: "lora_name")
        }
        try await service.unloadAdapter(name: name)
        return Self.text("Success: LoRA adapter '\(name)' removed successfully.")
    }

    // MARK: Tokens

    func tokenize(_ body: Body) async throws -> HTTPReply {
        let now = moment
        return try await body.prepare { [self] in
            Self.json(try TokenRequests.tokenize(body.json, context, prompt, now: now))
        }
    }

    func detokenize(_ body: Body) async throws -> HTTPReply {
        try await body.prepare { [self] in Self.json(try TokenRequests.detokenize(body.json, context)) }
    }

    // MARK: Embeddings

    func embeddings(_ body: Body) async throws -> HTTPReply {
        let request = try await body.prepare { [self] in try EmbeddingRequest(body.json, context) }
        tell(unknownFields: request.unknownFields)
        let adapter = adapter(named: request.model)
        guard let slot = gate.enter() else {
            throw APIError.tooManyRequests("too many requests are answered; try again in a moment")
        }
        defer { withExtendedLifetime(slot) {} }
        var data: [OrderedJSON] = []
        for (index, input) in request.inputs.enumerated() {
            var vector = try await service.embed(input, adapter: adapter)
            if let dimensions = request.dimensions, dimensions != vector.count {
                throw APIError.badRequest(
                    "`dimensions` must be \(vector.count): this model's embeddings cannot be shortened",
                    parameter: "dimensions")
            }
            if request.normalizes { Self.normalize(&vector) }
            data.append(
                .object([
                    .init("object", .string("embedding")), .init("index", .int(index)),
                    .init("embedding", Self.embedding(vector, base64: request.usesBase64)),
                ]))
        }
        let tokens = request.inputs.reduce(0) { $0 + $1.count }
        return Self.json(
            .object([
                .init("id", .string("embd-" + surroundings.randomHex())), .init("object", .string("list")),
                .init("created", .int(surroundings.wallSeconds())),
                .init("model", .string(request.model ?? servedNames[0])), .init("data", .array(data)),
                .init(
                    "usage",
                    .object([
                        .init("prompt_tokens", .int(tokens)), .init("total_tokens", .int(tokens)),
                    ])),
            ]))
    }

    /// Scales a vector to length 1; a vector of zeros stays.
    static func normalize(_ vector: inout [Float]) {
        let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard length > 0, length.isFinite else { return }
        for index in vector.indices { vector[index] = Float(Double(vector[index]) / length) }
    }

    static func embedding(_ vector: [Float], base64: Bool) -> OrderedJSON {
        guard base64 else { return .array(vector.map { .double(Double($0)) }) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(vector.count * 4)
        for value in vector {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return .string(Data(bytes).base64EncodedString())
    }

    // MARK: Metrics

    func metricsReply() async -> HTTPReply {
        let text = metrics.text(
            modelName: servedNames[0], engine: await service.statistics(),
            adapters: await service.adapterNames())
        return HTTPReply(
            headers: [("Content-Type", MetricsText.contentType)], body: .bytes(Array(text.utf8)))
    }
}
