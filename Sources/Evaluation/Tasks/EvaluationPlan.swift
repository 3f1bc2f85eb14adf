// A task that has met its data: all samples, and what has to be known to judge and repeat them.

package import Text

/// What a run asks, in full.
package struct EvaluationPlan: Sendable {
    package let task: EvaluationTask
    package let request: TaskRequest
    package let scoring: ScoringKind
    /// Examples before each question.
    package let shots: Int
    /// In the order of the data; at most `limit` of each subset.
    package let samples: [EvaluationSample]
    /// The first is the primary one.
    package let metrics: [Metric]
    /// The files that were evaluated.
    package let files: [DataFile]
    /// Of the evaluated files; see `ContentSHA256.hex(of:)`.
    package let dataSHA256: String
    /// Of the files with examples; nil without examples.
    package let examplesSHA256: String?
    /// Of the templates and rules that this scoring uses.
    package let templateSHA256: String
    /// What the reader of the report should know, such as fewer examples than usual.
    package let notes: [String]

    /// Reads the data and makes all samples.
    /// - Parameter path: a file, or the directory of a data set.
    /// - Throws: what is wrong with data, settings or templates: file, row, field and remedy.
    package init(_ task: EvaluationTask, path: String, _ request: TaskRequest = TaskRequest()) throws {
        let scoring = request.scoring ?? task.scoring
        try Self.check(task, request, scoring)
        let selection = try RowSelection(task, path: path, request)
        var maker = SampleMaker(task, request, scoring, selection)
        samples = try maker.samples()
        self.task = task
        self.request = request
        self.scoring = scoring
        shots = maker.shots
        metrics = task.metrics(scoring, request)
        files = selection.files
        dataSHA256 = try ContentSHA256.hex(of: selection.files)
        examplesSHA256 =
            selection.exampleFiles.isEmpty ? nil : try ContentSHA256.hex(of: selection.exampleFiles)
        templateSHA256 = ContentSHA256.hex(of: task.templateSource(scoring).compactText)
        notes = maker.notes
    }

    private static func check(
        _ task: EvaluationTask, _ request: TaskRequest, _ scoring: ScoringKind
    ) throws(EvaluationError) {
        guard task.scorings.contains(scoring) else {
            throw EvaluationError(
                "scoring", problem: "the task \(task.name) has no scoring \(scoring.rawValue)",
                remedy: "choose \(task.scorings.map(\.rawValue).joined(separator: " or "))")
        }
        let bounded: [(name: String, value: Int?, range: ClosedRange<Int>)] = [
            ("shots", request.shots, 0...1_000), ("limit", request.limit, 1...Int.max),
            ("max_new_tokens", request.maxNewTokens, 1...1_000_000),
            ("completions", request.completions, 1...10_000),
        ]
        for (name, value, range) in bounded {
            if let value, !range.contains(value) {
                throw EvaluationError(
                    name, problem: "\(value) is out of range",
                    remedy: "give a number from \(range.lowerBound)"
                        + (range.upperBound == .max ? " on" : " to \(range.upperBound)"))
            }
        }
    }

    /// Everything that decides about samples and answers, for the report and for resuming.
    package var settings: OrderedJSON {
        func number(_ value: Int?) -> OrderedJSON { value.map { .int($0) } ?? .null }
        return .object([
            .init(key: "task", value: .string(task.name)),
            .init(key: "scoring", value: .string(scoring.rawValue)),
            .init(key: "shots", value: .int(shots)),
            .init(key: "subset_list", value: .array(request.subsets.map { .string($0) })),
            .init(key: "limit", value: number(request.limit)),
            .init(key: "split", value: request.split.map { .string($0.rawValue) } ?? .null),
            .init(key: "seed", value: .int(Int(clamping: request.seed))),
            .init(key: "chat_template", value: .bool(request.usesChatTemplate)),
            .init(key: "system_prompt", value: request.systemPrompt.map { .string($0) } ?? .null),
            .init(key: "max_new_tokens", value: number(request.maxNewTokens)),
            .init(key: "stop", value: .array(request.stop.map { .string($0) })),
            .init(key: "completions", value: .int(request.completions)),
            .init(key: "data_sha256", value: .string(dataSHA256)),
            .init(key: "examples_sha256", value: examplesSHA256.map { .string($0) } ?? .null),
            .init(key: "template_sha256", value: .string(templateSHA256)),
        ])
    }

    /// The digest that a resumed run must have, too.
    /// - Parameter model: whatever tells the model and its settings apart: path and digest, address,
    ///   sampling.
    package func fingerprint(model: OrderedJSON) -> String {
        let all = OrderedJSON.object([
            .init(key: "settings", value: settings), .init(key: "model", value: model),
        ])
        return ContentSHA256.hex(of: all.compactText)
    }
}

extension EvaluationTask {
    /// The metrics of a scoring, the primary one first.
    package func metrics(_ scoring: ScoringKind, _ request: TaskRequest) -> [Metric] {
        var metrics: [Metric]
        switch (form, scoring) {
        case (.text, _): metrics = Metric.ofTexts
        case (.code, _):
            metrics = request.passAt.filter { $0 >= 1 && $0 <= request.completions }.map {
                .mean("pass@\($0)")
            }
            if metrics.isEmpty { metrics = [.mean("pass@1")] }
        case (.choice, .loglikelihood): metrics = ["acc", "acc_norm", "acc_norm_bytes"].map { .mean($0) }
        case (.choice, _): metrics = [.mean("acc")]
        case (.question(let form), _): metrics = form.checks.map { .mean($0.metric) }
        }
        if let place = metrics.firstIndex(where: { $0.name == primaryMetric }) {
            metrics.insert(metrics.remove(at: place), at: 0)
        }
        return metrics
    }

    /// All text and rules that make prompts and judge answers under a scoring.
    func templateSource(_ scoring: ScoringKind) -> OrderedJSON {
        switch form {
        case .choice(let form):
            let prompt = scoring == .loglikelihood ? form.likelihood : form.generation
            return .object([
                .init(key: "prompt", value: prompt.source),
                .init(key: "continuation", value: .string(form.continuation.rawValue)),
                .init(key: "hellaswag", value: .bool(form.cleansHellaSwag)),
            ])
        case .question(let form):
            return .object([
                .init(key: "prompt", value: form.generation.source),
                .init(key: "checks", value: .array(form.checks.map(\.source))),
                .init(key: "stop", value: .array(form.stop.map { .string($0) })),
            ])
        case .code(let form):
            return .object([
                .init(key: "instruction", value: .string(form.instruction.source)),
                .init(key: "stop", value: .array(form.stop.map { .string($0) })),
            ])
        case .text: return .object([])
        }
    }
}
