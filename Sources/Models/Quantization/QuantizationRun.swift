// Quantizes a model layer by layer: memory holds one layer, whatever the model's size.

import Glibc
package import Tensors

/// One run from a model's directory to another. Opening reads settings and headers and finds everything that
/// can be found wrong without the weights.
package struct QuantizationRun {
    package let request: QuantizationRequest
    private let configuration: ModelConfiguration
    private let model: SafetensorsModel
    private let pool: ThreadPool
    /// Layers that keep their weights because the format has no place for them, a sentence each.
    package let notes: [String]

    /// - Throws: `ModelError` and others for what cannot be quantized so.
    package init(model directory: String, _ request: QuantizationRequest, pool: ThreadPool) throws {
        configuration = try ModelConfiguration(directory: directory)
        let file = "\(directory)/\(ModelConfiguration.fileName)"
        guard configuration.quantization == nil else {
            throw ModelError(
                file: file, problem: "the model is quantized already",
                remedy: "quantize the 16-bit model that it was made of")
        }
        if request.method.needsCalibration, request.calibration.isEmpty {
            throw ModelError(
                file: directory, problem: "\(request.method.rawValue) needs texts to calibrate with",
                remedy: "give some with --dataset FILE")
        }
        model = try SafetensorsModel(directory: directory)
        self.pool = pool
        var request = request
        request.scheme.ignored = ["lm_head"]
        var notes: [String] = []
        let loader = WeightLoader(configuration, model, .stored, pool)
        for index in 0..<configuration.numHiddenLayers {
            for module in LayerModules(loader, layer: index).all {
                guard !request.skips.contains(module.name) else {
                    request.scheme.ignored.append(module.name)
                    continue
                }
                guard let problem = try Self.problem(module, loader, request) else { continue }
                request.scheme.ignored.append(module.name)
                notes.append("\(module.name) keeps its weights: \(problem)")
            }
        }
        guard request.scheme.ignored.count <= 7 * configuration.numHiddenLayers else {
            throw ModelError(
                file: file,
                problem: "no linear layer is left to be quantized" + (notes.first.map { ": \($0)" } ?? ""),
                remedy:
                    "choose another --group_size or --quant_format, or give fewer --modules_to_not_convert")
        }
        (self.request, self.notes) = (request, notes)
    }

    /// Why a layer must keep its weights; nil where the format has a place for it.
    /// - Throws: `ModelError` for what no layer could be kept by.
    private static func problem(
        _ module: LinearModule, _ loader: WeightLoader, _ request: QuantizationRequest
    ) throws -> String? {
        let view = try loader.tensor(module.name + ".weight", [module.outputs, module.inputs])
        guard [.f32, .bf16, .f16].contains(view.elementType) else {
            throw ModelError(
                file: view.file, problem: "tensor \"\(view.name)\" is stored as \(view.elementType.rawValue)",
                remedy: "quantize the model's 16-bit weights")
        }
        let obstacle = QuantizedTensors.obstacle(
            outputs: module.outputs, inputs: module.inputs, scheme: request.scheme)
        if let obstacle, !obstacle.isOfLayer {
            throw ModelError(
                file: view.file, problem: "\(module.name): \(obstacle.problem)",
                remedy: "see --group_size, --quant_format and --modules_to_not_convert")
        }
        return obstacle?.problem
    }

    /// Writes the quantized model into an empty directory, which is complete when this returns.
    package func write(
        to directory: String, _ environment: QuantizationEnvironment
    ) throws -> QuantizationReport {
        let begin = environment.seconds()
        let writer = try QuantizedModelWriter(directory: directory, model: model)
        let work = try LayerWork(
            request, WeightLoader(configuration, model, .stored, pool), directory, environment)
        for index in 0..<configuration.numHiddenLayers { try work.quantize(layer: index, writer) }
        var report = work.report
        try work.measurePerplexity(&report)
        environment.progress(
            QuantizationProgress(
                layer: configuration.numHiddenLayers, layerCount: configuration.numHiddenLayers,
                phase: .writing))
        report.bytesBefore = model.tensorByteCount
        report.bytesAfter = try writer.finish(
            request.scheme, configuration, maximumShardBytes: request.maximumShardBytes)
        report.seconds = environment.seconds() - begin
        report.peakBytes = environment.peakBytes()
        try QuantizedModelWriter.write(report.json, to: "\(directory)/\(QuantizationReport.fileName)")
        return report
    }
}

/// What goes from layer to layer: the calibration's hidden states, and the report so far.
private final class LayerWork {
    private(set) var report: QuantizationReport
    private let request: QuantizationRequest
    private let loader: WeightLoader
    private let environment: QuantizationEnvironment
    private let scratch: ProductScratch
    /// Through the quantized layers.
    private let calibration: CalibrationStream?
    private let heldOut: CalibrationStream?
    /// Through the layers as they were.
    private let reference: CalibrationStream?
    private var runner: LayerRunner?

