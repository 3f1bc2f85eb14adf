// A LoRA adapter that is applied while the model runs, its base weights untouched.

package import Tensors

/// The low-rank changes of an adapter, by the name of the linear layer that each belongs to.
/// Source: Hu et al., arXiv:2106.09685; agrees with PEFT's `LoraLayer` at inference.
package final class LoRAAdapter: Sendable {
    /// y += scaling * (x Aᵀ) Bᵀ.
    struct Change: Sendable {
        let a: PackedWeights  // [rank, inputs]
        let b: PackedWeights  // [outputs, rank], times the scaling

        var rank: Int { a.rows }

        /// - Parameter inner: room for [count, rank].
        func add(
            _ x: UnsafePointer<Float>, count: Int, xStride: Int, to y: UnsafeMutablePointer<Float>,
            yStride: Int,
            inner: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer, pool: ThreadPool
        ) {
            a.multiply(
                x, count: count, xStride: xStride, bias: nil, into: inner, yStride: rank, scratch: scratch,
                pool: pool)
            b.multiply(
                inner, count: count, xStride: rank, bias: nil, into: y, yStride: yStride, accumulate: true,
                scratch: scratch, pool: pool)
        }
    }

    package let name: String
    package let path: String
    let changes: [String: Change]

    /// Reads a PEFT adapter directory for a model.
    /// - Throws: `SafetensorsError` or `ConfigurationError` for damaged files, `ModelError` where the adapter does
    ///   not fit the model or needs what cannot be applied at run time.
    package init(name: String, directory: String, model: CausalLanguageModel, pool: ThreadPool) throws {
        let configuration = try AdapterConfiguration(directory: directory)
        let file = directory + "/" + SafetensorsModel.adapterFileName
        func failure(_ problem: String, _ remedy: String) -> ModelError {
            ModelError(file: file, problem: problem, remedy: remedy)
        }
        guard !configuration.useDoRA, configuration.modulesToSave.isEmpty, configuration.bias == .none,
            !configuration.loraBias, !configuration.fanInFanOut
        else {
            throw failure(
                "DoRA, modules_to_save and biases cannot be applied while a model is served",
                "merge the adapter into its model first")
        }
        let tensors = try SafetensorsFile(path: file)
        var changes: [String: Change] = [:]
        for tensorName in tensors.names {
            let suffix = ".lora_A.weight"
            guard tensorName.hasSuffix(suffix) else {
                guard tensorName.hasSuffix(".lora_B.weight") else {
                    throw failure(
                        "tensor \"\(tensorName)\" is not of a LoRA adapter", "check the adapter's kind")
                }
                continue
            }
            let stem = String(tensorName.dropLast(suffix.count))
            let module = stem.hasPrefix("base_model.model.") ? String(stem.dropFirst(17)) : stem
            guard let size = model.linearSizes[module] else {
                throw failure(
                    "\"\(module)\" is not a linear layer of the model's decoder",
                    "use an adapter of this model without embeddings and output layer")
            }
            guard let a = tensors.tensor(tensorName), let b = tensors.tensor(stem + ".lora_B.weight"),
                a.shape.count == 2, b.shape.count == 2, a.shape[1] == size.inputs, b.shape[0] == size.outputs,
                a.shape[0] == b.shape[1], a.elementType.kernelType != nil, b.elementType.kernelType != nil
            else {
                throw failure(
                    "the matrices of \"\(module)\" are missing or of another size than the model's layer, which has "
                        + "\(size.inputs) inputs and \(size.outputs) outputs",
                    "use the adapter with its own model")
            }
            changes[module] = try Self.change(
                a, b, scaling: Float(configuration.scaling(for: module)), format: model.adapterFormat, pool)
        }
        guard !changes.isEmpty else { throw failure("the adapter has no weights", "check the file") }
        self.name = name
        path = directory
        self.changes = changes
    }

    private static func change(
        _ a: TensorView, _ b: TensorView, scaling: Float, format: WeightFormat, _ pool: ThreadPool
    ) throws -> Change {
        let first = try PackedWeights(
            format: format, rows: a.shape[0], columns: a.shape[1], purpose: "an adapter")
        first.pack(a, atRow: 0, pool: pool)
        let second = try PackedWeights(
            format: format, rows: b.shape[0], columns: b.shape[1], purpose: "an adapter")
        // The scaling is part of B, which saves a pass over the output.
        let scaled = b.floats().map { $0 * scaling }
        second.pack(scaled, count: b.shape[0], atRow: 0, pool: pool)
        return Change(a: first, b: second)
    }
}
