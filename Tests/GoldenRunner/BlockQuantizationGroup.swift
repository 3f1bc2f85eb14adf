// NF4 weights and their double quantization, byte for byte against bitsandbytes.

import Models
import Tensors
import Training

extension GoldenGroup {
    /// `nf4.safetensors`: codes and scales of a model's linear layers.
    static let blockQuantization = GoldenGroup(name: "nf4") { folder in
        folder.has("nf4.safetensors") && folder.has("nf4.json")
    } run: { folder, report in
        let backend = try CPUBackend(pool: ThreadPool())
        let base = GoldenRun.parent(GoldenRun.parent(folder)).path + "/models/qwen2_tied"
        let source = try StoredWeights(directory: base)
        let reference = try SafetensorsFile(path: folder.path(of: "nf4.safetensors"))
        let double = try SafetensorsFile(path: folder.path(of: "double_quant.safetensors"))
        let suffix = ".dequantized"
        for name in reference.names where name.hasSuffix(suffix) {
            guard let expected = reference.tensor(name) else { continue }
            let weight = String(name.dropLast(suffix.count))
            let matrix = try source.frozen(weight, expected.shape, .float32, backend)
            for (kind, file, isDouble) in [("once", reference, false), ("twice", double, true)] {
                let made = try backend.quantize(matrix, as: .nf4(doubleQuantization: isDouble))
                let memory = try backend.allocate(byteCount: matrix.count * 4, purpose: "a comparison")
                let back = Matrix(memory: memory, type: .f32, rows: matrix.rows, columns: matrix.columns)
                backend.dequantize(made, into: back)
                guard let wanted = file.tensor(name)?.floats() else { continue }
                let (difference, place) = largestDifference(backend.floats(of: back), wanted)
                // Of the reference's 1,440 codes of scales 4 are not the nearest, so that a scale may be a code apart:
                // 1 % of the largest, which a weight has at most whole.
                let scale = wanted.map(abs).max() ?? 1
                report.measure(
                    "quantized \(kind)", weight, difference: difference,
                    limit: isDouble ? 0.01 * Double(scale) : 0,
                    detail: "element \(place)")
            }
        }
    }
}
