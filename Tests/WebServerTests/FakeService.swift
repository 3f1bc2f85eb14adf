// An engine for tests: it says what its script says, and remembers what it was asked and what was given up.
import Inference
import Models
import Synchronization

final class FakeService: InferenceService {
    /// What a request is answered with.
    struct Script: Sendable {
        var updates: [GenerationUpdate] = []
        /// Thrown behind the updates.
        var failure: (any Error)?
        /// Go on without an end: after the updates nothing comes until the request is given up.
        var isEndless = false

        /// A text, in pieces of so many characters, with everything that the request asked for.
        static func text(
            _ text: String, for request: GenerationRequest, pieceLength: Int = 3, finish: FinishReason = .stop
        ) -> Script {
            var updates: [GenerationUpdate] = []
            var rest = Substring(text)
            repeat {
                let piece = rest.prefix(pieceLength)
                rest = rest.dropFirst(pieceLength)
                let ids = piece.utf8.map { Int32($0) }
                var update = GenerationUpdate(
                    newIDs: ids, text: String(piece), logprobs: [], finishReason: rest.isEmpty ? finish : nil,
                    stopReason: nil, promptTokens: request.promptIDs.count, cachedTokens: 2,
                    promptLogprobs: nil)
                if let count = request.sampling.logprobs { update.logprobs = ids.map { logprob($0, count) } }
                if updates.isEmpty, let count = request.sampling.promptLogprobs {
                    update.promptLogprobs = request.promptIDs.enumerated().map {
                        $0 == 0 ? nil : logprob($1, count)
                    }
                }
                updates.append(update)
            } while !rest.isEmpty
            return Script(updates: updates)
        }

        private static func logprob(_ id: Int32, _ count: Int) -> TokenLogprob {
            let top = (0..<count).map {
                TokenLogprob.Alternative(id: id + Int32($0), logprob: -0.5 - Float($0))
            }
            return TokenLogprob(id: id, logprob: -0.5, rank: 1, top: top)
        }
    }

    private struct State {
        var requests: [GenerationRequest] = []
        var adapters: [String] = []
    }

    let modelName = "fake-model"
    let maxModelLength: Int
    let tokenizer: Tokenizer
    private let script: @Sendable (GenerationRequest) throws -> Script
    private let state = Mutex(State())
    /// The identifiers of requests whose stream was ended from outside.
    let givenUp: AsyncStream<String>
    private let giveUp: AsyncStream<String>.Continuation

    init(
        tokenizer: Tokenizer, maxModelLength: Int = 2_048,
        script: @escaping @Sendable (GenerationRequest) throws -> Script = { .text("Hello!", for: $0) }
    ) {
        self.tokenizer = tokenizer
        self.maxModelLength = maxModelLength
        self.script = script
        (givenUp, giveUp) = AsyncStream.makeStream()
    }

    convenience init(_ script: @escaping @Sendable (GenerationRequest) throws -> Script) throws {
        self.init(tokenizer: try ByteTokenizer.make(), script: script)
    }

    /// Says the same text to every request.
    convenience init(saying text: String) throws {
        try self.init { .text(text, for: $0) }
    }

    var requests: [GenerationRequest] { state.withLock { $0.requests } }

    func generate(
        _ request: GenerationRequest
    ) async throws -> AsyncThrowingStream<GenerationUpdate, any Error> {
        if let adapter = request.adapter, await !adapterNames().contains(adapter) {
            throw EngineError.unknownAdapter(adapter)
        }
        state.withLock { $0.requests.append(request) }
        let script = try script(request)
        return AsyncThrowingStream { continuation in
            continuation.onTermination = { [giveUp] termination in
                if case .cancelled = termination { giveUp.yield(request.id) }
            }
            for update in script.updates { continuation.yield(update) }
            if !script.isEndless { continuation.finish(throwing: script.failure) }
        }
    }

    /// The ids themselves, so that tests see which input gave which vector.
    func embed(_ ids: [Int32], adapter: String?) async throws -> [Float] {
        if let adapter, await !adapterNames().contains(adapter) { throw EngineError.unknownAdapter(adapter) }
        return [Float(ids.first ?? 0), Float(ids.count), 0, adapter == nil ? 0 : 1]
    }

    func loadAdapter(name: String, path: String) async throws {
        if path.contains("missing") { throw EngineError.badRequest("no adapter_config.json in \(path)") }
        state.withLock { $0.adapters.append(name) }
    }

    func unloadAdapter(name: String) async throws { state.withLock { $0.adapters.removeAll { $0 == name } } }

    func adapterNames() async -> [String] { state.withLock { $0.adapters } }

    func statistics() async -> EngineStatistics { EngineStatistics() }

    func drain() async {}
}
