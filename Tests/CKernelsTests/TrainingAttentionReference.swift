// Attention of packed sequences in double precision, formulas written out, with a bound for the rounding
// errors of every element of a kernel's results.

import Glibc

/// The shape of packed attention: sequences of `lengths` rows, one after another.
struct PackedShape: CustomStringConvertible, Sendable {
    var heads: Int, kvHeads: Int, headDim: Int
    var window = 0
    var lengths: [Int]

    var rows: Int { lengths.reduce(0, +) }
    /// Of queries and results, and of keys and values.
    var width: Int { heads * headDim }
    var kvWidth: Int { kvHeads * headDim }
    var starts: [Int] { lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) } }
    var scale: Float { 1.25 / Float(headDim).squareRoot() }
    var description: String {
        let sequences = lengths.count > 10 ? "\(lengths.count) sequences" : "\(lengths)"
        return "\(heads)/\(kvHeads) heads of \(headDim), window \(window), \(sequences)"
    }
}

/// A result with the most that a kernel's may differ from it, element by element. Plain memory, as the
/// sums below take long enough.
final class BoundedResult {
    let count: Int
    let values: UnsafeMutablePointer<Double>, bounds: UnsafeMutablePointer<Double>

    init(count: Int) {
        self.count = count
        values = .allocate(capacity: count)
        bounds = .allocate(capacity: count)
        values.initialize(repeating: 0, count: count)
        bounds.initialize(repeating: 0, count: count)
    }

    deinit {
        values.deallocate()
        bounds.deallocate()
    }

    /// The result is rounded once more; and products of errors.
    func finish(rounding: Double) {
        for index in 0..<count {
            bounds[index] = 1.01 * (bounds[index] + rounding * (abs(values[index]) + bounds[index]))
        }
    }

    /// The largest error in units of its bound; infinite if anything is not a number.
    func worst(_ found: [Float]) -> Double {
        guard found.count == count else { return .infinity }
        return found.indices.reduce(0) { worst, index in
            let ratio = abs(Double(found[index]) - values[index]) / (bounds[index] + 1e-30)
            return ratio.isFinite ? max(worst, ratio) : .infinity
        }
    }
}

/// Attention and its gradients in double precision:
///
///     P = softmax(scale Q Kᵀ)    O = P V    D = rowsum(dO * O)    dS = P * (dO Vᵀ - D)
///     dV = Pᵀ dO    dQ = scale dS K    dK = scale dSᵀ Q
///
/// With u = 2^-24 and S the largest sum of magnitudes of a score's products, a score is off by (headDim +
/// 4) u S. P is off by that twice, as the log-sum is off as much as the scores are; by the rounding of
/// exponents that are differences of numbers up to S + log n; by n u for the sum of n terms; and by some
/// u for 2^x. A sum of n products is off by (n + 8) u times their magnitudes. In BF16 what is rounded (P,
/// dS, results) is off by r = 2^-8 of itself. Products of errors are left to a factor of 1.01.
final class TrainingAttentionReference {
    private let shape: PackedShape
    /// r, or 0 if nothing is rounded but by fp32 arithmetic.
    private let rounding: Double
    private let unit = 0x1p-24

    let out: BoundedResult
    /// [heads, rows]
    let logSums: BoundedResult
    let dq: BoundedResult, dk: BoundedResult, dv: BoundedResult

    init(_ shape: PackedShape, q: [Double], k: [Double], v: [Double], dOut: [Double], rounding: Double = 0) {
        self.shape = shape
        self.rounding = rounding
        out = BoundedResult(count: q.count)
        logSums = BoundedResult(count: shape.heads * shape.rows)
        dq = BoundedResult(count: q.count)
        dk = BoundedResult(count: k.count)
        dv = BoundedResult(count: v.count)
        q.withUnsafeBufferPointer { q in
            k.withUnsafeBufferPointer { k in
                v.withUnsafeBufferPointer { v in
                    dOut.withUnsafeBufferPointer { attendAll(Matrices(q: q, k: k, v: v, dOut: $0)) }
                }
            }
        }
        for result in [out, dq, dk, dv] { result.finish(rounding: rounding) }
    }

