// What a checkpoint has: weights or adapter, optimizer, state, and the parameters of the run.

import Glibc
import Models
import Tensors
import Text

/// Writes the files of a checkpoint.
struct RunWriter {
    static let optimizerFile = "optimizer.safetensors"

    let parameters: TrainingParameters
    let configuration: ModelConfiguration
    let plan: TunerPlan
    let model: TransformerModel
    let optimizer: Optimizer
    /// Where tokenizer and other small files of the model come from, first of all that have one.
    let companions: [String]

    /// Fills the directory of a checkpoint.
    func write(_ state: TrainerState, to directory: String) throws {
        try writeWeights(to: directory) { $0.value }
        let averages = optimizer.movingAverages
        if !averages.isEmpty {
            let path = directory + "/ema"
            guard mkdir(path, 0o755) == 0 else { throw FileError(errno: errno, path: path, while: "create") }
            let byName = Dictionary(uniqueKeysWithValues: averages.map { ($0.parameter.name, $0.average) })
            try writeWeights(to: path) { byName[$0.name] ?? $0.value }
        }
        if !parameters.saveOnlyModel { try writeOptimizer(to: directory) }
        try write(state.text, to: "\(directory)/\(TrainerState.fileName)")
        try write(ParameterText.json(parameters) + "\n", to: "\(directory)/args.json")
    }

    /// Gives a checkpoint its place in the output directory, if attempts of a step keep theirs elsewhere.
    /// - Returns: the path there.
    func publish(_ checkpoint: Checkpoint) throws -> String {
        guard let outputDir = parameters.outputDir, let kept = parameters.checkpointDir, kept != outputDir
        else {
            return checkpoint.path
        }
        let store = CheckpointStore(directory: outputDir, warn: { _ in })
        try CheckpointDisk().makeDirectories(outputDir)
        return try store.save(step: checkpoint.step, metric: checkpoint.metric) { directory in
            try Self.link(checkpoint.path, to: directory)
        }.path
    }

    /// A tree of the same files, without their bytes a second time where the disk allows it.
    private static func link(_ source: String, to destination: String) throws {
        let disk = CheckpointDisk()
        for name in disk.names(source) where name != CheckpointMark.name {
            let (from, to) = ("\(source)/\(name)", "\(destination)/\(name)")
            if disk.isDirectory(from) {
                guard mkdir(to, 0o755) == 0 else { throw FileError(errno: errno, path: to, while: "create") }
                try link(from, to: to)
            } else if Glibc.link(from, to) != 0 {
                let file = try AtomicFile(path: to)
                try file.write(MappedFile(path: from).bytes)
                try file.commit()
            }
        }
    }

    /// `args.json` beside the checkpoints.
    func writeArguments() throws {
        guard let outputDir = parameters.outputDir else { return }
        try CheckpointDisk().makeDirectories(outputDir)
        try write(ParameterText.json(parameters) + "\n", to: "\(outputDir)/args.json")
    }

    /// Bytes of a checkpoint, roughly: for the message of a full disk.
    var byteCount: Int {
        let weights = model.trained.reduce(0) { $0 + $1.value.count } * 4
        let states = optimizer.tensors.reduce(0) { $0 + $1.matrix.count * $1.matrix.type.byteCount }
        let frozen = plan.adapter == nil ? model.parameters.filter { !$0.isTrained } : []
        return weights + (parameters.saveOnlyModel ? 0 : states)
            + frozen.reduce(0) { $0 + $1.value.count * $1.value.type.byteCount }
    }

    // MARK: Weights

    private func writeWeights(to directory: String, _ value: (Parameter) -> Matrix) throws {
        if let adapter = plan.adapter {
            let byName = Dictionary(uniqueKeysWithValues: model.trained.map { ($0.name, $0) })
            let names =
                plan.loras.flatMap(\.tensors).map {
                    (saved: $0.name, own: String($0.name.dropFirst(AdapterFile.prefix.count)))
                }
                + plan.savedTensors.map { (saved: $0.name, own: $0.parameter.name) }
            let tensors = names.compactMap { name in
                byName[name.own].map { source(name.saved, $0.shape, value($0), .f32) }
            }
            try AdapterFile.write(adapter, tensors, to: directory)
            return
        }
        let type = savedType
        let tensors = model.parameters.map { parameter in
            source(
                parameter.name, parameter.shape, value(parameter),
                parameter.isTrained ? type : parameter.value.type)
        }
        try SafetensorsWriter().write(tensors, toDirectory: directory)
        try writeConfiguration(type, to: directory)
        try copyCompanions(to: directory)
    }

    /// As `torch_dtype` says, else as the model was.
    private var savedType: ElementType {
        parameters.torchDtype.flatMap(ElementType.init(torchName:)) ?? configuration.torchDtype
    }

    private func source(
        _ name: String, _ shape: [Int], _ matrix: Matrix, _ type: ElementType
    ) -> TensorSource {
        let backend = model.backend
        guard matrix.type != type else {
            return TensorSource(name: name, elementType: type, shape: shape) { sink in
                try backend.withBytes(of: matrix) { try sink($0) }
            }
        }
        return TensorSource(name: name, elementType: type, shape: shape) { sink in
            // In pieces: where memory is short, an embedding is not to be had a second time.
            let room = min(matrix.count, Self.convertedAtOnce)
            let memory = try backend.allocate(byteCount: room * type.byteCount, purpose: "saving \(name)")
            for start in stride(from: 0, to: matrix.count, by: max(room, 1)) {
                let count = min(room, matrix.count - start)
                let piece = Matrix(
                    memory: matrix.memory, offset: matrix.offset + start * matrix.type.byteCount,
                    type: matrix.type, rows: 1, columns: count)
                let narrow = Matrix(memory: memory, type: type, rows: 1, columns: count)
                backend.convert(piece, into: narrow)
                try backend.withBytes(of: narrow) { try sink($0) }
            }
        }
    }

