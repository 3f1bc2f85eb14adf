// Likelihoods and texts of a small model: shared beginnings and batches change no number and no word.

import Foundation
import Models
import Tensors
import TestSupport
import Testing
import Text

@testable import Evaluation

@Suite("A model in this process")
struct LocalSampleModelTests {
    private static func model(
        _ files: RandomModel, _ change: (inout LocalModelSettings) -> Void = { _ in }
    ) throws -> LocalSampleModel {
        let pool = try ThreadPool(threads: 2)
        var settings = LocalModelSettings()
        settings.stepTokens = 48
        settings.maxRunning = 3
        change(&settings)
        return try LocalSampleModel(
            model: files.load(pool),
            renderer: PromptRenderer(
                tokenizer: files.loadTokenizer(), now: Timestamp(nanoseconds: 0)), pool: pool,
            settings: settings)
    }

    @Test("Rows rated together have the ratings that they have alone, and those of plain softmax")
    func sharing() async throws {
        let files = try RandomModel()
        let pool = try ThreadPool(threads: 2)
        let model = try files.load(pool)
        let together = try TokenRater(model: model, pool: pool, stepTokens: 40)
        let alone = try TokenRater(model: model, pool: pool, stepTokens: 256)
        var random = SeededGenerator(seed: 3)
        let stem = (0..<50).map { _ in Int32.random(in: 0..<256, using: &random) }
        let rows = (0..<12).map { index in
            let end = (0..<(2 + index % 5)).map { _ in Int32.random(in: 0..<4, using: &random) }
            return RatedTokens(ids: stem + end, ratedCount: 1 + index % end.count)
        }
        let ratings = try await together.rate(rows)
        for (row, rating) in zip(rows, ratings) {
            let single = try await alone.rate([row])[0]
            #expect(abs(single.sum - rating.sum) < 1e-4)
            #expect(single.isGreedy == rating.isGreedy && rating.tokens == row.ratedCount)
            let expected = try Self.plainSum(row, model, pool)
            #expect(abs(expected - rating.sum) < 1e-4)
        }
        #expect(await together.computedTokens < rows.reduce(0) { $0 + $1.inputCount } / 2)
    }

    /// The sum by the formula, over logits of one plain pass.
    private static func plainSum(
        _ row: RatedTokens, _ model: CausalLanguageModel, _ pool: ThreadPool
    ) throws -> Double {
        let (count, vocabulary) = (row.inputCount, RandomModel.vocabulary)
        let cache = try KVCache(model.configuration, blockCount: 16, isHalf: model.usesHalfCache)
        let workspace = try Workspace(model, maxTokens: 256, pool: pool)
        let hidden = try MemoryRegion(byteCount: 256 * RandomModel.hidden * 4, purpose: "test")
        let logits = try MemoryRegion(byteCount: 256 * vocabulary * 4, purpose: "test")
        var batch = ForwardBatch()
        batch.append(
            Array(row.ids[..<count]), start: 0, slots: (0..<Int32(count)).map { $0 },
            blockTable: (0..<16).map { $0 })
        batch.outputRows = Array(0..<count)
        model.forward(batch, cache: cache, workspace: workspace, into: hidden.floats)
        model.logits(hidden.floats, count: count, into: logits.floats, workspace: workspace)
        return (row.firstRated..<row.ids.count).reduce(0.0) { sum, place in
            let values = UnsafeBufferPointer(
                start: logits.floats + (place - 1) * vocabulary, count: vocabulary)
            let total = values.reduce(0.0) { $0 + exp(Double($1)) }
            return sum + Double(values[Int(row.ids[place])]) - log(total)
        }
    }

