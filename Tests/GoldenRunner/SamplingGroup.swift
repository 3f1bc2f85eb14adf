// Distributions that tokens are drawn from, against the logits processors of transformers.

import Inference
import Text

extension GoldenGroup {
    /// `sampling.json`: logits, parameters, and the probabilities that come of them, in both orders.
    static let sampling = GoldenGroup(name: "sampling") {
        $0.has("sampling.json")
    } run: { folder, report in
        let file = try folder.json("sampling.json")
        let vectors = try file.required("logits").arrayValue?.map { try $0.doubles() } ?? []
        for (number, item) in (file["cases"]?.arrayValue ?? []).enumerated() {
            let label = "\(number) \(item["params"]?.compactText ?? "")"
            do {
                try DistributionCheck(item, vectors).run(label, item, &report)
            } catch {
                report.fail("probabilities", label, "\(error)")
            }
        }
        for item in file["raw_logprobs"]?.arrayValue ?? [] {
            try compareLogprobs(item, vectors, &report)
        }
    }

    /// The log-probabilities that are reported for tokens.
    private static func compareLogprobs(
        _ item: OrderedJSON, _ vectors: [[Double]], _ report: inout GoldenReport
    ) throws {
        let limit = 1e-6
        let number = try vectorNumber(item, vectors)
        let logits = vectors[number].map { Float($0) }
        for member in item.objectValue ?? [] where member.key.hasPrefix("top") {
            let reference = member.value.arrayValue ?? []
            let best = try reference.map { try $0.required("id") }.first?.intValue ?? 0
            guard logits.indices.contains(best) else {
                throw GoldenError("id \(best) is not in the vocabulary")
            }
            let ours = logits.withUnsafeBufferPointer {
                TokenLogprob(of: Int32(best), in: $0, alternatives: reference.count)
            }
            let ids = try OrderedJSON.array(reference.map { try $0.required("id") }).tokenIDs()
            let label = "vector \(number) \(member.key)"
            report.expect("best tokens", label, firstDifference(ours.top.map(\.id), ids))
            let (difference, place) = largestDouble(
                ours.top.map { Double($0.logprob) },
                try reference.map { try $0.required("logprob").doubleValue ?? .nan })
            report.measure(
                "logprobs", label, difference: difference, limit: limit, detail: "the one at place \(place)")
        }
    }

    fileprivate static func vectorNumber(_ item: OrderedJSON, _ vectors: [[Double]]) throws -> Int {
        guard let number = item["vector"]?.intValue, vectors.indices.contains(number) else {
            throw GoldenError("a case names no vector of logits: \(item.compactText.prefix(120))")
        }
        return number
    }
}

/// One case: logits, parameters, and what came before.
private struct DistributionCheck {
    private static let limit = 1e-12
    /// Where one library's exponential is zero and another's is not.
    private static let vanishing = 1e-290

    let logits: [Double]
    let parameters: SamplingParameters
    let promptIDs: [Int32]
    let outputIDs: [Int32]

    init(_ item: OrderedJSON, _ vectors: [[Double]]) throws {
        logits = vectors[try GoldenGroup.vectorNumber(item, vectors)]
        promptIDs = try item["prompt_ids"]?.tokenIDs() ?? []
        outputIDs = try item["output_ids"]?.tokenIDs() ?? []
        var parameters = SamplingParameters(maxTokens: 1)
        for member in item["params"]?.objectValue ?? [] {
            guard let value = member.value.doubleValue else {
                throw GoldenError("the parameter \(member.key) is not a number")
            }
            switch member.key {
            case "temperature": parameters.temperature = value
            case "top_k":
                guard let count = member.value.intValue else {
                    throw GoldenError("top_k \(value) is no whole number")
                }
                parameters.topK = count
            case "top_p": parameters.topP = value
            case "min_p": parameters.minP = value
            case "repetition_penalty": parameters.repetitionPenalty = value
            case "presence_penalty": parameters.presencePenalty = value
            case "frequency_penalty": parameters.frequencyPenalty = value
            default: throw GoldenError("the parameter \(member.key) is not known")
            }
        }
        self.parameters = parameters
        if let id = (promptIDs + outputIDs).first(where: { !logits.indices.contains(Int($0)) }) {
            throw GoldenError("id \(id) is not in the vocabulary of \(logits.count)")
        }
    }

    /// Where the reference gives one list of probabilities only, both orders have it.
    func run(_ label: String, _ item: OrderedJSON, _ report: inout GoldenReport) throws {
        let reference = try item.required("probs").doubles()
        let inOtherOrder = try item["probs_vllm_order"]?.doubles() ?? reference
        let sampler = Sampler(parameters, promptIDs: promptIDs, outputIDs: outputIDs)
        let ours = try sampler.distribution(logits, order: .huggingFace)
        compare("probabilities", label, ours, reference, &report)
        compare(
            "in vLLM's order", label, try sampler.distribution(logits, order: .vLLM), inOtherOrder, &report)
        guard let kept = item["kept"]?.intValue else { return }
        let count = ours.count { $0 > 0 }
        let doubtful =
            ours.count { $0 > 0 && $0 < Self.vanishing } + reference.count { $0 > 0 && $0 < Self.vanishing }
        report.expect(
            "tokens kept", label,
            abs(count - kept) <= doubtful ? nil : "\(count) tokens are kept, reference \(kept)")
    }

    private func compare(
        _ kind: String, _ label: String, _ ours: [Double], _ reference: [Double], _ report: inout GoldenReport
    ) {
        let (difference, place) = largestDouble(ours, reference)
        report.measure(
            kind, label, difference: difference, limit: Self.limit,
            detail: ours.count == reference.count
                ? "token \(place) has \(ours[place]), reference \(reference[place])"
                : "\(ours.count) probabilities, reference \(reference.count)")
    }
}

private func largestDouble(_ ours: [Double], _ reference: [Double]) -> (difference: Double, place: Int) {
    guard ours.count == reference.count else { return (.infinity, 0) }
    var (worst, place) = (0.0, 0)
    for (index, (left, right)) in zip(ours, reference).enumerated() {
        let difference = abs(left - right)
        if difference <= worst { continue }
        (worst, place) = (difference.isNaN ? .infinity : difference, index)
    }
    return (worst, place)
}
