// Merges adapters into a model's weights: what is to be changed, and why it may not be.

package import Models
import Tensors
import Text

/// A model with adapters to be merged into it. Opening reads settings and headers and checks everything that
/// can be checked without the weights; `write` makes the merged model, tensor by tensor.
///
/// LoRA, rsLoRA: W + s B A. DoRA: m (W + s B A) / |W + s B A| by row. Several adapters are applied in their
/// order, each by its formula, as PEFT's `merge_and_unload(adapter_names=...)` does.
package struct ModelMerge {
    /// How far a merge is.
    package struct Progress: Sendable, Hashable {
        /// Tensors that are written.
        package var done: Int
        package var total: Int
        /// The one that was written last.
        package var tensor: String
    }

    /// What the adapters do to one parameter.
    private struct Edit {
        var replacement: TensorView?
        var changes: [MergedTensor.Change] = []
    }

    package let directory: String
    package let configuration: ModelConfiguration
    let model: SafetensorsModel
    let adapters: [AdapterFile]
    /// The tensors of each of the model's files.
    let files: [(name: String, tensors: [MergedTensor])]
    /// The result has an output layer apart from the embedding, which the model has not.
    package let untiesEmbedding: Bool

    /// - Parameters:
    ///   - directory: a model in the layout of the hub, in F32, BF16 or F16.
    ///   - force: merges adapters that were trained on a quantized base too.
    /// - Throws: `TrainingError`, `ConfigurationError` or `SafetensorsError`.
    package init(model directory: String, adapters paths: [String], force: Bool = false) throws {
        guard !paths.isEmpty else {
            throw TrainingError(.badParameters, "no adapter is given to merge", remedy: "give adapters")
        }
        let configuration = try ModelConfiguration(directory: directory)
        guard configuration.quantization == nil else {
            throw TrainingError(
                .badParameters,
                "\(directory): the model is quantized, and its codes cannot take an adapter's changes",
                remedy: "merge into the 16-bit model that it was made of, and quantize the result")
        }
        let model = try SafetensorsModel(directory: directory)
        let adapters = try paths.map { try AdapterFile(directory: $0) }
        if !force {
            for adapter in adapters { try QuantizedOrigin.requireNone(adapter.directory) }
        }
        let names = ParameterNames(model: model, isTied: configuration.tieWordEmbeddings)
        var edits: [String: Edit] = [:]
        for adapter in adapters { try Self.collect(adapter, names, into: &edits) }
        let unties = configuration.tieWordEmbeddings && Self.unties(&edits, names, adapters)
        files = try Self.plan(model, names, edits, tied: configuration.tieWordEmbeddings, unties: unties)
        untiesEmbedding = unties
        (self.directory, self.configuration) = (directory, configuration)
        (self.model, self.adapters) = (model, adapters)
    }

    package var tensorCount: Int { files.reduce(0) { $0 + $1.tensors.count } }
}

/// The model's own names of what adapters name.
private struct ParameterNames {
    let model: SafetensorsModel
    let isTied: Bool
    /// Of the embedding, as the model has it.
    let embedding: String
    static let head = TunableModel.head + ".weight"

    init(model: SafetensorsModel, isTied: Bool) {
        self.model = model
        self.isTied = isTied
        let name = TunableModel.embedding + ".weight"
        embedding = model.tensor(name) == nil ? String(name.dropFirst("model.".count)) : name
    }

    /// The name and the tensor that a parameter is; of a tied output layer, the embedding's. Checkpoints that
    /// were saved without their output layer have no `model.` before their names.
    func tensor(_ parameter: String) -> (name: String, view: TensorView)? {
        if isTied, parameter == Self.head { return model.tensor(embedding).map { (Self.head, $0) } }
        if let view = model.tensor(parameter) { return (parameter, view) }
        guard parameter.hasPrefix("model.") else { return nil }
        let name = String(parameter.dropFirst("model.".count))
        return model.tensor(name).map { (name, $0) }
    }
}

// MARK: What changes

