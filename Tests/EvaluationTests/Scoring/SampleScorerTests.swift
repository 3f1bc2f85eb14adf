// Which questions samples ask, and which answers come back to which sample.

import Synchronization
import Testing

@testable import Evaluation

/// A model whose answers can be told from the questions, given from the last to the first.
private struct EchoModel: SampleModel {
    func logLikelihoods(
        _ requests: [LikelihoodRequest], each: (Int, LikelihoodResult) throws -> Void
    ) async throws {
        for (index, request) in requests.enumerated().reversed() {
            try each(
                index,
                LikelihoodResult(
                    sum: -Double(request.continuation.utf8.count), isGreedy: false,
                    tokens: request.continuation.utf8.count))
        }
    }

    func rollingLogLikelihoods(
        _ texts: [String], each: (Int, RollingLikelihood) throws -> Void
    ) async throws {
        for (index, text) in texts.enumerated().reversed() {
            try each(index, RollingLikelihood(sum: -1, tokens: text.utf8.count))
        }
    }

    func complete(_ requests: [CompletionRequest], each: (Int, [Completion]) throws -> Void) async throws {
        for (index, request) in requests.enumerated().reversed() {
            guard case .raw(let text) = request.request.prompt else { continue }
            try each(
                index,
                (0..<request.count).map {
                    Completion(text: "\(text)\($0 / 2)", tokens: 1, finishReason: "stop")
                })
        }
    }
}

/// Passes programs that contain a word, and counts.
private final class FakeRunner: CodeRunner {
    private let all = Mutex<[String]>([])
    var programs: [String] { all.withLock { $0 } }

    func run(_ program: String, secondsLimit: Double) async throws -> CodeVerdict {
        all.withLock { $0.append(program) }
        return CodeVerdict(passed: program.contains("b1"), detail: "")
    }
}

@Suite("Samples and their outcomes")
struct SampleScorerTests {
    private static let samples: [EvaluationSample] = [
        EvaluationSample(
            id: "0", subset: "",
            body: .multipleChoice(
                context: .raw("q"), continuations: ["a", "bb", "ccc"], choices: ["a", "bb", "ccc"]),
            target: .choice(0)),
        EvaluationSample(
            id: "1", subset: "",
            body: .generation(GenerationRequest(prompt: .raw("g"), stop: [], maxNewTokens: 3)),
            target: .texts(["x"])),
        EvaluationSample(id: "2", subset: "", body: .text("four"), target: .none),
        EvaluationSample(
            id: "3", subset: "",
            body: .code(
                GenerationRequest(prompt: .raw("b"), stop: [], maxNewTokens: 3),
                CodeProblem(stub: "stub ", tests: "tests", entryPoint: "f")), target: .none),
        EvaluationSample(
            id: "4", subset: "",
            body: .multipleChoice(context: .raw("q"), continuations: ["dddd"], choices: ["d"]),
            target: .choice(0)),
    ]

    @Test("Each sample gets the answers to its own questions, in their order")
    func outcomes() async throws {
        let runner = FakeRunner()
        var scorer = SampleScorer(model: EchoModel(), codeRunner: runner)
        scorer.completions = 4
        var found: [Int: SampleOutcome] = [:]
        try await scorer.outcomes(of: Self.samples) { index, outcome in
            #expect(found[index] == nil)
            found[index] = outcome
        }
        #expect(found.count == 5)
        if case .choices(let results)? = found[0] { #expect(results.map(\.sum) == [-1, -2, -3]) }
        if case .choices(let results)? = found[4] { #expect(results.map(\.sum) == [-4]) }
        if case .completions(let texts)? = found[1] {
            #expect(texts.map(\.text) == ["g0", "g0", "g1", "g1"])
        }
        #expect(found[2] == .text(RollingLikelihood(sum: -1, tokens: 4)))
        guard case .code(let programs, let verdicts)? = found[3] else {
            Issue.record("no outcome of the code")
            return
        }
        #expect(programs.count == 4 && verdicts.map(\.passed) == [false, false, true, true])
        // Two different programs were written, each of which was run once.
        #expect(runner.programs.count == 2)
        #expect(runner.programs.allSatisfy { $0.hasPrefix("stub b") && $0.contains("check(f)") })
    }

    @Test("Without a runner programs are refused, and nothing is run")
    func noRunner() async throws {
        let scorer = SampleScorer(model: EchoModel())
        await #expect(throws: ScoringError.self) {
            try await scorer.outcomes(of: [Self.samples[3]]) { _, _ in }
        }
    }
}
