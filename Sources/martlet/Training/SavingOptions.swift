// The parameters of a training run that say what it leaves behind, and what of the machine it uses.

import ArgumentParser
import Training

extension TrainingParameters.Interval: ExpressibleByArgument {}

/// `--output_dir` and its kin.
struct SavingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Where everything is written; output/MODEL unless given.", valueName: "DIR"))
    var outputDir: String?

    @Option(
        help: ArgumentHelp(
            "When to evaluate: no, steps, epoch; as save_strategy unless given.", valueName: "WHEN"))
    var evalStrategy: TrainingParameters.Interval?

    @Option(help: ArgumentHelp("Steps between evaluations; as save_steps unless given.", valueName: "N"))
    var evalSteps: Int?

    @Option(help: ArgumentHelp("When to save: no (at the end only), steps, epoch.", valueName: "WHEN"))
    var saveStrategy = TrainingParameters().saveStrategy

    @Option(help: ArgumentHelp("Steps between checkpoints.", valueName: "N"))
    var saveSteps = TrainingParameters().saveSteps

    @Option(
        help: ArgumentHelp(
            "Checkpoints to keep, the best always among them; all unless given.", valueName: "N"))
    var saveTotalLimit: Int?

    @Option(
        help: ArgumentHelp(
            "Leave the optimizer's state out, so that nothing can be resumed.", valueName: "true|false"))
    var saveOnlyModel = TrainingParameters().saveOnlyModel

    @Option(help: ArgumentHelp("Make the links best and last.", valueName: "true|false"))
    var createCheckpointSymlink = TrainingParameters().createCheckpointSymlink

    @Option(help: ArgumentHelp("What tells the best checkpoint.", valueName: "METRIC"))
    var metricForBestModel = TrainingParameters().metricForBestModel

    @Option(
        help: ArgumentHelp("More of that is better; unless given, told by its name.", valueName: "true|false")
    )
    var greaterIsBetter: Bool?

    @Option(
        help: ArgumentHelp("Stop after so many evaluations without a better one.", valueName: "N"))
    var earlyStopInterval: Int?

    @Option(help: ArgumentHelp("Steps between lines of logging.jsonl.", valueName: "N"))
    var loggingSteps = TrainingParameters().loggingSteps

    @Option(help: ArgumentHelp("Log the first step, too.", valueName: "true|false"))
    var loggingFirstStep = TrainingParameters().loggingFirstStep

    @Option(help: ArgumentHelp("tensorboard or none, beside logging.jsonl.", valueName: "NAME"))
    var reportTo: [String] = []

    @Option(help: ArgumentHelp("One more file of metrics, a JSON object a step.", valueName: "FILE"))
    var logJson: String?

    @Option(
        help: ArgumentHelp("Checkpoint to go on from; latest for that of --output_dir.", valueName: "DIR"))
    var resumeFromCheckpoint: String?

    @Option(
        help: ArgumentHelp(
            "Take the weights of the checkpoint only, and begin at the first step.", valueName: "true|false"))
    var resumeOnlyModel = TrainingParameters().resumeOnlyModel

    @Option(
        help: ArgumentHelp("Begin with the first row when resuming.", valueName: "true|false"))
    var ignoreDataSkip = TrainingParameters().ignoreDataSkip

    /// Names of trackers that are other people's services.
    private static let services: Set = ["wandb", "swanlab", "mlflow", "comet_ml", "neptune", "clearml"]

    func fill(_ parameters: inout TrainingParameters, _ problems: inout [String], _ notice: (String) -> Void)
    {
        parameters.outputDir = outputDir
        parameters.evalStrategy = evalStrategy
        parameters.evalSteps = evalSteps
        parameters.saveStrategy = saveStrategy
        parameters.saveSteps = saveSteps
        parameters.saveTotalLimit = saveTotalLimit
        parameters.saveOnlyModel = saveOnlyModel
        parameters.createCheckpointSymlink = createCheckpointSymlink
        parameters.metricForBestModel =
            metricForBestModel.hasPrefix("eval_")
            ? String(metricForBestModel.dropFirst(5)) : metricForBestModel
        parameters.greaterIsBetter = greaterIsBetter
        parameters.earlyStopInterval = earlyStopInterval
        parameters.loggingSteps = loggingSteps
        parameters.loggingFirstStep = loggingFirstStep
        parameters.logJSON = logJson
        parameters.resumeFromCheckpoint = resumeFromCheckpoint == "false" ? nil : resumeFromCheckpoint
        parameters.resumeOnlyModel = resumeOnlyModel
        parameters.ignoreDataSkip = ignoreDataSkip
        guard !reportTo.isEmpty else { return }
        parameters.reportTo = []
        for name in reportTo {
            switch name {
            case "tensorboard", "all": parameters.reportTo = ["tensorboard"]
            case "none": break
            case let name where Self.services.contains(name):
                notice("--report_to \(name) has no effect here: the metrics are in logging.jsonl")
            default: problems.append("--report_to: \"\(name)\" is not known; write tensorboard or none")
            }
        }
    }
}

/// `--threads` and its kin.
struct TrainingMachineOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Threads for the arithmetic; one on each core unless given.", valueName: "N"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Show tokens, steps and the memory that is needed, and do nothing.", valueName: "true|false"))
    var dryRun = TrainingParameters().dryRun

    @Option(
        help: ArgumentHelp(
            "Train although the memory will not do by the estimate.", valueName: "true|false"))
    var force = TrainingParameters().force

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?

    func fill(_ parameters: inout TrainingParameters) {
        parameters.threads = threads
        parameters.dryRun = dryRun
        parameters.force = force
    }
}