extension ModelMerge {
    private static func collect(
        _ adapter: AdapterFile, _ names: ParameterNames, into edits: inout [String: Edit]
    ) throws {
        func failure(_ tensor: TensorView, _ problem: String, _ remedy: String) -> SafetensorsError {
            SafetensorsError(file: adapter.path, tensor: tensor.name, problem: problem, remedy: remedy)
        }
        let own = "merge the adapter into the model that it was trained on"
        for (parameter, view) in adapter.saved.sorted(by: { $0.key < $1.key }) {
            guard let (name, base) = names.tensor(parameter) else {
                throw failure(view, "the model has no tensor \"\(parameter)\"", own)
            }
            guard view.shape == base.shape else {
                let isTable = name == names.embedding || name == ParameterNames.head
                throw failure(
                    view, "the shape is \(view.shape), and the model's tensor has \(base.shape)",
                    isTable ? "resize the model's vocabulary first: new tokens are not there yet" : own)
            }
            guard edits[name] == nil else {
                throw failure(
                    view, "another adapter changes \"\(parameter)\", which this one has whole",
                    "merge only one of them, or train them one after another")
            }
            edits[name] = Edit(replacement: view)
        }
        for (module, lora) in adapter.loras.sorted(by: { $0.key < $1.key }) {
            guard let (name, base) = names.tensor(module + ".weight") else {
                throw failure(lora.a, "the model has no layer \"\(module)\"", own)
            }
            guard base.shape == [lora.b.shape[0], lora.a.shape[1]] else {
                throw failure(
                    lora.a,
                    "the matrices give \(lora.b.shape[0]) x \(lora.a.shape[1]), "
                        + "and the layer has \(base.shape)",
                    own)
            }
            if edits[name]?.replacement != nil, adapter.saved[module + ".weight"] == nil {
                throw failure(
                    lora.a, "another adapter has \"\(module)\" whole", "merge only one of them")
            }
            let scaling = adapter.configuration.scaling(for: module)
            edits[name, default: Edit()].changes.append(MergedTensor.Change(lora: lora, scaling: scaling))
        }
    }

    /// Whether a model that ties its output layer to its embedding has two different ones after the merge.
    private static func unties(
        _ edits: inout [String: Edit], _ names: ParameterNames, _ adapters: [AdapterFile]
    ) -> Bool {
        let saving = adapters.filter { $0.saved[TunableModel.embedding + ".weight"] != nil }
        if !saving.isEmpty, saving.allSatisfy(\.configuration.ensureWeightTying) {
            // One matrix was trained for both, whether or not the file has it twice.
            edits[ParameterNames.head, default: Edit()].replacement = edits[names.embedding]?.replacement
        }
        let (head, embedding) = (edits[ParameterNames.head], edits[names.embedding])
        let isSame = head?.replacement?.bytes.baseAddress == embedding?.replacement?.bytes.baseAddress
        return !isSame || head?.changes.isEmpty == false || embedding?.changes.isEmpty == false
    }

    /// The result, in the files of the model. A new output layer goes beside the embedding.
    private static func plan(
        _ model: SafetensorsModel, _ names: ParameterNames, _ edits: [String: Edit], tied: Bool, unties: Bool
    ) throws -> [(name: String, tensors: [MergedTensor])] {
        func merged(_ name: String, _ view: TensorView) throws(SafetensorsError) -> MergedTensor {
            let edit = edits[name]
            if edit != nil, ![.f32, .bf16, .f16].contains(view.elementType) {
                throw SafetensorsError(
                    file: view.file, tensor: view.name,
                    problem:
                        "it is stored as \(view.elementType.rawValue), and cannot take an adapter's changes",
                    remedy: "merge into the model's 16-bit weights")
            }
            return MergedTensor(
                name: name, base: edit?.replacement ?? view, changes: edit?.changes ?? [],
                elementType: view.elementType)
        }
        return try model.files.map { file in
            var tensors: [MergedTensor] = []
            for name in file.names {
                guard let view = file.tensor(name) else { continue }
                // A tied output layer that is stored nevertheless is made of the embedding, or left out.
                if tied, name == ParameterNames.head { continue }
                tensors.append(try merged(name, view))
                if unties, name == names.embedding { tensors.append(try merged(ParameterNames.head, view)) }
            }
            let fileName =
                file.path.split(separator: "/").last.map(String.init) ?? SafetensorsModel.singleFileName
            return (fileName, tensors)
        }
    }
}

// MARK: Quantized bases

/// Tells adapters that were trained on a quantized base, by the `args.json` of their checkpoint;
/// adapter_config.json does not say.
private enum QuantizedOrigin {
    static func requireNone(_ directory: String) throws(TrainingError) {
        let path = "\(directory)/args.json"
        guard let bytes = try? SmallFile.read(path, limitBytes: 16 << 20),
            let arguments = try? OrderedJSON(parsingUTF8: bytes)
        else { return }
        let method = arguments["quant_method"]?.stringValue ?? ""
        let bits = arguments["quant_bits"]?.intValue ?? 0
        guard bits > 0 || !(method.isEmpty || method == "none") else { return }
        let base = [method, bits > 0 ? "\(bits) bits" : ""].filter { !$0.isEmpty }.joined(separator: ", ")
        throw TrainingError(
            .badParameters,
            "\(path): the adapter was trained on a quantized base (\(base)): it makes up for the errors of "
                + "that base, which the model's own weights do not have, so the merged model would be "
                + "another than the trained one",
            remedy: "serve the adapter beside the quantized model, or merge it nevertheless with --force")
    }
}
