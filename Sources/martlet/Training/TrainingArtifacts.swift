// What a training step of a workflow gives: the trained model or adapter, its logs, and its figures.

import Artifacts
import Text
import Training

/// The place where a step leaves what it gives.
struct TrainingArtifacts {
    /// The variable that names it; only steps of a workflow have it.
    static let variable = "MARTLET_OUTPUT_DIR"

    let directory: String

    /// Nil for a training that is no step.
    init?(environment: (String) -> String? = Environment.value) {
        guard let directory = environment(Self.variable), !directory.isEmpty else { return nil }
        self.directory = directory
    }

    /// Where the run writes unless it is told: beside its checkpoints, which all attempts of a step share, so
    /// that their log is one.
    func outputDirectory(checkpoints: String?) -> String { checkpoints ?? directory + "/run" }

    /// Leaves `model` or `adapter`, `logs`, and the parameters.
    /// - Throws: `CommandError` if the run had no step, and so gave nothing.
    func leave(_ summary: RunSummary, of parameters: TrainingParameters) throws {
        // A run that stops when it gets no better wants the one that was best.
        let best = parameters.earlyStopInterval == nil ? nil : summary.bestCheckpoint
        guard let checkpoint = best ?? summary.lastCheckpoint else {
            throw CommandError("the run had no step and gave no model: check the data set", status: 65)
        }
        do {
            let artifact = parameters.tunerType == .full ? "model" : "adapter"
            try TreeCopy.copy(checkpoint, to: "\(directory)/\(artifact)", leavingOut: Self.resumption)
            if let outputDir = parameters.outputDir {
                try Disk.makeDirectories("\(directory)/logs")
                for name in ["args.json", "logging.jsonl", "runs"] where Disk.exists("\(outputDir)/\(name)") {
                    try TreeCopy.copy("\(outputDir)/\(name)", to: "\(directory)/logs/\(name)")
                }
            }
        } catch let error as ArtifactError {
            throw CommandError("\(error)", status: 1)
        }
        try StepParameters.write(Self.figures(summary), to: directory)
    }

    /// What a checkpoint has for those who go on with it; nobody who uses the model needs it.
    private static let resumption: Set<String> = [
        "optimizer.safetensors", "trainer_state.json", "complete.json",
    ]

    /// The output parameters; numbers that are not finite are left out, since JSON has none.
    static func figures(_ summary: RunSummary) -> [(name: String, value: JSONValue)] {
        var figures: [(name: String, value: JSONValue)] = [("steps", .int(summary.steps))]
        func add(_ name: String, _ value: Double?, places: Double = 1e6) {
            guard let value, value.isFinite else { return }
            figures.append((name, .double((value * places).rounded() / places)))
        }
        add("train_loss", summary.trainLoss)
        add("eval_loss", summary.evalLoss)
        add("tokens_per_second", summary.tokensPerSecond, places: 10)
        // Held-out rows say more than those of the last step.
        let metrics = summary.evaluationMetrics.isEmpty ? summary.metrics : summary.evaluationMetrics
        for (name, metric) in [
            ("reward_accuracy", "rewards/accuracies"), ("reward_margin", "rewards/margins"),
        ] {
            add(name, metrics.first { $0.name == metric }?.value)
        }
        return figures
    }
}