    /// Elements: a few megabytes, which are also written fastest.
    private static let convertedAtOnce = 1 << 20

    private func writeConfiguration(_ type: ElementType, to directory: String) throws {
        var members = configuration.json.objectValue ?? []
        members.removeAll { $0.key == "torch_dtype" || $0.key == "dtype" }
        members.append(OrderedJSON.Member(key: "torch_dtype", value: .string(type.torchName)))
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        try write(OrderedJSON.object(members).pythonText(style) + "\n", to: "\(directory)/config.json")
    }

    private func copyCompanions(to directory: String) throws {
        let names = [
            "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
            "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
            "generation_config.json",
        ]
        for name in names {
            guard let origin = companions.first(where: { SmallFile.exists("\($0)/\(name)") }) else {
                continue
            }
            let bytes = try SmallFile.read("\(origin)/\(name)", limitBytes: 1 << 30)
            let file = try AtomicFile(path: "\(directory)/\(name)")
            try file.write(bytes)
            try file.commit()
        }
        if !SmallFile.exists("\(directory)/generation_config.json") {
            try write(generationConfiguration, to: "\(directory)/generation_config.json")
        }
    }

    /// Where a drawn model stops: as its config.json says.
    private var generationConfiguration: String {
        var members: [OrderedJSON.Member] = []
        for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            guard let value = configuration.json[key], !value.isNull else { continue }
            members.append(OrderedJSON.Member(key: key, value: value))
        }
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        return OrderedJSON.object(members).pythonText(style) + "\n"
    }

    // MARK: Optimizer

    private func writeOptimizer(to directory: String) throws {
        var tensors = optimizer.tensors.map { name, matrix in
            source(name, [matrix.count], matrix, matrix.type)
        }
        if roundsWeights {
            tensors += model.trained.map { source($0.name + ".master", $0.shape, $0.value, .f32) }
        }
        guard !tensors.isEmpty else { return }
        try SafetensorsWriter().write(tensors, to: "\(directory)/\(Self.optimizerFile)")
    }

    /// Whether the model's own file has rounded weights: then the exact ones are needed beside it, to go on bit
    /// by bit.
    private var roundsWeights: Bool { plan.adapter == nil && savedType != .f32 }

    /// Takes optimizer states and exact weights of a checkpoint.
    func restore(from directory: String, stepCount: Int) throws {
        let path = "\(directory)/\(Self.optimizerFile)"
        guard SmallFile.exists(path) else {
            guard optimizer.tensors.isEmpty, !roundsWeights else {
                throw TrainingError(
                    .failed, "\(directory) has no \(Self.optimizerFile): it was saved with save_only_model",
                    remedy: "add --resume_only_model true to go on with a fresh optimizer")
            }
            return
        }
        let file = try SafetensorsFile(path: path)
        try optimizer.load(file, stepCount: stepCount)
        for parameter in model.trained {
            guard let view = file.tensor(parameter.name + ".master") else { continue }
            guard view.elementType == .f32, view.elementCount == parameter.value.count else {
                throw SafetensorsError(
                    file: path, tensor: view.name, problem: "it is of another size than the model's",
                    remedy: "resume with the model that the checkpoint was made with")
            }
            withExtendedLifetime(view) { model.backend.upload(view.bytes, to: parameter.value) }
        }
    }

    private func write(_ text: String, to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(Array(text.utf8))
        try file.commit()
    }
}

/// `args.json`: the parameters by the names that they have on the command line.
enum ParameterText {
    static func json(_ parameters: TrainingParameters) -> String {
        var style = OrderedJSON.PythonStyle()
        style.indent = "  "
        style.itemSeparator = ","
        return object(parameters).pythonText(style)
    }

    static func object(_ parameters: TrainingParameters) -> OrderedJSON {
        var members = Mirror(reflecting: parameters).children.compactMap { child in
            child.label.map { OrderedJSON.Member(key: snakeCase($0), value: value(child.value)) }
        }
        members.removeAll { $0.key == "quantization" }
        // As ms-swift has it, so that its readers see a quantized base.
        let bits: Int? =
            switch parameters.quantization {
            case .none: nil
            case .nf4: 4
            case .int8: 8
            }
        members.append(OrderedJSON.Member(key: "quant_method", value: bits == nil ? .null : .string("bnb")))
        members.append(OrderedJSON.Member(key: "quant_bits", value: bits.map { .int($0) } ?? .null))
        return .object(members)
    }

    private static func value(_ value: Any) -> OrderedJSON {
        switch value {
        case let value as Bool: return .bool(value)
        case let value as Int: return .int(value)
        case let value as UInt64: return Int(exactly: value).map { .int($0) } ?? .string(String(value))
        case let value as Double: return .number(value)
        case let value as String: return .string(value)
        case let value as [String]: return .array(value.map { .string($0) })
        case let value as [String: String]:
            return .object(
                value.sorted { $0.key < $1.key }.map {
                    OrderedJSON.Member(key: $0.key, value: .string($0.value))
                })
        case let value as any RawRepresentable: return .string("\(value.rawValue)")
        default: break
        }
        let mirror = Mirror(reflecting: value)
        guard mirror.displayStyle == .optional, let inside = mirror.children.first else { return .null }
        return self.value(inside.value)
    }

    /// `minLR` is min_lr, `initConfig` is init_config.
    private static func snakeCase(_ name: String) -> String {
        var text = ""
        var previousIsLower = false
        for character in name {
            if character.isUppercase, previousIsLower { text += "_" }
            previousIsLower = !character.isUppercase
            text += character.lowercased()
        }
        return text
    }
}
