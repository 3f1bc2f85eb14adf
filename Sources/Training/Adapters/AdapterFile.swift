// An adapter's directory as PEFT reads and writes it: adapter_config.json, adapter_model.safetensors, a model
// card.

import Glibc
package import Models
package import Tensors
import Text

/// An adapter on disk. Tensors are mapped, and read when they are touched.
package struct AdapterFile: Sendable {
    /// What PEFT puts before a base model's names.
    package static let prefix = "base_model.model."

    /// The matrices of one linear layer.
    package struct LoRA: Sendable {
        /// [rank, inputs].
        package var a: TensorView
        /// [outputs, rank].
        package var b: TensorView
        /// DoRA's magnitudes, [outputs].
        package var magnitude: TensorView?
    }

    package let directory: String
    package let configuration: AdapterConfiguration
    /// By the layer's name in the base model.
    package let loras: [String: LoRA]
    /// What the adapter has whole, by the parameter's name in the base model: `modules_to_save`, trained
    /// biases, and the base weights that PEFT adds for a targeted output layer.
    package let saved: [String: TensorView]

    /// The path of the weights.
    package var path: String { "\(directory)/\(SafetensorsModel.adapterFileName)" }

    /// Reads the settings and the header of the weights, and checks that they belong together.
    /// - Throws: `ConfigurationError`, `SafetensorsError`, or `TrainingError` for what is no LoRA adapter.
    package init(directory: String) throws {
        let configuration = try AdapterConfiguration(directory: directory)
        let path = "\(directory)/\(SafetensorsModel.adapterFileName)"
        let file =
            SmallFile.exists(path)
            ? try SafetensorsFile(path: path) : try Self.missing(directory)
        var parts = Parts(file: path)
        for name in file.names {
            if let tensor = file.tensor(name) { try parts.add(tensor) }
        }
        self.directory = directory
        self.configuration = configuration
        loras = try parts.loras(configuration)
        saved = parts.saved
        guard !loras.isEmpty || !saved.isEmpty else {
            throw SafetensorsError(
                file: path, problem: "the adapter has no weights", remedy: "save or download it again")
        }
    }

    /// Always throws.
    private static func missing(_ directory: String) throws(SafetensorsError) -> SafetensorsFile {
        // Of pickled weights a model's reader says what to do.
        if SmallFile.exists("\(directory)/adapter_model.bin") {
            _ = try SafetensorsModel(directory: directory)
        }
        throw SafetensorsError(
            file: directory, problem: "there is no \(SafetensorsModel.adapterFileName)",
            remedy: "give the directory of an adapter, such as a checkpoint")
    }

    /// Checks that the adapter has exactly what a plan made of its settings trains, in the same sizes.
    /// - Throws: `SafetensorsError` naming the first tensor that is missing, of another size, or too many.
    package func requireMatch(_ plan: TunerPlan) throws {
        func failure(_ name: String, _ problem: String) -> SafetensorsError {
            SafetensorsError(
                file: path, tensor: name, problem: problem,
                remedy: "use the adapter with the model that it was trained on")
        }
        func require(_ name: String, _ view: TensorView?, _ shape: [Int]) throws(SafetensorsError) {
            guard let view else { throw failure(name, "the adapter has no such tensor") }
            let isSame = view.shape == shape || (shape.count == 1 && view.elementCount == shape[0])
            guard isSame else {
                throw failure(name, "the shape is \(view.shape), and the model needs \(shape)")
            }
        }
        for lora in plan.loras {
            let own = loras[lora.module]
            for (tensor, view) in zip(lora.tensors, [own?.a, own?.b, own?.magnitude]) {
                try require(tensor.name, view, tensor.shape)
            }
        }
        for tensor in plan.savedTensors {
            let name = String(tensor.name.dropFirst(Self.prefix.count))
            try require(tensor.name, saved[name], tensor.parameter.shape)
        }
        let known = Set(plan.loras.map(\.module)), whole = Set(plan.savedTensors.map(\.name))
        if let other = loras.keys.sorted().first(where: { !known.contains($0) }) {
            throw failure(
                AdapterTensor.a(other), "the model has no linear layer \"\(other)\" that is a target")
        }
        // PEFT adds the base weights of an output layer that has LoRA.
        let bases = Set(known.map { $0 + ".weight" })
        if let other = saved.keys.sorted().first(where: {
            !whole.contains(Self.prefix + $0) && !bases.contains($0)
        }) {
            throw failure(
                Self.prefix + other, "modules_to_save does not name it, or the model has no such tensor")
        }
    }
}

// MARK: Names

extension AdapterFile {
    /// The tensors of a file by what their names say.
    private struct Parts {
        let file: String
        var a: [String: TensorView] = [:]
        var b: [String: TensorView] = [:]
        var magnitudes: [String: TensorView] = [:]
        var saved: [String: TensorView] = [:]

        init(file: String) { self.file = file }

