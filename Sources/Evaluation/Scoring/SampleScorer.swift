// From samples to what a model gives for them: which questions to ask it, and which answers belong together.

/// Asks a model all that samples need. Outcomes come as they are complete, in any order, so that each can
/// be kept at once.
package struct SampleScorer: Sendable {
    private let model: any SampleModel
    private let codeRunner: (any CodeRunner)?
    package var sampling = CompletionSampling()
    /// Completions of each sample.
    package var completions = 1
    /// Seconds that a program of the model may run.
    package var programSeconds = 4.0
    /// Programs that run at once.
    package var programsAtOnce = 2

    /// Samples whose programs are written before any is run.
    private static let programsWave = 64

    /// - Parameter codeRunner: needed for samples of code only.
    package init(model: any SampleModel, codeRunner: (any CodeRunner)? = nil) {
        self.model = model
        self.codeRunner = codeRunner
    }

    /// - Parameter each: gets each sample's place in `samples` and its outcome, once. What it throws ends
    ///   the work.
    package func outcomes(
        of samples: [EvaluationSample], each: (Int, SampleOutcome) throws -> Void
    ) async throws {
        // A task has samples of one kind, but nothing depends on it.
        var choices: [Int] = []
        var texts: [Int] = []
        var generations: [Int] = []
        var programs: [Int] = []
        for (index, sample) in samples.enumerated() {
            switch sample.body {
            case .multipleChoice: choices.append(index)
            case .text: texts.append(index)
            case .generation: generations.append(index)
            case .code: programs.append(index)
            }
        }
        if !choices.isEmpty { try await rateChoices(samples, choices, each) }
        if !texts.isEmpty { try await rateTexts(samples, texts, each) }
        if !generations.isEmpty { try await generate(samples, generations, each) }
        if !programs.isEmpty { try await write(samples, programs, each) }
    }

    private func rateChoices(
        _ samples: [EvaluationSample], _ indexes: [Int], _ each: (Int, SampleOutcome) throws -> Void
    ) async throws {
        var requests: [LikelihoodRequest] = []
        var owners: [(sample: Int, choice: Int)] = []
        var missing: [Int: Int] = [:]
        for index in indexes {
            guard case .multipleChoice(let context, let continuations, _) = samples[index].body else {
                continue
            }
            missing[index] = continuations.count
            for (choice, continuation) in continuations.enumerated() {
                requests.append(LikelihoodRequest(context: context, continuation: continuation))
                owners.append((index, choice))
            }
        }
        var results: [Int: [Int: LikelihoodResult]] = [:]
        try await model.logLikelihoods(requests) { request, result in
            let (sample, choice) = owners[request]
            results[sample, default: [:]][choice] = result
            guard let found = results[sample], found.count == missing[sample] else { return }
            results[sample] = nil
            try each(sample, .choices(found.keys.sorted().compactMap { found[$0] }))
        }
    }

    private func rateTexts(
        _ samples: [EvaluationSample], _ indexes: [Int], _ each: (Int, SampleOutcome) throws -> Void
    ) async throws {
        let texts = indexes.map { index in
            if case .text(let text) = samples[index].body { text } else { "" }
        }
        try await model.rollingLogLikelihoods(texts) { try each(indexes[$0], .text($1)) }
    }

    private func generate(
        _ samples: [EvaluationSample], _ indexes: [Int], _ each: (Int, SampleOutcome) throws -> Void
    ) async throws {
        let requests = indexes.compactMap { index -> CompletionRequest? in
            guard case .generation(let request) = samples[index].body else { return nil }
            return completionRequest(request)
        }
        try await model.complete(requests) { try each(indexes[$0], .completions($1)) }
    }

    private func completionRequest(_ request: GenerationRequest) -> CompletionRequest {
        CompletionRequest(request: request, sampling: sampling, count: max(1, completions))
    }

    // MARK: Programs

    private func write(
        _ samples: [EvaluationSample], _ indexes: [Int], _ each: (Int, SampleOutcome) throws -> Void
    ) async throws {
        guard let codeRunner else {
            throw ScoringError(
                "programs that a model writes need something to run them in",
                remedy: "evaluate this task with martlet evaluate")
        }
        for start in stride(from: 0, to: indexes.count, by: Self.programsWave) {
            let wave = Array(indexes[start..<min(start + Self.programsWave, indexes.count)])
            var written: [(sample: Int, problem: CodeProblem, completions: [Completion])] = []
            let requests = wave.compactMap { index -> CompletionRequest? in
                guard case .code(let request, _) = samples[index].body else { return nil }
                return completionRequest(request)
            }
            try await model.complete(requests) { place, completions in
                guard case .code(_, let problem) = samples[wave[place]].body else { return }
                written.append((wave[place], problem, completions))
            }
            let seconds = programSeconds
            try await BoundedTasks.run(written.count, atOnce: programsAtOnce) { [written] place in
                let (_, problem, completions) = written[place]
                var verdicts: [Completion: CodeVerdict] = [:]
                // Equal programs fare equally, and greedy ones are.
                for completion in completions where verdicts[completion] == nil {
                    verdicts[completion] = try await codeRunner.run(
                        problem.program(completion: completion.text), secondsLimit: seconds)
                }
                return completions.compactMap { verdicts[$0] }
            } each: { place, verdicts in
                try each(written[place].sample, .code(written[place].completions, verdicts))
            }
        }
    }
}
