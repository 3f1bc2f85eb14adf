// The engine on a real model, if a small one: whatever runs beside a request, its tokens are the same.

import Foundation
import Inference
import Models
import Tensors
import TestSupport
import Testing

@Suite("Inference engine")
struct InferenceEngineTests {
    private static func prompts(_ count: Int, seed: UInt64, shared: Int = 0) -> [[Int32]] {
        var random = SeededGenerator(seed: seed)
        let beginning = (0..<shared).map { _ in Int32.random(in: 0..<256, using: &random) }
        return (0..<count).map { _ in
            beginning
                + (0..<Int.random(in: 1...70, using: &random)).map { _ in
                    Int32.random(in: 0..<256, using: &random)
                }
        }
    }

    private static func alone(_ prompts: [[Int32]], _ model: SmallModel) async throws -> [[Int32]] {
        try await model.engine().running { engine in
            var all: [[Int32]] = []
            for prompt in prompts { all.append(try await engine.finish(prompt).ids) }
            return all
        }
    }

    @Test("A batch gives each request the tokens that it gets alone", arguments: [false, true])
    func batchEqualsAlone(windowed: Bool) async throws {
        let model = try SmallModel(windowed: windowed)
        let prompts = Self.prompts(20, seed: 3)
        let expected = try await Self.alone(prompts, model)
        let together = try await model.engine().running { try await $0.finishAll(prompts) }
        #expect(together.map(\.ids) == expected)
        #expect(Set(expected.map { $0.prefix(4) }).count > 5, "the model says the same whatever it is asked")
    }

    @Test("Chunks of a prompt give the tokens of the whole", arguments: [8, 16, 17, 33])
    func chunkedEqualsWhole(tokens: Int) async throws {
        let model = try SmallModel()
        let prompts = Self.prompts(10, seed: 5)
        let expected = try await Self.alone(prompts, model)
        let engine = try model.engine { $0.maxBatchedTokens = tokens }
        let chunked = try await engine.running { try await $0.finishAll(prompts) }
        #expect(chunked.map(\.ids) == expected)
    }

    @Test("What is taken from the prefix cache changes no token, and is taken")
    func prefixCacheChangesNothing() async throws {
        let model = try SmallModel()
        let prompts = Self.prompts(12, seed: 9, shared: 50)
        let without = try await model.engine { $0.sharesPrefixes = false }.running {
            try await $0.finishAll(prompts)
        }
        let with = try await model.engine().running { engine in
            let first = try await engine.finish(prompts[0])
            return [first] + (try await engine.finishAll(Array(prompts.dropFirst())))
        }
        #expect(with.map(\.ids) == without.map(\.ids))
        #expect(with.dropFirst().allSatisfy { $0.cachedTokens == 48 })
        #expect(without.allSatisfy { $0.cachedTokens == 0 })
    }

    @Test("Preempted sequences are computed again and lose nothing")
    func preemptionChangesNothing() async throws {
        let model = try SmallModel()
        let prompts = Self.prompts(12, seed: 11)
        let expected = try await Self.alone(prompts, model)
        let engine = try model.engine {
            $0.cacheTokens = 208
            $0.maxModelLength = 128
        }
        let (tight, statistics) = try await engine.running {
            (try await $0.finishAll(prompts), await $0.statistics())
        }
        #expect(tight.map(\.ids) == expected)
        #expect(statistics.preemptions > 0)
        #expect(statistics.kvCacheUsage == 0)
    }

    @Test("Thread counts change no token", arguments: [1, 3])
    func threadsChangeNothing(threads: Int) async throws {
        let model = try SmallModel()
        let prompts = Self.prompts(4, seed: 13)
        let expected = try await Self.alone(prompts, model)
        let others = try await model.engine(threads: threads).running { try await $0.finishAll(prompts) }
        #expect(others.map(\.ids) == expected)
    }

