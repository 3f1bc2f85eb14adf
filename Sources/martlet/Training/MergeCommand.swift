// `martlet merge`: adapters become part of their model's weights.

import ArgumentParser
import Tensors
import Training

/// The parameters of `merge`.
struct MergeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Directory of the model; the adapter's own unless given.", valueName: "DIR"))
    var model: String?

    @Option(
        help: ArgumentHelp("Adapters to merge, one after another (also adapter).", valueName: "DIR"))
    var adapters: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the merged model is written; ADAPTER-merged unless given.", valueName: "DIR"))
    var outputDir: String?

    @Option(help: ArgumentHelp("Replace what is there already.", valueName: "true|false"))
    var existOk = false

    @Option(
        help: ArgumentHelp(
            "Merge adapters of a quantized model into it all the same.", valueName: "true|false"))
    var force = false

    @Option(help: ArgumentHelp("As ms-swift's export has it: true.", valueName: "true|false"))
    var mergeLora = true

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?
}

struct MergeCommand: ParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Merge LoRA adapters into their model.",
        discussion: """
            The result is a model directory like that of the model, which needs no adapter any more.
            Examples:
              martlet merge --model ./Qwen2.5-0.5B --adapters out/checkpoint-500 --output_dir ./merged
              martlet merge --adapters out/checkpoint-500 --merge_lora true --exist_ok
            """)

    static let parameterGroups: [any ParsableArguments.Type] = [MergeOptions.self]

    @OptionGroup var options: MergeOptions

    /// What is merged, and where to.
    struct Request: Hashable {
        var model: String
        var adapters: [String]
        var outputDir: String
        var existOk: Bool
        var force: Bool
    }

    func run() throws {
        let request = try Self.request(options)
        try TrainingStart.reportingErrors { try Self.merge(request) }
        Output.line(request.outputDir)
    }

    /// - Parameter outputs: the directory of a step's artifacts, if this is one.
    /// - Throws: `CommandError` with status 2 and what to do.
    static func request(
        _ options: MergeOptions, outputs: String? = Environment.value("MARTLET_OUTPUT_DIR")
    ) throws -> Request {
        func failure(_ problem: String) -> CommandError { CommandError(problem, status: 2) }
        guard let first = options.adapters.first else {
            throw failure("--adapters is missing; give the directory of an adapter")
        }
        guard options.mergeLora else {
            throw failure("--merge_lora false: there is nothing else that merge does; leave it out")
        }
        let model = try options.model ?? AdapterOrigin.directory(of: first)
        var directory = first[...]
        while directory.hasSuffix("/"), directory.count > 1 { directory = directory.dropLast() }
        let outputDir = options.outputDir ?? outputs.map { $0 + "/model" } ?? directory + "-merged"
        guard outputDir != model, !options.adapters.contains(outputDir) else {
            throw failure("--output_dir \(outputDir) is an input, too; give another directory")
        }
        return Request(
            model: model, adapters: options.adapters, outputDir: outputDir, existOk: options.existOk,
            force: options.force)
    }

    /// The merge itself.
    private static func merge(_ request: Request) throws {
        let merge = try ModelMerge(model: request.model, adapters: request.adapters, force: request.force)
        let progress = ProgressLine("merging")
        defer { progress.finish() }
        try merge.write(to: request.outputDir, existOK: request.existOk, pool: ThreadPool()) {
            progress.show($0.done, of: $0.total)
        }
    }
}
