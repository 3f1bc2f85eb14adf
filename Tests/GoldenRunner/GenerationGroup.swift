// Greedy continuations, against `generate` of transformers.

import Inference
import Models
import Tensors
import Text

extension GoldenGroup {
    /// A model directory beside `reference.json`: the same tokens, each text alone and all in one batch.
    static let generation = GoldenGroup(name: "generation") { folder in
        folder.has("config.json") && folder.has("reference.json")
    } run: { folder, report in
        guard let items = try folder.json("reference.json")["generations"]?.arrayValue else {
            return report.skip("reference.json, which has no generations")
        }
        let cases = try items.map { try GreedyCase($0) }
        let runs = try await GreedyRuns(folder, count: cases.count).all(cases)
        for (kind, outputs) in [("alone", runs.alone), ("together", runs.together)] {
            for (number, item) in cases.enumerated() {
                report.attempt(kind, "\(number)") { item.problem(try outputs[number].get()) }
            }
        }
    }
}

private struct GreedyCase: Sendable {
    let promptIDs: [Int32]
    let newIDs: [Int32]
    /// How far the best token was ahead of the second at each step.
    let margins: [Double]

    init(_ item: OrderedJSON) throws {
        promptIDs = try item.required("prompt_ids").tokenIDs()
        newIDs = try item.required("new_ids").tokenIDs()
        margins = try item["margins"]?.doubles() ?? []
    }

    /// A small margin at the first difference tells of rounding, a large one of an error.
    func problem(_ ids: [Int32]) -> String? {
        guard let problem = firstDifference(ids, newIDs) else { return nil }
        let place = zip(ids, newIDs).enumerated().first { $1.0 != $1.1 }?.offset
        guard let place, margins.indices.contains(place) else { return problem }
        return "\(problem); the best logit was ahead by \(GoldenReport.text(margins[place])) there"
    }
}

/// The new ids, or why there are none.
private typealias GreedyResult = Result<[Int32], any Error>

/// The engine, started for one model.
private struct GreedyRuns: Sendable {
    let engine: InferenceEngine

    init(_ folder: GoldenFolder, count: Int) throws {
        // The ids are all that counts. An engine needs a tokenizer, and the folder may have none.
        let tokenizer = try Tokenizer(
            tokenizerJSON: Array(#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#.utf8),
            configurationJSON: nil, file: "a tokenizer of one token")
        var settings = EngineSettings()
        settings.maxWaiting = max(settings.maxWaiting, count)
        // Every text is computed from its beginning.
        settings.sharesPrefixes = false
        let pool = try ThreadPool()
        engine = try InferenceEngine(
            model: CausalLanguageModel(directory: folder.path, pool: pool), tokenizer: tokenizer,
            settings: settings, pool: pool)
    }

    /// Runs the engine for as long as the texts take.
    func all(_ cases: [GreedyCase]) async throws -> (alone: [GreedyResult], together: [GreedyResult]) {
        let results = try await withThrowingTaskGroup(of: [GreedyResult]?.self) { group in
            group.addTask {
                await engine.run()
                return nil
            }
            group.addTask {
                var alone: [GreedyResult] = []
                for item in cases { alone.append(await generate(item)) }
                return alone + (await together(cases))
            }
            defer { group.cancelAll() }
            while let results = try await group.next() {
                if let results { return results }
            }
            throw CancellationError()
        }
        return (Array(results.prefix(cases.count)), Array(results.dropFirst(cases.count)))
    }

    private func together(_ cases: [GreedyCase]) async -> [GreedyResult] {
        await withTaskGroup(of: (Int, GreedyResult).self) { group in
            for (number, item) in cases.enumerated() {
                group.addTask { (number, await generate(item)) }
            }
            var all = [GreedyResult](repeating: .success([]), count: cases.count)
            for await (number, result) in group { all[number] = result }
            return all
        }
    }

    private func generate(_ item: GreedyCase) async -> GreedyResult {
        var sampling = SamplingParameters(maxTokens: item.newIDs.count)
        sampling.temperature = 0
        sampling.ignoreEOS = true
        var ids: [Int32] = []
        do {
            let request = GenerationRequest(id: "", promptIDs: item.promptIDs, sampling: sampling)
            for try await update in try await engine.generate(request) { ids += update.newIDs }
            return .success(ids)
        } catch {
            return .failure(error)
        }
    }
}
