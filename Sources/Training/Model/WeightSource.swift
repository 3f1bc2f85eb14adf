// Where a model's weights come from: the files of a directory, or a seed.

package import Models
package import Tensors
import Text

/// Gives the values of parameters.
package protocol WeightSource {
    /// A matrix that is only read: the file's own bytes where the backend can use them.
    func frozen(_ name: String, _ shape: [Int], _ precision: Precision, _ backend: any ComputeBackend) throws
        -> Matrix
    /// Writes the values into `matrix`, F32 and contiguous.
    func fill(_ matrix: Matrix, _ name: String, _ shape: [Int], _ backend: any ComputeBackend) throws
}

/// A directory in the layout of the Hugging Face hub.
package struct StoredWeights: WeightSource {
    package let tensors: SafetensorsModel
    /// Whether the names begin with `model.`, as here; a checkpoint that was saved without its output layer has none.
    private let hasPrefix: Bool

    package init(directory: String) throws {
        tensors = try SafetensorsModel(directory: directory)
        hasPrefix =
            tensors.tensor("model.embed_tokens.weight") != nil || tensors.tensor("embed_tokens.weight") == nil
    }

    private func tensor(_ name: String, _ shape: [Int]) throws -> TensorView {
        let storedName = !hasPrefix && name.hasPrefix("model.") ? String(name.dropFirst(6)) : name
        guard let tensor = tensors.tensor(storedName) else {
            throw ModelError(
                file: tensors.directory, problem: "the weights have no tensor \"\(name)\"",
                remedy: "download the model again, or use weights that belong to this config.json")
        }
        guard tensor.shape == shape else {
            throw ModelError(
                file: tensor.file,
                problem: "tensor \"\(name)\" has shape \(tensor.shape), and config.json asks for \(shape)",
                remedy: "use weights and config.json of the same model")
        }
        guard [.f32, .bf16, .f16].contains(tensor.elementType) else {
            throw ModelError(
                file: tensor.file,
                problem:
                    "tensor \"\(name)\" is stored as \(tensor.elementType.rawValue), which cannot be trained on",
                remedy: "use the model's weights in F32, BF16 or F16")
        }
        return tensor
    }

    package func frozen(
        _ name: String, _ shape: [Int], _ precision: Precision, _ backend: any ComputeBackend
    ) throws -> Matrix {
        let view = try tensor(name, shape)
        let (rows, columns) = shape.count == 1 ? (1, shape[0]) : (shape[0], shape[1])
        let isMatrix = shape.count == 2
        let fits = view.elementType == .bf16 || (view.elementType == .f32 && precision == .float32)
        if isMatrix, fits, let memory = backend.mapped(view) {
            return Matrix(memory: memory, type: view.elementType, rows: rows, columns: columns)
        }
        let type: ElementType = isMatrix && precision == .bfloat16 ? .bf16 : .f32
        let matrix = Matrix(
            memory: try backend.allocate(byteCount: view.elementCount * type.byteCount, purpose: name),
            type: type, rows: rows, columns: columns)
        try copy(view, into: matrix, backend)
        return matrix
    }

    package func fill(
        _ matrix: Matrix, _ name: String, _ shape: [Int], _ backend: any ComputeBackend
    ) throws {
        try copy(try tensor(name, shape), into: matrix, backend)
    }

    /// In pieces, so that a large tensor is not in memory a second time.
    private func copy(_ view: TensorView, into matrix: Matrix, _ backend: any ComputeBackend) throws {
        let rowsAtOnce = max(1, (1 << 20) / max(1, matrix.columns))
        var floats: [Float] = []
        for start in stride(from: 0, to: matrix.rows, by: rowsAtOnce) {
            let rows = start..<min(start + rowsAtOnce, matrix.rows)
            floats = [Float](repeating: 0, count: rows.count * matrix.columns)
            floats.withUnsafeMutableBufferPointer {
                view.copyFloats(from: start * matrix.columns, into: $0)
            }
            let part = matrix.rows(rows)
            if matrix.type == .f32 {
                floats.withUnsafeBytes { backend.upload($0, to: part) }
            } else {
                let memory = try backend.allocate(byteCount: floats.count * 4, purpose: view.name)
                let piece = Matrix(memory: memory, type: .f32, rows: rows.count, columns: matrix.columns)
                floats.withUnsafeBytes { backend.upload($0, to: piece) }
                backend.convert(piece, into: part)
            }
        }
        view.release()
    }
}

/// Weights drawn for a new model: normal with `initializer_range`, norms 1, biases 0, as transformers'
/// `_init_weights` has it. A tensor is a function of the seed and its name alone.
package struct DrawnWeights: WeightSource {
    let seed: UInt64
    let deviation: Float

    package init(seed: UInt64, configuration: ModelConfiguration) {
        self.seed = seed
        deviation = Float(configuration.json["initializer_range"]?.doubleValue ?? 0.02)
    }

    package func frozen(
        _ name: String, _ shape: [Int], _ precision: Precision, _ backend: any ComputeBackend
    ) throws -> Matrix {
        let (rows, columns) = shape.count == 1 ? (1, shape[0]) : (shape[0], shape[1])
        let memory = try backend.allocate(byteCount: rows * columns * 4, purpose: name)
        let matrix = Matrix(memory: memory, type: .f32, rows: rows, columns: columns)
        try fill(matrix, name, shape, backend)
        return matrix
    }

    package func fill(
        _ matrix: Matrix, _ name: String, _ shape: [Int], _ backend: any ComputeBackend
    ) throws {
        if shape.count == 1 {
            let value: Float = name.hasSuffix(".bias") ? 0 : 1
            [Float](repeating: value, count: matrix.count).withUnsafeBytes { backend.upload($0, to: matrix) }
        } else {
            backend.fillNormal(matrix, deviation: deviation, seed: seed ^ NameHash.of(name))
        }
    }
}

/// FNV-1a of a name's bytes, so that each tensor draws from a stream of its own.
enum NameHash {
    static func of(_ name: String) -> UInt64 {
        name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
