// The engine: requests in, text out, a batch at a time, on a thread of its own.

import CKernels
package import Models
import Synchronization
package import Tensors

/// Runs one model for many requests at once: plans a step, computes it, hands out tokens, until its task is cancelled.
/// All its methods run on one thread between steps, so that nothing it owns needs a lock.
package actor InferenceEngine: InferenceService {
    package nonisolated let modelName: String
    package nonisolated let maxModelLength: Int
    package nonisolated let tokenizer: Tokenizer
    package nonisolated let model: CausalLanguageModel
    private nonisolated let thread: EngineThread
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    private let pool: ThreadPool
    private let signal = EngineSignal()
    private let cache: KVCache
    private let workspace: Workspace
    private let hidden: MemoryRegion
    private let logits: MemoryRegion
    private let scratch = SamplingScratch()
    private let logitRows: Int
    private let endIDs: Set<Int32>
    private var scheduler: BatchScheduler
    private var sequences: [RequestID: ActiveSequence] = [:]
    private var adapters: [String: (adapter: LoRAAdapter, version: Int)] = [:]
    private var adapterVersions = 0
    private var requestNumber: UInt64 = 0
    private var vocabulary: ConstraintVocabulary?
    private var constraints = RecentConstraints()
    private var idleWaiters: [CheckedContinuation<Void, Never>] = []
    private var random = SystemRandomNumberGenerator()

    /// - Throws: `OutOfMemory` if cache and buffers do not fit.
    package init(
        model: CausalLanguageModel, tokenizer: Tokenizer, settings: EngineSettings, pool: ThreadPool
    ) throws(OutOfMemory) {
        let (length, blocks) = settings.sizes(model)
        let configuration = model.configuration
        modelName = settings.modelName
        maxModelLength = length
        self.tokenizer = tokenizer
        self.model = model
        self.pool = pool
        let batchTokens = max(settings.maxBatchedTokens, settings.maxRunning)
        cache = try KVCache(configuration, blockCount: blocks, isHalf: model.usesHalfCache)
        workspace = try Workspace(model, maxTokens: batchTokens, pool: pool)
        logitRows = settings.maxRunning
        hidden = try MemoryRegion(
            byteCount: batchTokens * configuration.hiddenSize * 4, purpose: "hidden states")
        logits = try MemoryRegion(byteCount: logitRows * configuration.vocabSize * 4, purpose: "logits")
        scheduler = BatchScheduler(
            limits: BatchLimits(
                maxRunning: settings.maxRunning, maxBatchedTokens: batchTokens,
                maxWaiting: settings.maxWaiting,
                maxModelLength: length), blockCount: blocks, sharesPrefixes: settings.sharesPrefixes)
        endIDs = Set(configuration.eosTokenIDs + settings.endIDs + (tokenizer.eosTokenID.map { [$0] } ?? []))
        thread = EngineThread()
    }

    deinit { thread.stop() }

    // MARK: The loop

    /// Computes steps until the task is cancelled; then what still runs is aborted.
    package func run() async {
        while !Task.isCancelled {
            for id in signal.takeAbandoned() { abandon(id) }
            if step() {
                // Requests that arrived meanwhile come in between.
                await Task.yield()
            } else {
                resumeIdleWaiters()
                await signal.wait()
            }
        }
        for (id, sequence) in sequences {
            scheduler.abort(id)
            sequence.fail(CancellationError())
        }
        sequences = [:]
        resumeIdleWaiters()
    }

    /// - Returns: whether there was something to compute.
    private func step() -> Bool {
        let plan = scheduler.plan()
        guard !plan.isEmpty else {
            scheduler.discard(plan)
            return !plan.preempted.isEmpty
        }
        var batch = ForwardBatch()
        // Sequences with the same adapter lie beside each other, so that it is applied once.
        let order = plan.entries.indices.sorted {
            (plan.entries[$0].adapter ?? "", $0) < (plan.entries[$1].adapter ?? "", $1)
        }
        var rated: [(entry: Int, offset: Int)] = []
        var sampled: [Int] = []
        var rows = [Int](repeating: 0, count: plan.entries.count)
        for index in order {
            let entry = plan.entries[index]
            rows[index] = batch.append(
                entry.tokenIDs, start: entry.start, slots: entry.slots, blockTable: entry.blockTable,
                adapter: sequences[entry.id]?.adapter)
            rated += entry.promptLogits.map { (index, $0) }
            if entry.samples { sampled.append(index) }
        }
        batch.outputRows =
            sampled.map { rows[$0] + plan.entries[$0].tokenIDs.count - 1 }
            + rated.map { rows[$0.entry] + $0.offset }
        model.forward(batch, cache: cache, workspace: workspace, into: hidden.floats)
        rate(rated, plan, from: sampled.count)
        scheduler.complete(plan, tokens: sample(sampled, plan))
        return true
    }

    /// Log-probabilities of prompt tokens, whose hidden states follow the `first` ones.
    private func rate(_ rated: [(entry: Int, offset: Int)], _ plan: BatchPlan, from first: Int) {
        let (hiddenSize, vocabSize) = (model.configuration.hiddenSize, model.configuration.vocabSize)
        var done = 0
        while done < rated.count {
            let count = min(logitRows, rated.count - done)
            model.logits(
                hidden.floats + (first + done) * hiddenSize, count: count, into: logits.floats,
                workspace: workspace)
            for row in 0..<count {
                let (index, offset) = rated[done + row]
                let entry = plan.entries[index]
                guard let sequence = sequences[entry.id] else { continue }
                let id = sequence.promptIDs[entry.start + offset + 1]
                let values = UnsafeBufferPointer(start: logits.floats + row * vocabSize, count: vocabSize)
                sequences[entry.id]?.promptLogprobs.append(
                    TokenLogprob(of: id, in: values, alternatives: sequence.parameters.promptLogprobs ?? 0))
            }
            done += count
        }
    }

    /// Chooses the next tokens of the entries at `sampled`, whose hidden states come first.
    /// - Returns: one for each entry, nil where none was chosen.
    private func sample(_ sampled: [Int], _ plan: BatchPlan) -> [Int32?] {
        let vocabSize = model.configuration.vocabSize
        var tokens = [Int32?](repeating: nil, count: plan.entries.count)
        let needsLogits = sampled.contains { index in
            if case .text? = sequences[plan.entries[index].id]?.output { return true }
            return false
        }
        if needsLogits {
            model.logits(hidden.floats, count: sampled.count, into: logits.floats, workspace: workspace)
        }
        for (row, index) in sampled.enumerated() {
            let entry = plan.entries[index]
            guard var sequence = sequences.removeValue(forKey: entry.id) else { continue }
            switch sequence.output {
            case .embedding(let continuation):
                let size = model.configuration.hiddenSize
                continuation.resume(
                    returning: Array(UnsafeBufferPointer(start: hidden.floats + row * size, count: size)))
                scheduler.finish(entry.id)
            case .text(let continuation):
                let values = UnsafeMutableBufferPointer(
                    start: logits.floats + row * vocabSize, count: vocabSize)
                do throws(SamplingError) {
                    let token = try sequence.sample(values, scratch: scratch)
                    let update = sequence.take(token, cachedTokens: entry.cachedTokens)
                    continuation.yield(update)
                    guard update.finishReason == nil else {
                        continuation.finish()
                        scheduler.finish(entry.id)
                        continue
                    }
                    tokens[index] = token.id
                    sequences[entry.id] = sequence
                } catch {
                    continuation.finish(throwing: error)
                    scheduler.finish(entry.id)
                }
            }
        }
        return tokens
    }

    private func abandon(_ id: RequestID) {
        guard sequences.removeValue(forKey: id) != nil else { return }
        scheduler.abort(id)
    }

    private func resumeIdleWaiters() {
        guard scheduler.isIdle else { return }
        for waiter in idleWaiters { waiter.resume() }
        idleWaiters = []
    }
}

