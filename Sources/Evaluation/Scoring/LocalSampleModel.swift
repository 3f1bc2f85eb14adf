// A model in this process as evaluations ask it: likelihoods by the rater, texts by the engine.

import Inference
package import Models
package import Tensors

/// How a model in this process is used.
package struct LocalModelSettings: Sendable, Hashable {
    /// Tokens that the model reads at most; nil for its own limit.
    package var maxLength: Int?
    /// Tokens of a step that rates.
    package var stepTokens = 512
    /// Texts that are written at once.
    package var maxRunning = 16
    /// Tokens that end a text beside those of config.json.
    package var endIDs: [Int32] = []
    /// Directory of a LoRA adapter that is not merged.
    package var adapter: String?

    package init() {}
}

/// A model, its tokenizer and the memory that rating needs.
package struct LocalSampleModel: SampleModel {
    private let model: CausalLanguageModel
    private let pool: ThreadPool
    private let settings: LocalModelSettings
    private let rater: TokenRater
    private let encoder: LikelihoodTokenizer
    package let renderer: PromptRenderer

    /// Requests that are put in order together. What they share beyond their own number is computed again,
    /// which is little, and this bounds the memory for their tokens.
    static let requestsAtOnce = 4096
    /// Windows of whole texts that are put in order together, and the last text's rest.
    static let windowsAtOnce = 256

    /// - Throws: `ScoringError` for a model that has no token to begin with, `OutOfMemory`, `ModelError`
    ///   for an adapter
    ///   that does not fit.
    package init(
        model: CausalLanguageModel, renderer: PromptRenderer, pool: ThreadPool,
        settings: LocalModelSettings = LocalModelSettings()
    ) throws {
        self.model = model
        self.pool = pool
        self.settings = settings
        self.renderer = renderer
        let tokenizer = renderer.tokenizer
        let configuration = model.configuration
        guard
            let prefix = tokenizer.bosTokenID ?? tokenizer.eosTokenID ?? configuration.bosTokenID
                ?? configuration.eosTokenIDs.first
        else {
            throw ScoringError(
                "the model names no token that begins or ends a text",
                remedy: "write bos_token or eos_token into its tokenizer_config.json")
        }
        let limit = configuration.maxPositionEmbeddings
        encoder = LikelihoodTokenizer(
            tokenizer: tokenizer, prefixID: prefix, maxLength: max(1, min(settings.maxLength ?? limit, limit))
        )
        let adapter = try settings.adapter.map {
            try LoRAAdapter(name: "adapter", directory: $0, model: model, pool: pool)
        }
        rater = try TokenRater(
            model: model, pool: pool, adapter: adapter, stepTokens: max(16, settings.stepTokens))
    }

    /// Tokens that the rater has computed; what shared beginnings save is not in it.
    package var computedTokens: Int { get async { await rater.computedTokens } }

    // MARK: Likelihoods

    package func logLikelihoods(
        _ requests: [LikelihoodRequest], each: (Int, LikelihoodResult) throws -> Void
    ) async throws {
        for start in stride(from: 0, to: requests.count, by: Self.requestsAtOnce) {
            let end = min(start + Self.requestsAtOnce, requests.count)
            let rows = try await rows(of: Array(requests[start..<end]))
            try await rate(rows) { row, rating in
                try each(
                    start + row,
                    LikelihoodResult(sum: rating.sum, isGreedy: rating.isGreedy, tokens: rating.tokens))
            }
        }
    }

    package func rollingLogLikelihoods(
        _ texts: [String], each: (Int, RollingLikelihood) throws -> Void
    ) async throws {
        var next = 0
        while next < texts.count {
            // Short texts are rated together, so that steps are full.
            var rows: [RatedTokens] = []
            var owners: [Int] = []
            var missing: [Int: Int] = [:]
            while next < texts.count, rows.count < Self.windowsAtOnce {
                let windows = encoder.rollingRows(texts[next])
                rows += windows
                owners += [Int](repeating: next, count: windows.count)
                missing[next] = windows.count
                if windows.isEmpty { try each(next, RollingLikelihood(sum: 0, tokens: 0)) }
                next += 1
            }
            var ratings: [Int: TokenRating] = [:]
            try await rate(rows) { row, rating in
                let text = owners[row]
                ratings[text, default: TokenRating()].add(rating)
                missing[text, default: 0] -= 1
                guard missing[text] == 0, let whole = ratings.removeValue(forKey: text) else { return }
                try each(text, RollingLikelihood(sum: whole.sum, tokens: whole.tokens))
            }
        }
    }

    /// Rates rows until all are, or the task is cancelled.
    private func rate(_ rows: [RatedTokens], each: (Int, TokenRating) throws -> Void) async throws {
        try await rater.begin(rows)
        while let done = await rater.step() {
            for (row, rating) in done { try each(row, rating) }
            try Task.checkCancellation()
        }
    }

    /// The rows of requests, on all cores: tokenizing both a context and what follows it takes about as
    /// long as a small model's arithmetic.
    private func rows(of requests: [LikelihoodRequest]) async throws -> [RatedTokens] {
        let share = max(64, (requests.count + pool.threadCount - 1) / pool.threadCount)
        return try await withThrowingTaskGroup(of: (Int, [RatedTokens]).self) { group in
            for start in stride(from: 0, to: requests.count, by: share) {
                let part = requests[start..<min(start + share, requests.count)]
                group.addTask { (start, try rows(part)) }
            }
            var parts: [Int: [RatedTokens]] = [:]
            for try await (start, rows) in group { parts[start] = rows }
            return parts.keys.sorted().flatMap { parts[$0] ?? [] }
        }
    }

    private func rows(_ requests: ArraySlice<LikelihoodRequest>) throws -> [RatedTokens] {
        var cache = LikelihoodTokenizer.ContextCache()
        var last: (prompt: PromptText, text: String)?
        return try requests.map { request in
            if last?.prompt != request.context {
                last = (request.context, try renderer.text(request.context))
            }
            return try encoder.row(
                context: last?.text ?? "", continuation: request.continuation, &cache)
        }
    }

    // MARK: Texts

    package func complete(
        _ requests: [CompletionRequest], each: (Int, [Completion]) throws -> Void
    ) async throws {
        guard !requests.isEmpty else { return }
        let prompts = try requests.map { try renderer.ids($0.request.prompt) }
        let longest = zip(prompts, requests).map { $0.count + $1.request.maxNewTokens }.max() ?? 0
        let writer = LocalWriter(
            engine: try InferenceEngine(
                model: model, tokenizer: renderer.tokenizer, settings: engineSettings(longest: longest),
                pool: pool), adapter: settings.adapter, maxRunning: settings.maxRunning)
        try await writer.write(requests, prompts: prompts, each: each)
    }

    private func engineSettings(longest: Int) -> EngineSettings {
        var engine = EngineSettings()
        let limit = model.configuration.maxPositionEmbeddings
        let length = max(2, min(settings.maxLength ?? limit, limit, max(longest, 2)))
        engine.maxModelLength = length
        engine.maxRunning = max(1, settings.maxRunning)
        engine.maxBatchedTokens = max(512, engine.maxRunning)
        engine.maxWaiting = 4 * engine.maxRunning
        engine.endIDs = settings.endIDs
        // Room for all texts at once and for the examples that they share, within reason: pages without
        // tokens take up no memory.
        engine.cacheTokens = max(length + 16, min(length * (engine.maxRunning + 2), 1 << 15))
        return engine
    }
}