    @Test("Answers come once each, whatever their order and however many there are")
    func likelihoods() async throws {
        let model = try Self.model(RandomModel())
        let requests = (0..<40).map { index in
            LikelihoodRequest(
                context: index % 2 == 0
                    ? .raw("Question \(index / 4): x? ")
                    : .messages([
                        ChatTurn(role: "user", content: "say \(index / 8)")
                    ]), continuation: ["a", "bc", " yes", "no no"][index % 4])
        }
        var results = [LikelihoodResult?](repeating: nil, count: requests.count)
        try await model.logLikelihoods(requests) { index, result in
            #expect(results[index] == nil)
            results[index] = result
        }
        let tokens = results.enumerated().map { ($0.element?.tokens ?? 0) }
        // The blank at the end of a raw context belongs to the continuation.
        #expect(tokens == (0..<40).map { [2, 2, 5, 5][$0 % 4] })
        var single: LikelihoodResult?
        try await model.logLikelihoods([requests[13]]) { single = $1 }
        #expect(abs((single?.sum ?? 0) - (results[13]?.sum ?? 1)) < 1e-4)
    }

    @Test("A text's likelihood is that of its windows together")
    func rolling() async throws {
        let model = try Self.model(RandomModel()) { $0.maxLength = 16 }
        let texts = ["", "short", String(repeating: "a longer text. ", count: 6), "x"]
        var results: [Int: RollingLikelihood] = [:]
        try await model.rollingLogLikelihoods(texts) { results[$0] = $1 }
        #expect((0..<4).map { results[$0]?.tokens } == texts.map(\.utf8.count))
        #expect(results[0]?.sum == 0 && (results[2]?.sum ?? 0) < -90)
    }

    @Test("Text ends before a stop string, is drawn as often as asked, and the same again in another batch")
    func texts() async throws {
        let model = try Self.model(RandomModel())
        func request(_ prompt: String, stop: [String], temperature: Double, count: Int) -> CompletionRequest {
            CompletionRequest(
                request: GenerationRequest(prompt: .raw(prompt), stop: stop, maxNewTokens: 12),
                sampling: CompletionSampling(temperature: temperature, seed: 5), count: count)
        }
        let requests = [
            request("one", stop: [], temperature: 0, count: 3),
            request("two", stop: [], temperature: 1, count: 4),
            request("three", stop: [], temperature: 1, count: 2),
        ]
        var first: [Int: [Completion]] = [:]
        try await model.complete(requests) { first[$0] = $1 }
        #expect((0..<3).map { first[$0]?.count } == [3, 4, 2])
        #expect(Set(first[0] ?? []).count == 1 && Set(first[1] ?? []).count == 4)
        var again: [Int: [Completion]] = [:]
        try await model.complete([requests[2], requests[1]]) { again[$0] = $1 }
        #expect(again[0] == first[2] && again[1] == first[1])
    }

    @Test("A prompt that is too long loses its beginning, and an id that the model lacks is an error")
    func limits() async throws {
        let files = try RandomModel()
        let model = try Self.model(files) { $0.maxLength = 32 }
        let long = CompletionRequest(
            request: GenerationRequest(
                prompt: .raw(String(repeating: "x", count: 500)), stop: [], maxNewTokens: 8))
        var answer: [Completion] = []
        try await model.complete([long]) { answer = $1 }
        #expect(answer.count == 1 && answer[0].tokens <= 8)
        let pool = try ThreadPool(threads: 1)
        let rater = try TokenRater(model: files.load(pool), pool: pool)
        await #expect(throws: ScoringError.self) {
            try await rater.rate([RatedTokens(ids: [1, 2, 400], ratedCount: 1)])
        }
    }

    @Test("What the receiver throws ends the work")
    func stopping() async throws {
        struct Enough: Error {}
        let model = try Self.model(RandomModel())
        let requests = (0..<50).map {
            LikelihoodRequest(context: .raw("number \($0)"), continuation: " yes")
        }
        var count = 0
        await #expect(throws: Enough.self) {
            try await model.logLikelihoods(requests) { _, _ in
                count += 1
                if count == 3 { throw Enough() }
            }
        }
        #expect(count == 3)
    }
}
