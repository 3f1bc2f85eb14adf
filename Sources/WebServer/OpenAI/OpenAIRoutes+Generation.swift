// POST /v1/chat/completions and /v1/completions: from body to engine and back, whole or streamed.
import Inference
import Text

extension OpenAIRoutes {
    /// What a generating request needs beside its prompt.
    private struct Admission {
        var start: Duration
        var places: GenerationRun.Admission
        /// The adapter that the model's name stands for, nil for the base model.
        var adapter: String?
        /// The model's name in answers.
        var modelName: String
    }

    /// Nothing here asks the engine, which answers only between two steps of its work.
    private func admit(_ options: GenerationOptions, requests: Int) throws(APIError) -> Admission {
        let start = surroundings.now()
        guard let slot = gate.enter() else {
            metrics.update { $0.rejected += 1 }
            throw APIError.tooManyRequests(
                "the server answers \(settings.maxConcurrentStreams) requests at once; try again in a moment")
        }
        guard let queue = queue.enter(places: requests) else {
            metrics.update { $0.rejected += 1 }
            throw APIError.tooManyRequests(
                "\(settings.maxQueue) texts at most wait for this server; try again in a moment")
        }
        return Admission(
            start: start, places: .init(slot: slot, queue: queue), adapter: adapter(named: options.model),
            modelName: options.model ?? servedNames[0])
    }

    private func head(
        _ prefix: String, _ options: GenerationOptions, _ call: HTTPCall, _ admission: Admission
    ) -> AnswerHead {
        let own = options.requestID ?? call.headers["x-request-id"]
        return AnswerHead(
            id: prefix + (own.flatMap(Self.identifier) ?? surroundings.randomHex()),
            created: surroundings.wallSeconds(), model: admission.modelName)
    }

    /// A client's identifier if it is short and plain, because it is sent back and logged.
    private static func identifier(_ text: String) -> String? {
        let isPlain = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        return !text.isEmpty && text.utf8.count <= 128 && isPlain ? text : nil
    }

    /// The requests for the engine: every prompt as often as choices are wanted, each with a seed of its own.
    private func requests(
        _ prompts: [[Int32]], _ sampling: [SamplingParameters], _ options: GenerationOptions, id: String,
        adapter: String?
    ) -> [GenerationRequest] {
        var requests: [GenerationRequest] = []
        for (prompt, sampling) in zip(prompts, sampling) {
            for choice in 0..<options.choices {
                var sampling = sampling
                if let seed = sampling.seed { sampling.seed = seed &+ UInt64(choice) }
                requests.append(
                    GenerationRequest(
                        id: "\(id)-\(requests.count)", promptIDs: prompt, sampling: sampling,
                        adapter: adapter,
                        priority: options.priority, cacheSalt: options.cacheSalt))
            }
        }
        return requests
    }

    private func begin(_ requests: [GenerationRequest], _ admission: Admission) async throws -> GenerationRun
    {
        try await GenerationRun(
            requests, service: service, metrics: metrics, surroundings: surroundings, start: admission.start,
            timeout: settings.requestTimeout, admission: admission.places)
    }

    // MARK: Chat

    func chat(_ body: Body, _ call: HTTPCall) async throws -> HTTPReply {
        let now = moment
        let (request, plan) = try await body.prepare { [self] in
            let request = try ChatRequest(body.json, context, knowsDeveloper: prompt.knowsDeveloper)
            return (request, try ChatPlan(request, prompt, context, settings, now: now))
        }
        tell(unknownFields: request.unknownFields)
        let admission = try admit(request.options, requests: request.options.choices)
        let head = head("chatcmpl-", request.options, call, admission)
        let run = try await begin(
            requests(
                [plan.promptIDs], [plan.sampling], request.options, id: head.id, adapter: admission.adapter),
            admission)
        let response = ChatResponse(
            head: head, request: request, format: plan.format,
            report: TokenReport(
                tokenizer: context.tokenizer, showsTokensAsIDs: request.options.showsTokensAsIDs),
            promptIDs: plan.promptIDs, makeID: surroundings.randomHex)
        if request.options.streams {
            return streamed(run, call) { ChatStreamWriter(response, choices: run.streams.count) }
        }
        let choices = try await run.gather()
        return Self.json(response.whole(choices, usage: Self.usage(choices, perPrompt: choices.count)))
    }