    init(
        _ request: QuantizationRequest, _ loader: WeightLoader, _ directory: String,
        _ environment: QuantizationEnvironment
    ) throws {
        (self.request, self.loader, self.environment) = (request, loader, environment)
        scratch = try ProductScratch(pool: loader.pool)
        let configuration = loader.configuration
        let embedding = Embedding.stored(
            try loader.tensor(
                loader.name("embed_tokens.weight"), [configuration.vocabSize, configuration.hiddenSize]))
        func stream(_ sequences: [[Int32]]) throws -> CalibrationStream? {
            guard !sequences.isEmpty else { return nil }
            guard
                sequences.allSatisfy({
                    !$0.isEmpty && $0.allSatisfy { 0..<Int32(configuration.vocabSize) ~= $0 }
                })
            else {
                throw ModelError(
                    file: loader.tensors.directory,
                    problem: "a text has ids outside the vocabulary of \(configuration.vocabSize)",
                    remedy: "use the model's own tokenizer")
            }
            let stream = try CalibrationStream(
                sequences, hiddenSize: configuration.hiddenSize, batchTokens: request.batchTokens,
                directory: directory, limitBytes: request.activationLimitBytes)
            stream.embed(by: embedding)
            return stream
        }
        calibration = try stream(request.calibration)
        heldOut = try stream(request.heldOut)
        reference = try stream(request.heldOut)
        report = QuantizationReport(method: request.method, scheme: request.scheme)
        report.skipped = request.scheme.ignored
        (report.calibrationRows, report.heldOutRows) = (request.calibration.count, request.heldOut.count)
        report.calibrationTokens = calibration?.tokenCount ?? 0
        report.heldOutTokens = heldOut?.tokenCount ?? 0
    }

    private var streams: [CalibrationStream] { [calibration, heldOut, reference].compactMap(\.self) }

    private func progress(_ layer: Int, _ phase: QuantizationProgress.Phase, _ module: String = "") {
        environment.progress(
            QuantizationProgress(
                layer: layer, layerCount: loader.configuration.numHiddenLayers, phase: phase, module: module))
    }

    // MARK: A layer

    func quantize(layer index: Int, _ writer: QuantizedModelWriter) throws {
        let modules = LayerModules(loader, layer: index)
        progress(index, .calibrating)
        let original = streams.isEmpty ? nil : try loader.decoderLayer(index)
        let statistics = try original.map { try observe($0, modules) } ?? [:]
        let quantizer = LayerQuantizer(request, loader, modules, statistics, scratch)
        var tensors: [TensorSource] = []
        var replaced: [String] = []
        let layer = try quantizer.run(original) { outcome in
            try environment.checkCancellation()
            progress(index, .quantizing, outcome.module.name)
            tensors += outcome.stored.map(\.source)
            replaced.append(outcome.module.name + ".weight")
            report.modules.append(outcome.module)
        }
        try writer.write(
            tensors + quantizer.changed.values, replacing: replaced + quantizer.changed.keys)
        guard let layer, let runner else { return }
        // The last layer's outputs are of use only where they are measured.
        if let calibration, index + 1 < loader.configuration.numHiddenLayers {
            try runner.run(layer, calibration)
        }
        if let heldOut { try runner.run(layer, heldOut) }
    }

    /// Collects the statistics of all inputs, and takes the held-out texts through the layer as it is.
    private func observe(
        _ layer: DecoderLayer, _ modules: LayerModules
    ) throws -> [InputGroup: InputStatistics] {
        let runner =
            try runner
            ?? LayerRunner(
                loader.configuration, streams: streams, example: layer, pool: loader.pool,
                checkCancellation: environment.checkCancellation)
        self.runner = runner
        if let reference { try runner.run(layer, reference) }
        guard let calibration else { return [:] }
        var statistics: [InputGroup: InputStatistics] = [:]
        var groups: [String: InputGroup] = [:]
        for group in InputGroup.allCases {
            let parts = modules.modules(group)
            guard parts.contains(where: { !request.scheme.ignored.contains($0.name) }) else { continue }
            statistics[group] = try InputStatistics(size: parts[0].inputs)
            for part in parts { groups[part.name] = group }
        }
        let isRounded = layer.attention.qkv.weights.format == .bfloat16
        let scratch = scratch
        try runner.observe(layer, calibration) { linear, x, count, stride in
            guard let name = linear.parts.first?.name, let group = groups[name] else { return }
            statistics[group]?.add(
                x, type: .f32, count: count, stride: stride, isRounded: isRounded, scratch)
        }
        return statistics
    }

    // MARK: Perplexity

    func measurePerplexity(_ report: inout QuantizationReport) throws {
        guard let heldOut, let reference, let runner else { return }
        let configuration = loader.configuration
        progress(configuration.numHiddenLayers, .measuring)
        let norm = try loader.norm(loader.name("norm"), configuration.hiddenSize)
        let module = configuration.tieWordEmbeddings ? loader.name("embed_tokens") : "lm_head"
        let head = try loader.head(module)
        report.perplexityBefore = exp(try runner.meanLoss(reference, norm: norm, head: head))
        report.perplexityAfter = exp(try runner.meanLoss(heldOut, norm: norm, head: head))
    }
}
