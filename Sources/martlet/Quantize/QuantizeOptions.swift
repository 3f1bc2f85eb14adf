// The parameters of `martlet quantize`, with ms-swift's names where it has them.

import ArgumentParser
import Models
import Training

/// `quant_method`. What is not there is listed nevertheless, so that its answer can say what to do.
enum QuantizeMethod: String, CaseIterable, ExpressibleByArgument {
    case rtn, gptq, awq, fp8, int8, bnb
    case gptqV2 = "gptq_v2"
}

extension QuantizationFormat: ExpressibleByArgument {}

/// Where FP8 has scales.
enum Float8Scales: String, CaseIterable, ExpressibleByArgument {
    case channel, tensor
}

struct QuantizeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Directory of the model, in 16 or 32 bits.", valueName: "DIR"))
    var model: String?

    @Option(help: ArgumentHelp("rtn, gptq, awq, fp8, or int8 (W8A8).", valueName: "METHOD"))
    var quantMethod: QuantizeMethod?

    @Option(help: ArgumentHelp("Bits of a weight, 4 or 8; 4 unless given.", valueName: "N"))
    var quantBits: Int?

    @Option(
        help: ArgumentHelp(
            "Inputs that share a scale; -1 for one scale an output. 128 unless given.", valueName: "N"))
    var groupSize: Int?

    @Option(
        help: ArgumentHelp(
            "gptq, awq or compressed-tensors; the method's own unless given.", valueName: "FORMAT"))
    var quantFormat: QuantizationFormat?

    @Option(
        help: ArgumentHelp(
            "Codes around zero, without zero points; true, for awq false.", valueName: "true|false"))
    var sym: Bool?

    @Option(help: ArgumentHelp("gptq: columns with large inputs first.", valueName: "true|false"))
    var descAct = false

    @Option(help: ArgumentHelp("gptq: damping of the Hessian, a share of its mean diagonal.", valueName: "X"))
    var dampPercent = 0.01

    @Option(help: ArgumentHelp("gptq: not there.", valueName: "true|false"))
    var staticGroups = false

    @Option(help: ArgumentHelp("fp8: a scale for each channel or tensor.", valueName: "WORD"))
    var fp8Scales: Float8Scales = .channel

    @Option(
        help: ArgumentHelp(
            "Linear layers that keep their weights: names, patterns with *, or re:EXPRESSION. "
                + "lm_head always does.",
            valueName: "NAME"))
    var modulesToNotConvert: [String] = []

    @Option(
        help: ArgumentHelp(
            "Files (jsonl, json, csv, txt) or folders to calibrate with; PATH#N takes N rows.",
            valueName: "PATH"))
    var dataset: [String] = []

    @Option(
        help: ArgumentHelp(
            "Texts for the perplexity before and after; some of --dataset unless given.", valueName: "PATH"))
    var valDataset: [String] = []

    @Option(help: ArgumentHelp("Rows to calibrate with.", valueName: "N"))
    var quantNSamples = 256

    @Option(help: ArgumentHelp("Rows that are computed together, at least.", valueName: "N"))
    var quantBatchSize = 1

    @Option(help: ArgumentHelp("Tokens of a row; longer ones are cut to pieces.", valueName: "N"))
    var maxLength = 512

    @Option(
        help: ArgumentHelp(
            #"JSON map from a column's name in the files to the one meant: {"prompt_text": "query"}."#,
            valueName: "JSON"))
    var columns: String?

    @Option(help: ArgumentHelp("System message of rows without one.", valueName: "TEXT"))
    var system: String?

    @Option(help: ArgumentHelp("Seed of the choice of rows.", valueName: "N"))
    var seed: UInt64 = 42

    @Option(
        help: ArgumentHelp(
            "Where the quantized model is written; MODEL-METHOD-intN unless given.", valueName: "DIR"))
    var outputDir: String?

    @Option(help: ArgumentHelp("Replace what is there already.", valueName: "true|false"))
    var existOk = false

    @Option(help: ArgumentHelp("Not there: merge adapters first.", valueName: "DIR"))
    var adapters: [String] = []

    @Option(help: ArgumentHelp("Threads for the arithmetic; one on each core unless given.", valueName: "N"))
    var threads: Int?

    @Option(help: ArgumentHelp("YAML or JSON file with these parameters.", valueName: "FILE"))
    var config: String?
}
