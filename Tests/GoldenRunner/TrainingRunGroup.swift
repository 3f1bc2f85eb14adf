// Whole training runs, step by step, against those of torch, PEFT and TRL.

import Foundation
import Tensors
import Text
import Training

extension GoldenGroup {
    /// `run.json` with a run's steps beside a manifest, the rows being in `data.json` above it.
    static let supervised = GoldenGroup(name: "supervised training") { folder in
        folder.has("run.json") && GoldenRun.rows(beside: folder)?["sequences"] != nil
    } run: { folder, report in
        try GoldenRun(folder, manifest: folder.json("manifest.json")).check(&report)
    }

    /// The same of preference runs, whose manifest is above them, too.
    static let preference = GoldenGroup(name: "preference training") { folder in
        folder.has("run.json") && GoldenRun.rows(beside: folder)?["examples"] != nil
    } run: { folder, report in
        try GoldenRun(folder, manifest: GoldenRun.parent(folder).json("manifest.json")).check(&report)
    }
}

/// A run of the reference, and how to repeat it.
struct GoldenRun {
    private let folder: GoldenFolder
    private let run: OrderedJSON
    private let numbers: OrderedJSON
    private let rows: OrderedJSON
    private let model: String
    private let baseDescription: String

    static func parent(_ folder: GoldenFolder) -> GoldenFolder {
        GoldenFolder(path: (folder.path as NSString).deletingLastPathComponent, name: folder.name)
    }

    static func rows(beside folder: GoldenFolder) -> OrderedJSON? { try? parent(folder).json("data.json") }

    init(_ folder: GoldenFolder, manifest: OrderedJSON) throws {
        self.folder = folder
        run = try folder.json("run.json")
        numbers = try run.required("hyperparameters")
        guard let rows = Self.rows(beside: folder) else { throw GoldenError("there is no data.json") }
        self.rows = rows
        baseDescription = try manifest.requiredText("base_model")
        let name = String(baseDescription.prefix { $0 != " " })
        model = "\(Self.parent(Self.parent(folder)).path)/\(name)"
    }

    private var isPreference: Bool { rows["examples"] != nil }

    func check(_ report: inout GoldenReport) throws {
        let scratch = NSTemporaryDirectory() + "golden-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        var parameters = try self.parameters()
        parameters.outputDir = scratch + "/out"
        parameters.logJSON = scratch + "/steps.jsonl"
        parameters.dataset = [scratch + "/rows.jsonl"]
        parameters.batchOrder = scratch + "/order.json"
        try rowLines().joined(separator: "\n").write(
            toFile: parameters.dataset[0], atomically: true, encoding: .utf8)
        try order().compactText.write(toFile: scratch + "/order.json", atomically: true, encoding: .utf8)
        let summary = try TrainingRun(parameters, environment: RunEnvironment()).run(stop: StopRequest())
        try compareSteps(scratch + "/steps.jsonl", &report)
        if let checkpoint = summary.lastCheckpoint { try compareWeights(checkpoint, &report) }
    }

    // MARK: What the run is asked for

    private func parameters() throws -> TrainingParameters {
        var parameters = TrainingParameters()
        parameters.stage = isPreference ? .rlhf : .sft
        parameters.model = model
        parameters.torchDtype = "float32"
        func number(_ key: String) -> Double? { numbers[key]?.doubleValue }
        parameters.learningRate = number("lr")
        let betas = try numbers["betas"]?.doubles() ?? [0.9, 0.999]
        (parameters.adamBeta1, parameters.adamBeta2) = (betas[0], betas[1])
        parameters.adamEpsilon = number("eps") ?? 1e-8
        parameters.weightDecay = number("weight_decay") ?? 0
        parameters.maxGradNorm = number("max_grad_norm") ?? 1
        parameters.warmupSteps = numbers["warmup_steps"]?.intValue ?? 0
        parameters.maxSteps = run["steps"]?.arrayValue?.count ?? 0
        parameters.gradientAccumulationSteps = numbers["gradient_accumulation"]?.intValue ?? 1
        parameters.perDeviceTrainBatchSize =
            numbers["micro_batch"]?.intValue ?? numbers["rows_per_step"]?.intValue ?? 1
        if let reduction = run["loss_reduction"]?.stringValue {
            parameters.lossReduction = reduction == "token" ? .token : .microMean
        }
        parameters.loraDropout = 0
        parameters.gradientCheckpointing = false
        if baseDescription.contains("nf4") {
            (parameters.quantization, parameters.doubleQuantization) = (.nf4, false)
        }
        let initial = [folder, Self.parent(folder)].map { $0.folder("init") }.first { $0.isThere }
        if let initial {
            parameters.adapters = [initial.path]
        } else {
            parameters.tunerType = .full
        }
        if isPreference { try setMethod(&parameters, number) }
        return parameters
    }