// MARK: Requests

extension InferenceEngine {
    package func generate(
        _ request: GenerationRequest
    ) async throws -> AsyncThrowingStream<GenerationUpdate, any Error> {
        try check(request)
        let adapter = try adapter(request.adapter)
        let constraint = try request.sampling.constraint.map { try compiled($0) }
        let id = nextID()
        try admit(
            SequenceRequest(
                id: id, promptIDs: request.promptIDs, maxTokens: request.sampling.maxTokens,
                adapter: request.adapter,
                adapterVersion: adapter?.version ?? 0, priority: request.priority,
                cacheSalt: request.cacheSalt,
                needsPromptLogits: request.sampling.promptLogprobs != nil))
        let (stream, continuation) = AsyncThrowingStream<GenerationUpdate, any Error>.makeStream()
        continuation.onTermination = { [signal] _ in signal.abandon(id) }
        sequences[id] = ActiveSequence(
            request, output: .text(continuation), adapter: adapter?.adapter, tokenizer: tokenizer,
            endIDs: endIDs,
            constraint: constraint, maskWordCount: (model.configuration.vocabSize + 31) / 32,
            seed: random.next())
        signal.ring()
        return stream
    }

    package func embed(_ ids: [Int32], adapter name: String?) async throws -> [Float] {
        let request = GenerationRequest(id: "", promptIDs: ids, sampling: SamplingParameters(maxTokens: 1))
        try check(request)
        let adapter = try adapter(name)
        let id = nextID()
        try admit(
            SequenceRequest(
                id: id, promptIDs: ids, maxTokens: 1, adapter: name, adapterVersion: adapter?.version ?? 0))
        return try await withCheckedThrowingContinuation { continuation in
            sequences[id] = ActiveSequence(
                request, output: .embedding(continuation), adapter: adapter?.adapter, tokenizer: tokenizer,
                endIDs: endIDs, constraint: nil, maskWordCount: 0, seed: 0)
            signal.ring()
        }
    }