    // MARK: Completions

    func completions(_ body: Body, _ call: HTTPCall) async throws -> HTTPReply {
        let request = try await body.prepare { [self] in try CompletionRequest(body.json, context) }
        tell(unknownFields: request.unknownFields)
        let prompts = request.prompts.map {
            request.options.truncated($0, maxModelLength: context.maxModelLength)
        }
        var sampling: [SamplingParameters] = []
        for prompt in prompts {
            sampling.append(try request.options.sampling(promptTokens: prompt.count, context))
        }
        let admission = try admit(request.options, requests: prompts.count * request.options.choices)
        let head = head("cmpl-", request.options, call, admission)
        let run = try await begin(
            requests(prompts, sampling, request.options, id: head.id, adapter: admission.adapter), admission)
        let response = CompletionResponse(
            head: head, request: request,
            report: TokenReport(
                tokenizer: context.tokenizer, showsTokensAsIDs: request.options.showsTokensAsIDs),
            prompts: prompts)
        if request.options.streams {
            return streamed(run, call) { CompletionStreamWriter(response, choices: run.streams.count) }
        }
        let choices = try await run.gather()
        var usage = Self.usage(choices, perPrompt: request.options.choices)
        if request.promptOnly { usage.completionTokens = 0 }
        return Self.json(response.whole(choices, usage: usage))
    }

    private static func usage(_ choices: [GatheredChoice], perPrompt: Int) -> TokenUsage {
        var count = UsageCount(choices: choices.count, choicesPerPrompt: perPrompt)
        for (index, choice) in choices.enumerated() {
            count.add(
                choice: index, prompt: choice.promptTokens, cached: choice.cachedTokens, new: choice.ids.count
            )
        }
        return count.total
    }

    // MARK: Streams

    /// A reply that writes events as the engine makes tokens. Errors after its beginning are data lines,
    /// because the status is sent already.
    private func streamed(
        _ run: GenerationRun, _ call: HTTPCall, makeWriter: @escaping @Sendable () -> any StreamWriter
    ) -> HTTPReply {
        let limits = GenerationRun.StreamLimits(
            heartbeat: settings.heartbeat, writeTimeout: settings.writeTimeout)
        return HTTPReply(
            headers: ServerSentEvents.headers,
            body: .stream { [self] sink in
                var writer = makeWriter()
                do {
                    try await run.stream(limits, connection: call.connection) { events in
                        let bytes = Self.bytes(events, &writer)
                        if !bytes.isEmpty { try await sink.write(bytes) }
                    }
                } catch let error where Task.isCancelled || error is ClientGone {
                    throw error
                } catch {
                    let error = translated(error, path: call.path)
                    try await sink.write(
                        ServerSentEvents.data(error.json.compactText) + ServerSentEvents.done)
                }
            })
    }

    /// The bytes for events that came together: they are written at once.
    private static func bytes(_ events: [GenerationRun.Event], _ writer: inout any StreamWriter) -> [UInt8] {
        var bytes: [UInt8] = []
        for event in events {
            let chunks: [OrderedJSON]
            switch event {
            case .heartbeat:
                bytes += ServerSentEvents.heartbeat
                continue
            case .update(let choice, let update): chunks = writer.chunks(update, choice: choice)
            case .complete: chunks = writer.ending()
            }
            for chunk in chunks { bytes += ServerSentEvents.data(chunk.compactText) }
            if case .complete = event { bytes += ServerSentEvents.done }
        }
        return bytes
    }
}