    /// The method is told by the folder's name alone.
    private func setMethod(
        _ parameters: inout TrainingParameters, _ number: (String) -> Double?
    ) throws {
        let name = (folder.path as NSString).lastPathComponent
        let methods: [(String, TrainingParameters.PreferenceMethod, TrainingParameters.PreferenceLossType)] =
            [
                ("dpo_hinge", .dpo, .hinge), ("dpo_ipo", .dpo, .ipo), ("dpo", .dpo, .sigmoid),
                ("ipo", .dpo, .ipo),
                ("cpo", .cpo, .sigmoid), ("orpo", .orpo, .sigmoid), ("simpo", .simpo, .sigmoid),
                ("kto", .kto, .sigmoid),
            ]
        guard let method = methods.first(where: { name.hasPrefix($0.0) }) else {
            throw GoldenError("\(name) is not the name of a method that is known")
        }
        (parameters.rlhfType, parameters.lossType) = (method.1, method.2)
        parameters.beta = number("beta")
        parameters.rpoAlpha = number("sft_weight")
        parameters.simpoGamma = number("gamma") ?? 1
        parameters.desirableWeight = number("desirable_weight") ?? 1
        parameters.undesirableWeight = number("undesirable_weight") ?? 1
        parameters.labelSmoothing = number("label_smoothing") ?? 0
        parameters.cpoAlpha = number("cpo_alpha") ?? 1
    }

    private func rowLines() throws -> [String] {
        if let sequences = rows["sequences"]?.arrayValue {
            return try sequences.map { sequence in
                let ids = try sequence.required("input_ids").tokenIDs()
                let prompt = sequence["prompt_len"]?.intValue ?? 0
                let labels = ids.enumerated().map { $0.offset < prompt ? Int32(-100) : $0.element }
                return "{\"input_ids\": \(ids), \"labels\": \(labels)}"
            }
        }
        let isJudged = (folder.path as NSString).lastPathComponent.hasPrefix("kto")
        return try (rows["examples"]?.arrayValue ?? []).map { example in
            let ids = try ["prompt", "chosen", "rejected"].map { try example.required($0).tokenIDs() }
            guard isJudged else {
                return "{\"prompt_ids\": \(ids[0]), \"chosen_ids\": \(ids[1]), \"rejected_ids\": \(ids[2])}"
            }
            let isDesirable = example["label"]?.boolValue ?? true
            return "{\"prompt_ids\": \(ids[0]), \"completion_ids\": \(ids[isDesirable ? 1 : 2]), "
                + "\"label\": \(isDesirable)}"
        }
    }

    private func order() throws -> OrderedJSON {
        if let order = rows["order"] { return order }
        let size = numbers["rows_per_step"]?.intValue ?? 1
        return try rows.required("order_by_batch").required("\(size)")
    }

    // MARK: Comparisons

    private func compareSteps(_ path: String, _ report: inout GoldenReport) throws {
        let ours = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try OrderedJSON(parsingUTF8: Array($0.utf8))
        }
        let reference = run["steps"]?.arrayValue ?? []
        guard ours.count == reference.count else {
            report.fail("steps", "count", "\(ours.count) steps in place of \(reference.count)")
            return
        }
        for (index, pair) in zip(ours, reference).enumerated() {
            let (our, their) = pair
            // The manifests suggest 2e-5 for the first five steps and 2e-4 after them; 5e-4 for preferences. IPO's
            // loss is a square of about 25, of which that is a share.
            let scale = max(1, abs(their["loss"]?.doubleValue ?? 1))
            let lossLimit = isPreference ? 5e-4 * scale : index < 5 ? 2e-5 : 2e-4
            let limits: [(String, Double)] = [
                ("loss", lossLimit), ("grad_norm", 1e-3 * max(1, their["grad_norm"]?.doubleValue ?? 1)),
                ("learning_rate", 1e-12), ("trained_tokens", 0), ("logps_chosen", 2e-2),
                ("logps_rejected", 2e-2), ("rewards_margins", 5e-3), ("rewards_accuracies", 0),
            ]
            for (key, limit) in limits {
                guard let expected = (key == "learning_rate" ? their["lr"] : their[key])?.doubleValue else {
                    continue
                }
                let measured = our[key]?.doubleValue ?? .nan
                report.measure(
                    key, "step \(index)", difference: abs(measured - expected), limit: limit,
                    detail: "\(measured), reference \(expected)")
            }
        }
    }

    private func compareWeights(_ checkpoint: String, _ report: inout GoldenReport) throws {
        // Adam divides by the root of the squares, so that an element whose gradient is noise moves by noise: single
        // precision itself is up to 1e-4 from double over a full run.
        let own = run["final_weights_max_abs_diff_fp32_vs_fp64"]?.doubleValue ?? 1e-6
        let limit = max(1e-4, 5 * own)
        let final = folder.folder("final").isThere ? "final/adapter_model.safetensors" : "final.safetensors"
        guard folder.has(final) else { return }
        let reference = try SafetensorsFile(path: folder.path(of: final))
        let isAdapter = final.hasPrefix("final/")
        let ours = try SafetensorsFile(
            path: "\(checkpoint)/\(isAdapter ? "adapter_model.safetensors" : "model.safetensors")")
        for name in reference.names {
            guard let expected = reference.tensor(name), let measured = ours.tensor(name) else {
                report.fail("weights", name, "the checkpoint lacks it")
                continue
            }
            let (difference, place) = largestDifference(measured.floats(), expected.floats())
            report.measure(
                "weights", name, difference: difference, limit: limit, detail: "element \(place)")
        }
    }
}