        mutating func add(_ tensor: TensorView) throws(SafetensorsError) {
            let prefix = AdapterFile.prefix
            let name =
                tensor.name.hasPrefix(prefix) ? String(tensor.name.dropFirst(prefix.count)) : tensor.name
            guard [.f32, .bf16, .f16].contains(tensor.elementType) else {
                throw SafetensorsError(
                    file: file, tensor: tensor.name,
                    problem: "it is stored as \(tensor.elementType.rawValue), which no adapter's weights are",
                    remedy: "save the adapter again in float32, bfloat16 or float16")
            }
            func module(_ suffix: String) -> String? {
                name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil
            }
            if let module = module(".lora_A.weight") {
                a[module] = tensor
            } else if let module = module(".lora_B.weight") {
                b[module] = tensor
            } else if let module = module(".lora_magnitude_vector") ?? module(".lora_magnitude_vector.weight")
            {
                magnitudes[module] = tensor
            } else if name.contains(".lora_") {
                let isEmbedding = name.contains(".lora_embedding_")
                throw SafetensorsError(
                    file: file, tensor: tensor.name,
                    problem: isEmbedding
                        ? "low-rank changes of embeddings are not there yet"
                        : "this kind of tensor is not known",
                    remedy: "merge the adapter into its model with PEFT")
            } else if let parameter = module(".base_layer.weight") {
                saved[parameter + ".weight"] = tensor
            } else if let parameter = module(".base_layer.bias") {
                saved[parameter + ".bias"] = tensor
            } else {
                saved[name] = tensor
            }
        }

        func loras(_ configuration: AdapterConfiguration) throws(SafetensorsError) -> [String: LoRA] {
            for (module, tensor) in b.merging(magnitudes, uniquingKeysWith: { first, _ in first })
            where a[module] == nil {
                throw failure(tensor, "there is no \(AdapterTensor.a(module)) beside it")
            }
            var loras: [String: LoRA] = [:]
            for (module, first) in a {
                guard let second = b[module] else {
                    throw failure(first, "there is no \(AdapterTensor.b(module)) beside it")
                }
                guard first.shape.count == 2, second.shape.count == 2, first.shape[0] == second.shape[1]
                else {
                    throw failure(first, "shapes \(first.shape) and \(second.shape) have no product")
                }
                let rank = configuration.rank(for: module)
                guard first.shape[0] == rank else {
                    throw failure(
                        first,
                        "its rank is \(first.shape[0]), and \(AdapterConfiguration.fileName) says \(rank)")
                }
                let magnitude = magnitudes[module]
                guard (magnitude != nil) == configuration.useDoRA else {
                    throw failure(
                        magnitude ?? first,
                        magnitude == nil
                            ? "use_dora is set, and there is no \(AdapterTensor.magnitude(module))"
                            : "use_dora is not set, and there is a magnitude")
                }
                if let magnitude, magnitude.elementCount != second.shape[0] {
                    throw failure(
                        magnitude, "the shape is \(magnitude.shape) for \(second.shape[0]) outputs")
                }
                loras[module] = LoRA(a: first, b: second, magnitude: magnitude)
            }
            return loras
        }

        private func failure(_ tensor: TensorView, _ problem: String) -> SafetensorsError {
            SafetensorsError(
                file: file, tensor: tensor.name, problem: problem,
                remedy: "settings and weights are of different saves: save or download the adapter again")
        }
    }
}

// MARK: Writing

extension AdapterFile {
    /// Writes an adapter that PEFT opens. The directory is made if it is not there; the settings come last,
    /// so that what has settings has all.
    /// - Parameter tensors: under the names of `TunerPlan.tensorNames`.
    package static func write(
        _ configuration: AdapterConfiguration, _ tensors: [TensorSource], to directory: String
    ) throws {
        guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
            throw FileError(errno: errno, path: directory, while: "create")
        }
        try SafetensorsWriter().write(tensors, to: "\(directory)/\(SafetensorsModel.adapterFileName)")
        for (name, text) in [
            ("README.md", modelCard(configuration)), (AdapterConfiguration.fileName, configuration.fileText),
        ] {
            let file = try AtomicFile(path: "\(directory)/\(name)")
            try file.write(Array(text.utf8))
            try file.commit()
        }
    }

    /// Floats on their way into a file, rounded to nearest where the type is narrower.
    /// - Parameter type: F32, BF16 or F16.
    package static func source(
        _ name: String, _ shape: [Int], _ floats: [Float], as type: ElementType
    ) -> TensorSource {
        TensorSource(name: name, elementType: type, shape: shape) { sink in
            var bytes = [UInt8](repeating: 0, count: floats.count * type.byteCount)
            bytes.withUnsafeMutableBytes { target in
                guard let start = target.baseAddress else { return }
                floats.withUnsafeBufferPointer { type.write($0, to: start) }
            }
            try bytes.withUnsafeBytes { try sink($0) }
        }
    }

    /// The head that the hub reads, and nothing that has to be kept true.
    private static func modelCard(_ configuration: AdapterConfiguration) -> String {
        // As a JSON string, which YAML reads too.
        let base = configuration.baseModelNameOrPath.map {
            "base_model: \(OrderedJSON.string($0).compactText)\n"
        }
        return """
            ---
            \(base ?? "")library_name: peft
            pipeline_tag: text-generation
            tags:
            - lora
            - transformers
            ---

            A \(configuration.useDoRA ? "DoRA" : "LoRA") adapter of rank \(configuration.rank).

            ### Framework versions

            - PEFT 0.21.2

            """
    }
}
