// A sequence in a paged cache for the tests of attention, and what attention must give, in double precision.

import CKernels
import Glibc
import TestSupport

/// The shape of one attention: `context` tokens, of which the last `queries` ask.
struct AttentionShape: CustomStringConvertible, Sendable {
    var kvHeads: Int, group: Int, headDim: Int, context: Int, queries: Int
    var window = 0

    var heads: Int { kvHeads * group }
    var description: String {
        "\(kvHeads)x\(group) heads of \(headDim), \(queries) of \(context) tokens, window \(window)"
    }
}

/// Keys, values and queries of one sequence, random by seed, and the cache with the keys and values in it.
final class PagedAttention {
    let shape: AttentionShape
    let layout: ck_kv_layout
    let keys: [Float], values: [Float], queries: [Float]
    let blockTable: [Int32]
    let cache: UnsafeMutableRawPointer
    let cacheBytes: Int
    var scale: Float { 1 / Float(shape.headDim).squareRoot() }

    /// - Parameter firstBlock: where the sequence's blocks begin in the cache; they lie backwards from its
    /// end.
    /// - Parameter garbage: a byte that fills the cache before anything is stored; 0xff makes NaN of every
    /// type.
    init(_ shape: AttentionShape, type: ck_type, seed: UInt64 = 1, garbage: UInt8 = 0xff) {
        self.shape = shape
        layout = ck_kv_layout(type: type, kv_heads: Int64(shape.kvHeads), head_dim: Int64(shape.headDim))
        var generator = SeededGenerator(seed: seed)
        func numbers(_ count: Int, _ limit: Float) -> [Float] {
            (0..<count).map { _ in Float.random(in: -limit...limit, using: &generator) }
        }
        keys = numbers(shape.context * shape.kvHeads * shape.headDim, 2)
        values = numbers(shape.context * shape.kvHeads * shape.headDim, 1)
        queries = numbers(shape.context * shape.heads * shape.headDim, 2)
        let blocks = (shape.context + 15) / 16
        blockTable = (0..<blocks).map { Int32(blocks - $0) }.shuffled(using: &generator)
        cacheBytes = (blocks + 2) * ck_kv_block_bytes(layout)
        cache = .allocate(byteCount: cacheBytes, alignment: 64)
        memset(cache, Int32(garbage), cacheBytes)
        store(0..<shape.context, pool: nil)
    }

    deinit { cache.deallocate() }

    func store(_ rows: Range<Int>, pool: OpaquePointer?) {
        let ld = shape.kvHeads * shape.headDim
        let slots = rows.map { blockTable[$0 / 16] * 16 + Int32($0 % 16) }
        keys.withUnsafeBufferPointer { keys in
            values.withUnsafeBufferPointer { values in
                guard let keys = keys.baseAddress, let values = values.baseAddress else { return }
                let first = rows.lowerBound * ld
                ck_kv_store(
                    pool, layout, cache, keys + first, values + first, Int64(ld), Int64(rows.count), slots)
            }
        }
    }

    /// Attention of the tokens in `rows`, their contexts ending with each of `pieces` rows; [rows, heads *
    /// headDim].
    func attend(_ rows: Range<Int>, pieces: Int, pool: OpaquePointer? = nil) -> [Float] {
        let width = shape.heads * shape.headDim
        var out = [Float](repeating: .nan, count: rows.count * width)
        var scratch = [UInt8](
            repeating: 0xff,
            count: ck_attention_scratch_bytes(layout, Int64(shape.heads), ck_pool_threads(pool)))
        blockTable.withUnsafeBufferPointer { table in
            for start in stride(from: rows.lowerBound, to: rows.upperBound, by: pieces) {
                let end = min(start + pieces, rows.upperBound)
                var sequence = ck_sequence(
                    query_start: Int64(start), query_count: Int64(end - start), context: Int64(end),
                    block_table: table.baseAddress)
                out.withUnsafeMutableBufferPointer { out in
                    guard let out = out.baseAddress else { return }
                    ck_attention(
                        pool, layout, cache, &sequence, 1, queries, Int64(width), Int64(shape.heads), scale,
                        Int64(shape.window), out - rows.lowerBound * width, Int64(width), &scratch)
                }
            }
        }
        return out
    }

    /// As the cache's type keeps it.
    private func kept(_ x: [Float]) -> [Double] {
        guard layout.type == CK_BF16 else { return x.map(Double.init) }
        var words = [UInt16](repeating: 0, count: x.count)
        ck_from_f32(CK_BF16, x, &words, Int64(x.count))
        return words.map { Double(Float(bitPattern: UInt32($0) << 16)) }
    }

    /// The exact result of the last `shape.queries` rows, and how far from it a kernel may be.
    func reference() -> (values: [Double], tolerance: Double) {
        let (q, k, v) = (kept(queries), kept(keys), kept(values))
        let dim = shape.headDim
        var result: [Double] = []
        var largestSum = 0.0
        q.withUnsafeBufferPointer { q in
            k.withUnsafeBufferPointer { k in
                v.withUnsafeBufferPointer { v in
                    for position in (shape.context - shape.queries)..<shape.context {
                        for head in 0..<shape.heads {
                            let query = (position * shape.heads + head) * dim
                            result += row(
                                q: q, query: query, k: k, v: v, kvHead: head / shape.group,
                                position: position, largestSum: &largestSum)
                        }
                    }
                }
            }
        }
        return (result, tolerance(largestSum: largestSum))
    }

    private func row(
        q: UnsafeBufferPointer<Double>, query: Int, k: UnsafeBufferPointer<Double>,
        v: UnsafeBufferPointer<Double>, kvHead: Int, position: Int, largestSum: inout Double
    ) -> [Double] {
        let dim = shape.headDim
        let first = shape.window > 0 ? max(0, position - shape.window + 1) : 0
        var scores: [Double] = []
        for token in first...position {
            let key = (token * shape.kvHeads + kvHead) * dim
            var dot = 0.0, sum = 0.0
            for j in 0..<dim {
                let product = q[query + j] * k[key + j]
                dot += product
                sum += abs(product)
            }
            scores.append(dot * Double(scale))
            largestSum = max(largestSum, sum * Double(scale))
        }
        let most = scores.max() ?? 0
        let weights = scores.map { exp($0 - most) }
        let total = weights.reduce(0, +)
        var result = [Double](repeating: 0, count: dim)
        for (index, weight) in weights.enumerated() {
            let value = ((first + index) * shape.kvHeads + kvHead) * dim
            for j in 0..<dim { result[j] += weight / total * v[value + j] }
        }
        return result
    }

    /// With u = 2^-24, values of at most 1, and S the largest sum of the magnitudes of a score's products: a
    /// score is off by at most (headDim + 4) u S, a weight by a factor of twice that, as the maximum is a
    /// score too, and by 4u for 2^x. Both sums of the quotient have at most `context` terms and a rescaling
    /// every 128 of them. BF16 rounds each weight by at most 2^-9 of it.
    private func tolerance(largestSum: Double) -> Double {
        let scores = 2 * Double(shape.headDim + 4) * largestSum
        let sums = 2 * Double(shape.context) * (1 + 1.0 / 128) + 16
        return (scores + sums) * 0x1p-24 + (layout.type == CK_BF16 ? 0x1.01p-9 : 0)
    }
}
