// Random matrices of packed sequences, and the kernels of training's attention run on them.

import CKernels
import Glibc
import TestSupport

/// A matrix of a kernel's own type, with a gap behind each row that nobody may write.
final class GappedMatrix {
    private static let gap = 5
    private let type: ck_type
    private let rows: Int, width: Int
    let stride: Int
    let elements: UnsafeMutableRawPointer
    private var rowBytes: Int { stride * Int(ck_type_bytes(type)) }

    /// All ones, which is NaN.
    init(rows: Int, width: Int, type: ck_type) {
        (self.rows, self.width, self.type) = (rows, width, type)
        stride = width + Self.gap
        let bytes = rows * stride * Int(ck_type_bytes(type))
        elements = .allocate(byteCount: max(1, bytes), alignment: 64)
        memset(elements, 0xff, bytes)
    }

    convenience init(_ x: [Float], width: Int, type: ck_type) {
        self.init(rows: x.count / width, width: width, type: type)
        for row in 0..<rows {
            ck_from_f32(
                type, Array(x[row * width..<(row + 1) * width]), elements + row * rowBytes, Int64(width))
        }
    }

    deinit { elements.deallocate() }

    var floats: [Float] {
        (0..<rows).flatMap { row in
            var x = [Float](repeating: .nan, count: width)
            ck_to_f32(type, elements + row * rowBytes, &x, Int64(width))
            return x
        }
    }

    var gapsAreUntouched: Bool {
        let used = width * Int(ck_type_bytes(type))
        return (0..<rows).allSatisfy { row in
            (used..<rowBytes).allSatisfy {
                elements.load(fromByteOffset: row * rowBytes + $0, as: UInt8.self) == 0xff
            }
        }
    }
}

/// What both passes give, as floats.
struct TrainingAttentionResults: Sendable {
    var out: [Float] = [], logSums: [Float] = [], dq: [Float] = [], dk: [Float] = [], dv: [Float] = []
    /// Whether the kernels wrote beside the matrices or behind their scratch memory.
    var hasSpilled = false

    /// Bits of everything.
    var bits: [[UInt32]] { [out, logSums, dq, dk, dv].map { $0.map(\.bitPattern) } }
}

/// Queries, keys, values and the gradients of results, random by seed, as numbers that `type` can hold.
struct TrainingAttentionCase: Sendable {
    var shape: PackedShape
    let type: ck_type
    var q: [Float], k: [Float], v: [Float], dOut: [Float]
    var scale: Float

    init(_ shape: PackedShape, type: ck_type, seed: UInt64 = 1) {
        self.shape = shape
        self.type = type
        scale = shape.scale
        var generator = SeededGenerator(seed: seed)
        func numbers(_ width: Int, _ limit: Float) -> [Float] {
            let x = (0..<shape.rows * width).map { _ in Float.random(in: -limit...limit, using: &generator) }
            return GappedMatrix(x, width: width, type: type).floats
        }
        q = numbers(shape.width, 1.5)
        k = numbers(shape.kvWidth, 1.5)
        v = numbers(shape.kvWidth, 1)
        dOut = numbers(shape.width, 1)
    }

    var reference: TrainingAttentionReference {
        TrainingAttentionReference(
            shape, q: q.map(Double.init), k: k.map(Double.init), v: v.map(Double.init),
            dOut: dOut.map(Double.init), rounding: type == CK_BF16 ? 0x1p-8 : 0)
    }

    /// The part of one sequence alone.
    func alone(_ sequence: Int) -> Self {
        let rows = shape.starts[sequence]..<shape.starts[sequence + 1]
        func part(_ x: [Float], _ width: Int) -> [Float] {
            Array(x[rows.lowerBound * width..<rows.upperBound * width])
        }
        var result = self
        result.shape.lengths = [rows.count]
        (result.q, result.dOut) = (part(q, shape.width), part(dOut, shape.width))
        (result.k, result.v) = (part(k, shape.kvWidth), part(v, shape.kvWidth))
        return result
    }

    /// Both passes, with the scratch memory full of NaN before each.
    func run(pool: OpaquePointer? = nil) -> TrainingAttentionResults {
        let inputs = [(q, shape.width), (k, shape.kvWidth), (v, shape.kvWidth), (dOut, shape.width)].map {
            GappedMatrix($0.0, width: $0.1, type: type)
        }
        let outputs = [shape.width, shape.width, shape.kvWidth, shape.kvWidth].map {
            GappedMatrix(rows: shape.rows, width: $0, type: type)
        }
        var logSums = [Float](repeating: .nan, count: shape.heads * shape.rows)
        let isConfined = shape.starts.map(Int64.init).withUnsafeBufferPointer { starts in
            logSums.withUnsafeMutableBufferPointer { logSums in
                var attention = ck_train_attention(
                    type: type, heads: Int64(shape.heads), kv_heads: Int64(shape.kvHeads),
                    head_dim: Int64(shape.headDim), window: Int64(shape.window), scale: scale,
                    starts: starts.baseAddress, sequences: Int64(shape.lengths.count), q: inputs[0].elements,
                    k: inputs[1].elements, v: inputs[2].elements, q_stride: Int64(inputs[0].stride),
                    k_stride: Int64(inputs[1].stride), v_stride: Int64(inputs[2].stride),
                    out: outputs[0].elements, out_stride: Int64(outputs[0].stride),
                    log_sums: logSums.baseAddress)
                return run(
                    &attention, pool: pool, dOut: inputs[3], dq: outputs[1], dk: outputs[2], dv: outputs[3])
            }
        }
        return TrainingAttentionResults(
            out: outputs[0].floats, logSums: logSums, dq: outputs[1].floats, dk: outputs[2].floats,
            dv: outputs[3].floats, hasSpilled: !isConfined || outputs.contains { !$0.gapsAreUntouched })
    }

    /// Returns whether nothing was written behind the scratch memory.
    private func run(
        _ attention: inout ck_train_attention, pool: OpaquePointer?, dOut: GappedMatrix, dq: GappedMatrix,
        dk: GappedMatrix, dv: GappedMatrix
    ) -> Bool {
        let longest = Int64(shape.lengths.max() ?? 0), behind = 256
        let bytes = ck_train_attention_scratch_bytes(&attention, longest, ck_pool_threads(pool))
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: bytes + behind, alignment: 8)
        defer { scratch.deallocate() }
        memset(scratch, 0xff, bytes + behind)
        ck_train_attention_forward(pool, &attention, scratch)
        memset(scratch, 0xff, bytes)
        ck_train_attention_backward(
            pool, &attention, dOut.elements, Int64(dOut.stride), dq.elements, Int64(dq.stride), dk.elements,
            Int64(dk.stride), dv.elements, Int64(dv.stride), scratch)
        return (bytes..<bytes + behind).allSatisfy {
            scratch.load(fromByteOffset: $0, as: UInt8.self) == 0xff
        }
    }
}