    package func loadAdapter(name: String, path: String) async throws {
        guard !name.isEmpty, name != modelName else {
            throw EngineError.badRequest("an adapter needs a name of its own: choose another lora_name")
        }
        guard adapters[name] == nil else {
            throw EngineError.badRequest("an adapter \"\(name)\" is loaded already: unload it first")
        }
        let adapter: LoRAAdapter
        do {
            adapter = try LoRAAdapter(name: name, directory: path, model: model, pool: pool)
        } catch {
            throw EngineError.badRequest("\(error)")
        }
        adapterVersions += 1
        adapters[name] = (adapter, adapterVersions)
    }

    /// Requests that run with the adapter keep it until they end.
    package func unloadAdapter(name: String) async throws {
        guard adapters.removeValue(forKey: name) != nil else { throw EngineError.unknownAdapter(name) }
    }

    package func adapterNames() async -> [String] { adapters.keys.sorted() }

    package func statistics() async -> EngineStatistics {
        let batch = scheduler.statistics
        var statistics = EngineStatistics()
        statistics.runningRequests = batch.running
        statistics.waitingRequests = batch.waiting
        statistics.kvCacheUsage = batch.cacheUsage
        statistics.blockSize = BlockAllocator.blockSize
        statistics.totalBlocks = batch.blockCount
        statistics.preemptions = batch.preemptions
        statistics.prefixCacheQueries = batch.prefixQueriedTokens
        statistics.prefixCacheHits = batch.prefixHitTokens
        return statistics
    }

    package func drain() async {
        if scheduler.isIdle { return }
        await withCheckedContinuation { idleWaiters.append($0) }
    }

    private func nextID() -> RequestID {
        requestNumber += 1
        return RequestID(requestNumber)
    }

    private func adapter(_ name: String?) throws -> (adapter: LoRAAdapter, version: Int)? {
        guard let name else { return nil }
        guard let found = adapters[name] else { throw EngineError.unknownAdapter(name) }
        return found
    }

    private func check(_ request: GenerationRequest) throws {
        let vocabSize = model.configuration.vocabSize
        if let id = request.promptIDs.first(where: { $0 < 0 || Int($0) >= vocabSize }) {
            throw EngineError.badRequest(
                "the prompt has token id \(id), and the vocabulary has \(vocabSize): send ids from 0 to \(vocabSize - 1)"
            )
        }
        let problems = request.sampling.validate(vocabularySize: vocabSize)
        if !problems.isEmpty {
            throw EngineError.badRequest(problems.map(\.message).joined(separator: "; "))
        }
    }

    private func admit(_ request: SequenceRequest) throws {
        do throws(AdmissionError) {
            try scheduler.add(request)
        } catch {
            switch error {
            case .queueFull: throw EngineError.queueFull
            case .tooLong, .neverFits: throw EngineError.tooLong(error.description)
            case .emptyPrompt, .duplicate: throw EngineError.badRequest(error.description)
            }
        }
    }

    private func compiled(_ specification: ConstraintSpecification) throws -> CompiledConstraint {
        if let known = constraints[specification] { return known }
        let vocabulary =
            vocabulary
            ?? ConstraintVocabulary(
                tokenBytes: (0..<Int32(tokenizer.vocabularySize)).map { tokenizer.tokenBytes($0) },
                endOfSequence: endIDs)
        self.vocabulary = vocabulary
        let constraint = try CompiledConstraint(specification, vocabulary: vocabulary)
        constraints[specification] = constraint
        return constraint
    }
}
