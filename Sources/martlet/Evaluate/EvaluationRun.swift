// The whole of an evaluation: data first, since nothing is loaded for data that cannot be read; then the
// model, the samples, the reports, and the gates.

import Evaluation
import Tensors
import Text

/// Runs what was asked for.
struct EvaluationRun: Sendable {
    let request: EvaluateRequest
    let gates: EvaluationGates

    /// - Returns: the reports in the order of the tasks, and whether all gates were passed.
    func run() async throws -> (reports: [EvaluationReport], hasPassed: Bool) {
        let renderer = try EvaluationModel.renderer(request)
        // A server without a tokenizer here has a template of its own, as far as anybody knows.
        let hasChatTemplate = renderer.map { $0.templateSource != nil } ?? true
        let plans = try request.jobs.map { try plan($0, hasChatTemplate: hasChatTemplate) }
        for plan in plans { try gates.check(plan) }
        let model = try await EvaluationModel.open(request, renderer)
        var reports: [EvaluationReport] = []
        var hasPassed = true
        for plan in plans {
            let directory = request.outputs.directory(of: plan.task.name, isOnly: plans.count == 1)
            let report = try await evaluate(plan, model, directory)
            reports.append(report)
            Output.text(ReportTable.text(report))
            for note in Self.notes(report) { Output.line("note: \(note.printable)") }
            let verdict = try gates.verdict(report, directory: directory)
            for sentence in verdict.sentences { Output.line("\(report.task): \(sentence)".printable) }
            hasPassed = hasPassed && verdict.passed
            Output.line("report: \(directory)/report.json")
        }
        try request.outputs.leave(reports)
        return (reports, hasPassed)
    }

    /// Text is generated through the template of a model that has one; likelihoods are of the plain text.
    private func usesChatTemplate(_ task: EvaluationTask, hasChatTemplate: Bool) -> Bool {
        if let wanted = request.applyChatTemplate { return wanted }
        let scoring = request.settings.scoring ?? task.scoring
        return hasChatTemplate && (scoring == .generation || scoring == .code)
    }

    private func plan(_ job: EvaluateRequest.Job, hasChatTemplate: Bool) throws -> EvaluationPlan {
        var settings = request.settings
        settings.usesChatTemplate = usesChatTemplate(job.task, hasChatTemplate: hasChatTemplate)
        let plan = try EvaluationPlan(job.task, path: job.dataset, settings)
        guard !plan.samples.isEmpty else {
            throw EvaluationError(
                job.dataset, problem: "the data has no sample for the task \(job.task.name)",
                remedy: "check --subset_list, --eval_split and the files")
        }
        return plan
    }

    private static func notes(_ report: EvaluationReport) -> [String] {
        (OrderedJSON.object(report.details)["notes"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    // MARK: One task

    private func evaluate(
        _ plan: EvaluationPlan, _ model: EvaluationModel, _ directory: String
    ) async throws -> EvaluationReport {
        let log = try ResultLog(
            directory: directory, plan, model: model.identity, restarts: request.outputs.restarts)
        let samples = log.remaining
        let began = ContinuousClock.now
        var notes = plan.notes
        if !samples.isEmpty {
            let runner =
                plan.scoring == .code
                ? try SandboxedCodeRunner(directory: Self.scratchDirectory()) : nil
            if case .limitsOnly(let reason)? = runner?.isolation {
                Output.warning("programs of the model run with limits, but without a sandbox: \(reason)")
            }
            var scorer = SampleScorer(model: model.model, codeRunner: runner)
            scorer.sampling = request.sampling
            scorer.completions = request.settings.completions
            scorer.programSeconds = request.programSeconds
            scorer.programsAtOnce = max(1, ThreadPool.coreCount)
            let progress = EvaluationProgress(
                plan.task.name, done: plan.samples.count - samples.count, of: plan.samples.count,
                request.outputs)
            defer { progress.finish() }
            try await scorer.outcomes(of: samples) { index, outcome in
                try log.append(samples[index], outcome)
                progress.advance()
            }
            if let runner { notes += Self.notes(runner) }
        }
        var report = EvaluationReport(
            plan, reviews: try log.allReviews(), model: model.identity,
            durationSeconds: (ContinuousClock.now - began) / .seconds(1))
        if let place = report.details.firstIndex(where: { $0.key == "notes" }) {
            report.details[place].value = .array(notes.map { .string($0) })
        }
        try log.finish(report)
        return report
    }

    private static func notes(_ runner: SandboxedCodeRunner) -> [String] {
        var notes = ["programs ran in: \(runner.isolation.description)"]
        if runner.programsSawNetwork {
            notes.append("programs could have reached the network: no namespace for it can be made here")
        }
        return notes
    }

    private static func scratchDirectory() -> String {
        let directory = Environment.value("TMPDIR") ?? ""
        return Environment.absolute(directory.isEmpty ? "/tmp" : directory)
    }
}
