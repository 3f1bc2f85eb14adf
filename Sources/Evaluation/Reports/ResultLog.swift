// The files of a run: what the model gave and what was made of it, a line a sample as it is finished, so that
// a run that was ended goes on where it stood.

import Glibc
import Tensors
package import Text

/// An output directory that is being written.
///
/// `settings.json` comes first and has the run's fingerprint. A line of `predictions.jsonl` is written before
/// that of `reviews.jsonl`; a sample is finished when it has its prediction, from which its review can be
/// made again.
package final class ResultLog {
    /// What earlier runs finished, by the sample's identifier.
    package private(set) var finished: [String: SampleOutcome] = [:]
    private let directory: String
    private let plan: EvaluationPlan
    private let predictions: LineFile
    private let reviews: LineFile
    private var reviewed: Set<String> = []

    /// Opens a directory, which is made if it is missing.
    /// - Parameters:
    ///   - model: see `EvaluationPlan.fingerprint(model:)`.
    ///   - restarts: throws away what another run with other settings left, instead of refusing.
    /// - Throws: if the directory has results of other settings, or cannot be written.
    package init(directory: String, _ plan: EvaluationPlan, model: OrderedJSON, restarts: Bool = false) throws
    {
        self.directory = directory
        self.plan = plan
        try Self.makeDirectory(directory)
        let fingerprint = plan.fingerprint(model: model)
        let settingsPath = "\(directory)/settings.json"
        let files = ["predictions.jsonl", "reviews.jsonl", "report.json"].map { "\(directory)/\($0)" }
        let known = try Self.knownFingerprint(settingsPath)
        if known != fingerprint {
            let isStarted = files.contains { access($0, F_OK) == 0 }
            if isStarted, !restarts {
                throw EvaluationError(
                    directory,
                    problem: "the directory has results of an evaluation with other settings, data or model",
                    remedy: "choose another output directory, or start again with --restart true")
            }
            for path in files { unlink(path) }
            let content = OrderedJSON.object([
                .init(key: "fingerprint", value: .string(fingerprint)),
                .init(key: "settings", value: plan.settings), .init(key: "model", value: model),
            ])
            try Self.write(content, to: settingsPath)
        }
        predictions = try LineFile(files[0])
        reviews = try LineFile(files[1])
        try readFinished()
    }

    private func readFinished() throws {
        let ids = Set(plan.samples.map(\.id))
        for line in predictions.lines {
            guard let id = line["id"]?.stringValue, ids.contains(id),
                let outcome = line["outcome"].flatMap(SampleOutcome.init(json:))
            else { continue }
            finished[id] = outcome
        }
        for line in reviews.lines {
            if let id = line["id"]?.stringValue { reviewed.insert(id) }
        }
    }

    /// Samples that have no outcome yet, in their order.
    package var remaining: [EvaluationSample] { plan.samples.filter { finished[$0.id] == nil } }

    /// Writes a sample's outcome and its review.
    /// - Returns: the review.
    @discardableResult
    package func append(_ sample: EvaluationSample, _ outcome: SampleOutcome) throws -> SampleReview {
        let review = try plan.review(sample, outcome)
        let line = OrderedJSON.object([
            .init(key: "id", value: .string(sample.id)), .init(key: "subset", value: .string(sample.subset)),
            .init(key: "prompt_sha256", value: .string(ContentSHA256.hex(of: sample.promptText))),
            .init(key: "outcome", value: outcome.json),
        ])
        try predictions.append(line)
        finished[sample.id] = outcome
        try write(review)
        return review
    }

    private func write(_ review: SampleReview) throws {
        guard reviewed.insert(review.id).inserted else { return }
        try reviews.append(review.json)
    }

    /// The reviews of all finished samples in the samples' order. Those that a torn end lost are made again.
    package func allReviews() throws -> [SampleReview] {
        try plan.samples.compactMap { sample in
            guard let outcome = finished[sample.id] else { return nil }
            let review = try plan.review(sample, outcome)
            try write(review)
            return review
        }
    }

    /// Brings the lines to disk, then writes `report.json` whole.
    package func finish(_ report: EvaluationReport) throws {
        try predictions.synchronize()
        try reviews.synchronize()
        try Self.write(report.json, to: "\(directory)/report.json")
    }

    private static func write(_ value: OrderedJSON, to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(Array((value.prettyText + "\n").utf8))
        try file.commit()
    }

    private static func knownFingerprint(_ path: String) throws -> String? {
        guard access(path, F_OK) == 0 else { return nil }
        let bytes = try SmallFile.read(path, limitBytes: 1 << 24)
        return (try? OrderedJSON(parsingUTF8: bytes))?["fingerprint"]?.stringValue
    }

    private static func makeDirectory(_ path: String) throws(EvaluationError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
            if mkdir(made, 0o755) != 0, errno != EEXIST {
                throw EvaluationError(
                    made, problem: "cannot make the directory: \(String(cString: strerror(errno)))",
                    remedy: "choose another output directory")
            }
        }
    }
}

extension EvaluationSample {
    /// What was asked, for a digest.
    var promptText: String {
        func text(_ prompt: PromptText) -> String {
            switch prompt {
            case .raw(let text): text
            case .messages(let turns): turns.map { "\($0.role): \($0.content)" }.joined(separator: "\n")
            }
        }
        switch body {
        case .multipleChoice(let context, let continuations, _):
            return ([text(context)] + continuations).joined(separator: "\n")
        case .generation(let request), .code(let request, _): return text(request.prompt)
        case .text(let whole): return whole
        }
    }
}