    @Test("Adapters apply to their own requests, several in one batch")
    func adaptersInOneBatch() async throws {
        let model = try SmallModel()
        let paths = try [model.adapter(seed: 1), model.adapter(seed: 2)]
        let prompts = Self.prompts(9, seed: 15)
        let names: [String?] = [nil, "one", "two"]
        let engine = try model.engine()
        let (together, alone) = try await engine.running { engine in
            try await engine.loadAdapter(name: "one", path: paths[0])
            try await engine.loadAdapter(name: "two", path: paths[1])
            let together = try await engine.finishAll(prompts, adapters: names)
            var alone: [Finished] = []
            for (index, prompt) in prompts.enumerated() {
                alone.append(try await engine.finish(prompt, adapter: names[index % 3]))
            }
            return (together.map(\.ids), alone.map(\.ids))
        }
        #expect(together == alone)
        let base = try await Self.alone(prompts, model)
        #expect(together[0] == base[0] && together[3] == base[3])
        #expect(together[1] != base[1] && together[2] != base[2])
        try await engine.unloadAdapter(name: "one")
        await #expect(throws: EngineError.unknownAdapter("one")) {
            _ = try await engine.generate(
                GenerationRequest(id: "", promptIDs: [1], sampling: .init(maxTokens: 1), adapter: "one"))
        }
    }

    @Test("Seeded sampling draws the same tokens alone and in a batch")
    func seededSampling() async throws {
        let model = try SmallModel()
        let prompts = Self.prompts(6, seed: 17)
        let engine = try model.engine()
        let (first, second) = try await engine.running { engine in
            var alone: [Finished] = []
            for prompt in prompts {
                alone.append(
                    try await engine.finish(prompt) {
                        $0.temperature = 1
                        $0.seed = 99
                    })
            }
            let together = try await engine.finishAll(prompts) {
                $0.temperature = 1
                $0.seed = 99
            }
            return (alone.map(\.ids), together.map(\.ids))
        }
        #expect(first == second)
    }

    @Test("A constrained output is what the constraint allows, whatever the model would say")
    func constrained() async throws {
        let model = try SmallModel()
        let engine = try model.engine()
        let outputs = try await engine.running { engine in
            try await engine.finishAll(Self.prompts(8, seed: 19)) {
                $0.temperature = 1.5
                $0.constraint = .choice(["martlet", "swift", "swallow"])
            }
        }
        for output in outputs {
            #expect(["martlet", "swift", "swallow"].contains(output.text), "\(output.text)")
            #expect(output.reason == .stop)
        }
    }

    @Test("Log-probabilities of prompt and output are those of the tokens")
    func logprobs() async throws {
        let model = try SmallModel()
        let prompt = Self.prompts(1, seed: 21)[0]
        let whole = try await model.engine().running { engine in
            try await engine.finish(prompt) {
                $0.logprobs = 2
                $0.promptLogprobs = 1
            }
        }
        #expect(whole.logprobs.map(\.id) == whole.ids)
        #expect(whole.logprobs.allSatisfy { $0.rank == 1 && $0.top.count == 2 && $0.logprob <= 0 })
        #expect(whole.promptLogprobs.count == prompt.count)
        #expect(whole.promptLogprobs.dropFirst().map { $0?.id } == prompt.dropFirst().map { $0 })
    }

    @Test("A stop string ends the text before it, an end token without it, a limit after so many tokens")
    func ends() async throws {
        let model = try SmallModel()
        let prompt = Self.prompts(1, seed: 23)[0]
        let engine = try model.engine()
        let (free, stopped, ended) = try await engine.running { engine in
            let free = try await engine.finish(prompt)
            let middle = String(free.text.unicodeScalars.dropFirst(4).prefix(2).map(Character.init))
            let stopped = try await engine.finish(prompt) { $0.stop = [middle] }
            let ended = try await engine.finish(prompt) { $0.stopTokenIDs = [free.ids[3]] }
            return (free, stopped, ended)
        }
        #expect(free.reason == .length && free.ids.count == 24)
        #expect(stopped.reason == .stop && free.text.utf8.starts(with: stopped.text.utf8))
        #expect(stopped.ids.count < free.ids.count)
        #expect(ended.reason == .stop && ended.ids.last == free.ids[3])
        #expect(ended.stop == .token(free.ids[3]))
    }

    @Test("Requests that are given up free their blocks")
    func abandonedRequests() async throws {
        let model = try SmallModel()
        let usage = try await model.engine().running { engine in
            for prompt in Self.prompts(30, seed: 25) {
                var sampling = SamplingParameters(maxTokens: 200)
                sampling.ignoreEOS = true
                let stream = try await engine.generate(
                    GenerationRequest(id: "", promptIDs: prompt, sampling: sampling))
                var iterator = stream.makeAsyncIterator()
                _ = try await iterator.next()
            }
            await engine.drain()
            return await engine.statistics()
        }
        #expect(usage.kvCacheUsage == 0)
        #expect(usage.runningRequests == 0 && usage.waitingRequests == 0)
    }

    @Test("An embedding is the last hidden state, the same alone and in a batch")
    func embeddings() async throws {
        let model = try SmallModel()
        let prompt = Self.prompts(1, seed: 27)[0]
        let (alone, beside) = try await model.engine().running { engine in
            let alone = try await engine.embed(prompt, adapter: nil)
            async let other = engine.finishAll(Self.prompts(4, seed: 29))
            let beside = try await engine.embed(prompt, adapter: nil)
            _ = try await other
            return (alone, beside)
        }
        #expect(alone.count == SmallModel.hidden)
        #expect(alone == beside)
    }

    @Test("What cannot run is refused with what to do")
    func refusals() async throws {
        let model = try SmallModel()
        let engine = try model.engine {
            $0.maxModelLength = 64
            $0.maxWaiting = 2
        }
        func refusal(_ prompt: [Int32], _ change: (inout SamplingParameters) -> Void = { _ in }) async
            -> EngineError?
        {
            var sampling = SamplingParameters(maxTokens: 8)
            change(&sampling)
            do {
                _ = try await engine.generate(
                    GenerationRequest(id: "", promptIDs: prompt, sampling: sampling))
                return nil
            } catch {
                return error as? EngineError
            }
        }
        guard case .badRequest(let text)? = await refusal([300]) else {
            Issue.record("an id outside of the vocabulary was taken")
            return
        }
        #expect(text.contains("300") && text.contains("260"))
        guard case .tooLong? = await refusal([Int32](repeating: 1, count: 60)) else {
            Issue.record("a prompt that is too long was taken")
            return
        }
        guard case .badRequest? = await refusal([1], { $0.topP = 3 }) else {
            Issue.record("a bad parameter was taken")
            return
        }
        #expect(await refusal([1]) == nil)
        #expect(await refusal([1]) == nil)
        #expect(await refusal([1]) == .queueFull)
    }
}
