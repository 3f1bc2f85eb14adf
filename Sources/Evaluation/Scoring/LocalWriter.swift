// Texts written by an engine in this process, many at once.

import Inference

/// Runs an engine for as long as it takes to answer some requests.
struct LocalWriter {
    private let engine: InferenceEngine
    private let adapter: String?
    private let maxRunning: Int

    /// What each text is drawn for.
    private struct Job: Sendable {
        var request: Int
        var number: Int
        var prompt: [Int32]
        var sampling: SamplingParameters
    }

    private enum Event: Sendable {
        case engineEnded
        case written(request: Int, number: Int, Completion)
    }

    init(engine: InferenceEngine, adapter: String?, maxRunning: Int) {
        self.engine = engine
        self.adapter = adapter
        self.maxRunning = max(1, maxRunning)
    }

    /// - Parameter prompts: the tokens of each request's prompt.
    func write(
        _ requests: [CompletionRequest], prompts: [[Int32]], each: (Int, [Completion]) throws -> Void
    ) async throws {
        if let adapter { try await engine.loadAdapter(name: "adapter", path: adapter) }
        let wanted = requests.map(Self.drawnCount)
        var missing = wanted
        var written = [[Int: Completion]](repeating: [:], count: requests.count)
        try await withThrowingTaskGroup(of: Event.self) { group in
            group.addTask { [engine] in
                await engine.run()
                return .engineEnded
            }
            defer { group.cancelAll() }
            var (request, number, running) = (0, 0, 0)
            while true {
                // Some wait in the engine, so that no place in its steps stays empty.
                while running < 2 * maxRunning, request < requests.count {
                    let job = try job(request, number, requests[request], prompts[request])
                    group.addTask { try await write(job) }
                    running += 1
                    number += 1
                    if number >= wanted[request] {
                        (request, number) = (request + 1, 0)
                    }
                }
                guard running > 0, let event = try await group.next() else { return }
                guard case .written(let done, let place, let completion) = event else {
                    throw CancellationError()
                }
                running -= 1
                written[done][place] = completion
                missing[done] -= 1
                if missing[done] == 0 {
                    try each(done, Self.completions(written[done], requests[done]))
                    written[done] = [:]
                }
            }
        }
    }

    /// Greedy texts of one prompt are all the same one.
    private static func drawnCount(_ request: CompletionRequest) -> Int {
        request.sampling.temperature < SamplingParameters.greedyTemperature ? 1 : max(1, request.count)
    }

    private static func completions(
        _ written: [Int: Completion], _ request: CompletionRequest
    ) -> [Completion] {
        let drawn = written.keys.sorted().compactMap { written[$0] }
        guard drawn.count == 1, let first = drawn.first else { return drawn }
        return [Completion](repeating: first, count: max(1, request.count))
    }

    private func job(
        _ index: Int, _ number: Int, _ request: CompletionRequest, _ prompt: [Int32]
    ) throws -> Job {
        let limit = engine.maxModelLength
        // An answer needs some room; the prompt loses its beginning for it, as lm-evaluation-harness has it.
        let answer = max(1, min(request.request.maxNewTokens, limit / 2))
        var prompt = prompt
        if prompt.count + request.request.maxNewTokens > limit {
            prompt.removeFirst(max(0, prompt.count + answer - limit))
        }
        guard !prompt.isEmpty else {
            throw ScoringError(
                "a prompt has no tokens", remedy: "give the question some text, or use the chat template")
        }
        var sampling = SamplingParameters(
            maxTokens: max(1, min(request.request.maxNewTokens, limit - prompt.count)))
        sampling.temperature = request.sampling.temperature
        sampling.topP = request.sampling.topP
        sampling.topK = request.sampling.topK ?? 0
        sampling.stop = request.request.stop.filter { !$0.isEmpty }
        sampling.seed = Self.seed(request.sampling.seed, prompt, number)
        return Job(request: index, number: number, prompt: prompt, sampling: sampling)
    }

    /// The seed of one text: a function of the run's seed, the prompt and the text's number, so that
    /// neither the order of a batch nor an interrupted run changes what is drawn. Source: FNV-1a, 64 bits.
    private static func seed(_ seed: UInt64, _ prompt: [Int32], _ number: Int) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ value: UInt64) {
            for shift in stride(from: 0, to: 64, by: 8) {
                hash = (hash ^ (value >> shift & 0xFF)) &* 0x100_0000_01B3
            }
        }
        mix(seed)
        for id in prompt { mix(UInt64(bitPattern: Int64(id))) }
        mix(UInt64(bitPattern: Int64(number)))
        return hash
    }

    private func write(_ job: Job) async throws -> Event {
        let request = Inference.GenerationRequest(
            id: "", promptIDs: job.prompt, sampling: job.sampling,
            adapter: adapter == nil ? nil : "adapter")
        var completion = Completion(text: "", tokens: 0, finishReason: "length")
        for try await update in try await engine.generate(request) {
            completion.text += update.text
            completion.tokens += update.newIDs.count
            if let reason = update.finishReason { completion.finishReason = reason.rawValue }
        }
        return .written(request: job.request, number: job.number, completion)
    }
}