    private struct Matrices {
        var q: UnsafeBufferPointer<Double>, k: UnsafeBufferPointer<Double>
        var v: UnsafeBufferPointer<Double>, dOut: UnsafeBufferPointer<Double>
    }

    private func attendAll(_ m: Matrices) {
        for (start, length) in zip(shape.starts, shape.lengths) {
            for head in 0..<shape.heads {
                for row in start..<start + length {
                    let first = shape.window > 0 ? max(start, row - shape.window + 1) : start
                    attend(m, row, head: head, keys: first...row, length: length)
                }
            }
        }
    }

    private func dot(_ a: UnsafeBufferPointer<Double>, _ i: Int, _ b: UnsafeBufferPointer<Double>, _ j: Int)
        -> (sum: Double, magnitude: Double)
    {
        var sum = 0.0, magnitude = 0.0
        for d in 0..<shape.headDim {
            let product = a[i + d] * b[j + d]
            sum += product
            magnitude += abs(product)
        }
        return (sum, magnitude)
    }

    private func attend(_ m: Matrices, _ row: Int, head: Int, keys: ClosedRange<Int>, length: Int) {
        let dim = shape.headDim, scale = Double(shape.scale), n = Double(keys.count)
        let query = row * shape.width + head * dim
        let kvHead = head / (shape.heads / shape.kvHeads)
        let places = keys.map { $0 * shape.kvWidth + kvHead * dim }
        let products = places.map { dot(m.q, query, m.k, $0) }
        let scores = products.map { $0.sum * scale }
        let largest = products.reduce(0) { max($0, $1.magnitude) } * scale
        let most = scores.max() ?? 0
        let logSum = most + log(scores.reduce(0) { $0 + exp($1 - most) })
        let p = scores.map { exp($0 - logSum) }
        let scoreError = unit * (Double(dim + 4) * largest + 4 * (largest + log(n)) + 1.01 * n + 16)
        logSums.values[head * shape.rows + row] = logSum
        logSums.bounds[head * shape.rows + row] = scoreError
        let pError = 2 * scoreError

        var d = 0.0, dError = 0.0
        for j in 0..<dim {
            var sum = 0.0, magnitude = 0.0
            for (index, place) in places.enumerated() {
                sum += p[index] * m.v[place + j]
                magnitude += p[index] * abs(m.v[place + j])
            }
            let bound = magnitude * (pError + rounding + unit * (1.01 * n + 8))
            out.values[query + j] = sum
            out.bounds[query + j] = bound
            d += m.dOut[query + j] * sum
            let read = bound + rounding * (abs(sum) + bound)
            dError += abs(m.dOut[query + j]) * (read + unit * Double(dim + 8) * abs(sum))
        }
        for (index, place) in places.enumerated() {
            let slope = dot(m.dOut, query, m.v, place)
            let ds = p[index] * (slope.sum - d)
            let slopeError = unit * Double(dim + 8) * slope.magnitude + dError
            let dsError =
                p[index] * slopeError + abs(ds) * (pError + 4 * unit)
                + rounding * (abs(ds) + p[index] * slopeError)
            addGradients(
                m, query: query, place: place, p: p[index], pError: p[index] * (pError + rounding), ds: ds,
                dsError: dsError, terms: Double(length * shape.heads / shape.kvHeads))
        }
    }

    /// - Parameter terms: the most that a gradient of keys and values is a sum of.
    private func addGradients(
        _ m: Matrices, query: Int, place: Int, p: Double, pError: Double, ds: Double, dsError: Double,
        terms: Double
    ) {
        let scale = Double(shape.scale), sumError = unit * (terms + 8)
        let (slope, slopeError) = (scale * ds, scale * (dsError + sumError * abs(ds)))
        let weightError = pError + sumError * p
        for j in 0..<shape.headDim {
            let (a, b) = (query + j, place + j)
            dv.values[b] += p * m.dOut[a]
            dv.bounds[b] += weightError * abs(m.dOut[a])
            dk.values[b] += slope * m.q[a]
            dk.bounds[b] += slopeError * abs(m.q[a])
            dq.values[a] += slope * m.k[b]
            dq.bounds[a] += slopeError * abs(m.k[b])
        }
    }
}
