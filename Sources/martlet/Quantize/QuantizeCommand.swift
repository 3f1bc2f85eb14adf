// `martlet quantize`: a model in 4 or 8 bits, in the formats that other programs read.

import ArgumentParser
import Models
import Tensors
import Text
import Training

struct QuantizeCommand: ParsableCommand, ParameterCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize", abstract: "Quantize a model: GPTQ, AWQ, rounding, FP8, W8A8.",
        discussion: """
            The result is a model directory that vLLM, transformers and martlet read, with the errors
            of each layer in quantization_report.json. Memory holds one layer at a time.
            Exit status: 0 done, 2 bad parameters, 65 bad data, 86 out of memory.
            Examples:
              martlet quantize --model ./Qwen2.5-0.5B --quant_method gptq --quant_bits 4 \\
                --dataset chats.jsonl --output_dir ./Qwen2.5-0.5B-gptq
              martlet quantize --model ./model --quant_method awq --dataset chats.jsonl --group_size 64
              martlet quantize --model ./model --quant_method fp8
              martlet quantize --model ./model --quant_method rtn --quant_bits 8 --group_size -1 \\
                --modules_to_not_convert 'layers.0' '*.down_proj'
            """)

    static let parameterGroups: [any ParsableArguments.Type] = [QuantizeOptions.self]

    @OptionGroup var options: QuantizeOptions

    func run() throws {
        let settings = try QuantizeSettings(options)
        let stop = StopRequest()
        let signals = SignalWatch { _ in
            Output.note("stopping; nothing is written")
            stop.make()
        }
        defer { signals.cancel() }
        let report = try Self.reportingErrors {
            try Self.quantize(settings) {
                if stop.isMade {
                    throw CommandError(
                        "interrupted; nothing was written", status: 128 + (signals.received ?? 2))
                }
            }
        }
        for line in QuantizeSummary.lines(report) { Output.line(line) }
        Output.line(settings.outputDir)
    }

    /// The quantization itself.
    /// - Parameter checkCancellation: what it throws ends the run, and nothing is left.
    @discardableResult
    static func quantize(
        _ settings: QuantizeSettings, checkCancellation: @escaping () throws -> Void = {}
    ) throws -> QuantizationReport {
        let options = settings.options
        try requireFree(settings)
        let texts = try CalibrationTexts(options, model: settings.model)
        let pool = try ThreadPool(threads: options.threads)
        var request = QuantizationRequest(
            method: settings.method, scheme: settings.scheme, skips: settings.skips)
        request.dampPercent = settings.dampPercent
        (request.calibration, request.heldOut) = (texts.calibration, texts.heldOut)
        request.batchTokens = min(max(2048, options.quantBatchSize * options.maxLength), 1 << 16)
        if let available = MemoryAllowance.read().availableBytes {
            // Three streams may be kept, and layers need their share.
            request.activationLimitBytes = available / 8
        }
        let run = try QuantizationRun(model: settings.model, request, pool: pool)
        for note in run.notes { Output.warning(note) }
        let staged = try StagedDirectory(path: settings.outputDir)
        let clock = ContinuousClock()
        let begin = clock.now
        func seconds() -> Double { (clock.now - begin) / .seconds(1) }
        let progress = QuantizeProgress()
        defer { progress.finish() }
        var environment = QuantizationEnvironment(seconds: seconds)
        environment.checkCancellation = checkCancellation
        environment.peakBytes = { ResidentMemory.read().peakBytes }
        environment.progress = { progress.show($0, seconds: seconds()) }
        let report = try run.write(to: staged.stagingPath, environment)
        // The work takes a while: somebody else may have come first.
        try requireFree(settings)
        try staged.commit()
        return report
    }

    private static func requireFree(_ settings: QuantizeSettings) throws {
        let obstacle = StagedDirectory.obstacle(
            at: settings.outputDir, existOK: settings.options.existOk, sources: [settings.model])
        guard let obstacle else { return }
        throw CommandError("\(settings.outputDir): \(obstacle.problem); \(obstacle.remedy)", status: 2)
    }

    /// Runs `body`; what it throws becomes an error of the command with its exit status.
    private static func reportingErrors<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as OutOfMemory {
            throw CommandError(
                "out of memory: \(TrainingEstimate.text(error.byteCount)) for \(error.purpose) "
                    + "could not be had; lower --quant_batch_size, --max_length or --quant_n_samples",
                status: 86)
        } catch {
            throw TrainingStart.commandError(for: error)
        }
    }
}
