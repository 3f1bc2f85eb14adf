// The parameters of `evaluate`: ms-swift's and EvalScope's names where they have one.

import ArgumentParser
import Evaluation
import Models

extension ScoringKind: ExpressibleByArgument {}
extension DataSplit: ExpressibleByArgument {}

/// What is asked.
struct EvaluationTaskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Tasks: \(EvaluationTask.names.joined(separator: ", ")) (also --datasets).", valueName: "NAME"))
    var evalDataset: [String] = []

    @Option(help: .hidden)
    var datasets: [String] = []

    @Option(
        help: ArgumentHelp("Tasks of your own, a file each with one or several.", valueName: "FILE.yaml"))
    var task: [String] = []

    @Option(
        help: ArgumentHelp(
            "Data: a file or the directory of a data set; one for each task, or one for all "
                + "(in directories by their names, if it has them).", valueName: "PATH"))
    var dataset: [String] = []

    @Option(help: ArgumentHelp("Only these subsets.", valueName: "NAME"))
    var subsetList: [String] = []

    @Option(help: ArgumentHelp("The split to evaluate; the task's own unless given.", valueName: "SPLIT"))
    var evalSplit: DataSplit?

    @Option(help: "The first so many samples of each subset (also --limit).")
    var evalLimit: Int?

    @Option(help: .hidden)
    var limit: Int?

    @Option(help: "Examples before each question (also --few_shot_num); the task's own number unless given.")
    var numFewshot: Int?

    @Option(help: .hidden)
    var fewShotNum: Int?

    @Option(help: ArgumentHelp("A file with examples, in place of the data set's own.", valueName: "FILE"))
    var fewShotFile: String?

    @Option(help: ArgumentHelp("How answers are got; the task's own way unless given.", valueName: "KIND"))
    var scoring: ScoringKind?

    @Option(
        help: ArgumentHelp(
            "Ask through the model's chat template; unless given so for generated text, if it has one.",
            valueName: "true|false"))
    var applyChatTemplate: Bool?

    @Option(help: "What the system message says.")
    var system: String?

    func validate() throws {
        if evalDataset.isEmpty || datasets.isEmpty { return }
        throw ValidationError("--eval_dataset and --datasets are the same; give one")
    }
}

/// Who is asked, and how.
struct EvaluationModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Directory of the model; with --api_url the name by which the server knows it.", valueName: "DIR")
    )
    var model: String?

    @Option(help: ArgumentHelp("Directory of a LoRA adapter (also adapter).", valueName: "DIR"))
    var adapters: [String] = []

    @Option(
        help: ArgumentHelp(
            "Directory of the tokenizer, where the model's has none; with --api_url prompts are its tokens.",
            valueName: "DIR"))
    var tokenizer: String?

    @Option(
        help: ArgumentHelp(
            "Weights as the files have them (stored), or quantized while they are loaded.",
            valueName: "stored|int8|int4"))
    var quant = WeightQuantization.stored

    @Option(help: "Threads for the arithmetic; one on each core unless given.")
    var threads: Int?

    @Option(
        help: "Tokens that the model reads at most; its own limit unless given, or the server's, or 2048.")
    var maxLength: Int?

    @Option(
        help: ArgumentHelp(
            "Root of an OpenAI API, such as http://127.0.0.1:8000/v1 (also --eval_url).", valueName: "URL"))
    var apiUrl: String?

    @Option(help: .hidden)
    var evalUrl: String?

    @Option(help: ArgumentHelp("Key for it; $OPENAI_API_KEY unless given.", valueName: "KEY"))
    var apiKey: String?

    @Option(
        help: "Texts that are written at once, or requests to the server; 16 unless given, 8 with --api_url.")
    var evalBatchSize: Int?

    @Option(help: "Tokens to generate at most; the task's own number unless given.")
    var maxNewTokens: Int?

    @Option(help: "0 always takes the most probable token; 0 unless given, 0.8 with --n above 1.")
    var temperature: Double?

    @Option(help: "Only the most probable tokens count, up to this share of probability.")
    var topP: Double?

    @Option(help: "Only the most probable tokens count, as many as this.")
    var topK: Int?

    @Option(help: "Text that ends an answer, beside the task's own; may be given several times.")
    var stop: [String] = []

    @Option(help: "Answers of each sample.")
    var n = 1

    @Option(help: ArgumentHelp("The k of pass@k, up to n; 1 and n unless given.", valueName: "K"))
    var k: [String] = []

    @Option(help: "Seconds that a program of the model may run.")
    var timeout = 4.0

    @Option(help: "Draws examples and answers; the same seed draws the same ones.")
    var seed: UInt64 = 42
}

/// What becomes of it.
struct EvaluationOutputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where reports, reviews and predictions go (also --eval_output_dir); eval_output unless given. "
                + "What is there already is gone on from.", valueName: "DIR"))
    var outputDir: String?

    @Option(help: .hidden)
    var evalOutputDir: String?

    @Option(
        help: ArgumentHelp(
            "Throw away what another evaluation left in that directory.", valueName: "true|false"))
    var restart = false

    @Option(
        help: ArgumentHelp(
            "Exit status 1 if a figure is below: NUMBER (the first), METRIC=NUMBER, TASK.METRIC=NUMBER.",
            valueName: "BOUND"))
    var failBelow: [String] = []

    @Option(help: ArgumentHelp("The same for figures of which less is better.", valueName: "BOUND"))
    var failAbove: [String] = []

    @Option(
        help: ArgumentHelp(
            "Exit status 1 if a paired test says that this is worse than that report (or directory of them).",
            valueName: "REPORT"))
    var failIfWorseThan: String?

    @Option(help: "How much worse is not counted as worse.")
    var tolerance = 0.0

    @Option(
        help: ArgumentHelp(
            "Compare two reports, or directories of reports, and do nothing else.", valueName: "A B"))
    var compare: [String] = []

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?
}
