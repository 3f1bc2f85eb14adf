// Matrix products with packed weights, against plain ones in double precision or, for integers, bit by bit.

import CKernels
import TestSupport
import Testing

/// What a product must give, and how far it may be from that.
private struct Expectation {
    var values: [Double]
    var tolerances: [Double]

    /// A sum of k products, each rounded, and one or two terms more: the error is at most (k + 3) 2^-24 times
    /// the sum of the magnitudes, whatever the order (Higham, Accuracy and Stability of Numerical Algorithms,
    /// 3.1), up to terms of second order, for which stands the factor 1.01. Products of two bf16 numbers are
    /// exact, and the dot products of bf16 take subnormal numbers for zero, which is below 1e-36 a term.
    init(_ x: Matrix, _ w: Matrix, bias: [Float]?, y: Matrix?) {
        values = []
        tolerances = []
        for i in 0..<x.rows {
            let a = x.row(i)
            for j in 0..<w.rows {
                let terms = [Double(bias?[j] ?? 0), Double(y?.values[i * w.rows + j] ?? 0)]
                var sum = terms[0] + terms[1], magnitude = terms[0].magnitude + terms[1].magnitude
                for (u, v) in zip(a, w.row(j)) {
                    sum += Double(u) * Double(v)
                    magnitude += (Double(u) * Double(v)).magnitude
                }
                values.append(sum)
                tolerances.append(1.01 * Double(x.columns + 3) * 0x1p-24 * magnitude + 1e-30)
            }
        }
    }

    func firstMiss(_ result: Matrix) -> String? {
        for index in values.indices {
            let error = (Double(result.values[index]) - values[index]).magnitude
            guard error <= tolerances[index] else {
                return "element \(index): \(result.values[index]), not \(values[index])"
            }
        }
        return nil
    }
}

/// A product's sizes, drawn from a seed: odd ones, and with k around the limits of spans and groups.
struct ProductCase: Sendable, CustomTestStringConvertible {
    var format: WeightFormat
    var m, n, k, group: Int
    var seed: UInt64

    static let all: [ProductCase] = WeightFormat.allCases.flatMap { format in
        (0..<10).map { index in
            var random = SeededGenerator(seed: UInt64(index) * 5 + 1)
            let limits = [1, 2, 255, 256, 257, 31, 33]
            let k = index < limits.count ? limits[index] : Int.random(in: 0..<150, using: &random) * 2 + 1
            return ProductCase(
                format: format, m: Int.random(in: 1...19, using: &random),
                n: Int.random(in: 0..<50, using: &random) * 2 + 1, k: k, group: [32, 64, 128][index % 3],
                seed: random.next())
        }
    }

    var testDescription: String { "\(format) m \(m) n \(n) k \(k) group \(group)" }

    /// The activations and weights; some are much larger than the others, so that groups differ.
    func operands() -> (x: Matrix, w: Matrix, bias: [Float], y: Matrix, SeededGenerator) {
        var random = SeededGenerator(seed: seed)
        func number() -> Float {
            let isLarge = UInt8.random(in: 0...15, using: &random) == 0
            return Float.random(in: -1...1, using: &random) * (isLarge ? 8 : 1)
        }
        let x = Matrix(rows: m, columns: k, number), w = Matrix(rows: n, columns: k, number)
        let bias = (0..<n).map { _ in number() }
        return (x, w, bias, Matrix(rows: m, columns: n, number), random)
    }
}

@Suite("Matrix products with packed weights")
struct LinearTests {
    @Test("Floats agree with a product in double precision", arguments: ProductCase.all)
    func floats(_ shape: ProductCase) {
        guard !shape.format.isInteger else { return }
        var (x, w, bias, y, _) = shape.operands()
        let packed = PackedWeights(shape.format, w)
        let rawX = x
        switch shape.format {
        case .bf16:
            x.values = x.values.map(Rounding.bf16)
            w.values = w.values.map(Rounding.bf16)
        case .f16: w.values = w.values.map { Float(Float16($0)) }
        case .f8:
            // The weights after their own rounding, which the tests of packing are about.
            x.values = x.values.map(Rounding.bf16)
            w.values = (0..<w.rows).flatMap { packed.row($0) }
        default: break
        }
        for row in 0..<w.rows { #expect(packed.row(row) == Array(w.row(row))) }
        let plain = Expectation(x, w, bias: nil, y: nil)
        let full = Expectation(x, w, bias: bias, y: y)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let name = InstructionSets.name(isa)
                #expect(plain.firstMiss(packed.product(rawX)) == nil, "\(name)")
                #expect(full.firstMiss(packed.product(rawX, bias: bias, addingTo: y)) == nil, "\(name)")
            }
        }
        #expect(packed.endIsIntact)
    }

    @Test("Integers agree with the same arithmetic in Swift, bit by bit", arguments: ProductCase.all)
    func integers(_ shape: ProductCase) {
        guard shape.format.isInteger else { return }
        let (x, w, bias, y, _) = shape.operands()
        let quantized = QuantizedMatrix(w, bits: shape.format == .int8 ? 8 : 4, group: shape.group)
        let expected = quantized.product(x, bias: nil, addingTo: nil)
        let full = quantized.product(x, bias: bias, addingTo: y)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let name = InstructionSets.name(isa)
                let packed = PackedWeights(shape.format, w, group: shape.group)
                #expect(packed.product(x).values == expected, "\(name)")
                #expect(packed.product(x, bias: bias, addingTo: y).values == full, "\(name)")
                for row in 0..<w.rows { #expect(packed.row(row) == quantized.row(row)) }
            }
        }
    }

    @Test("Integers are as near to the product as their scales allow", arguments: ProductCase.all)
    func integersAreNear(_ shape: ProductCase) {
        guard shape.format.isInteger else { return }
        let (x, w, _, _, _) = shape.operands()
        let bits = shape.format == .int8 ? 8 : 4
        let a = QuantizedMatrix(x, bits: 8, group: shape.group)
        let b = QuantizedMatrix(w, bits: bits, group: shape.group)
        let result = PackedWeights(shape.format, w, group: shape.group).product(x)
        for i in 0..<x.rows {
            for j in 0..<w.rows {
                var sum = 0.0, tolerance = 0.0
                for (k, (u, v)) in zip(x.row(i), w.row(j)).enumerated() {
                    sum += Double(u) * Double(v)
                    // A code is half a step off at most; of the 16 codes of 4 bits the top one is missing, a
                    // whole step. The rounding of sums is far below the thousandth part that is added.
                    let du = 0.5 * Double(a.scale(i, k).magnitude)
                    let dv = (bits == 8 ? 0.5 : 1.0) * Double(b.scale(j, k).magnitude)
                    tolerance += Double(u.magnitude) * dv + Double(v.magnitude) * du + du * dv
                }
                let error = (Double(result.values[i * w.rows + j]) - sum).magnitude
                #expect(error <= tolerance * 1.001 + 1e-6)
            }
        }
    }

    @Test("A row's result does not depend on the other rows", arguments: WeightFormat.allCases)
    func rowsAreIndependent(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 11)
        // One and two spans of k, with all rows of a piece waiting between them.
        for (n, k) in [(100, 301), (37, 2_700)] {
            let x = Matrix(rows: 17, columns: k) { Float.random(in: -1...1, using: &random) }
            let w = Matrix(rows: n, columns: k) { Float.random(in: -1...1, using: &random) }
            let bias = (0..<n).map { _ in Float.random(in: -1...1, using: &random) }
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let packed = PackedWeights(format, w, group: 64)
                    for bias in [nil, bias] {
                        let together = packed.product(x, bias: bias)
                        for rows in [1, 2, 3, 4, 5, 6, 7, 8, 9] {
                            let start = 17 - rows
                            var part = x
                            part.rows = rows
                            part.values = Array(x.values[start * k..<17 * k])
                            let alone = packed.product(part, bias: bias)
                            #expect(alone.values == Array(together.values[(start * n)...]), "\(rows) rows")
                        }
                    }
                }
            }
        }
    }

    @Test("The number of threads does not change a bit", arguments: WeightFormat.allCases)
    func threadsDoNotMatter(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 12)
        let w = Matrix(rows: 401, columns: 259) { Float.random(in: -1...1, using: &random) }
        let pools = [1, 2, 3].map { ck_pool_create(Int32($0)) }
        defer { pools.forEach { ck_pool_destroy($0) } }
        for m in [1, 9, 150] {
            let x = Matrix(rows: m, columns: 259) { Float.random(in: -1...1, using: &random) }
            let alone = PackedWeights(format, w).product(x)
            for pool in pools {
                let packed = PackedWeights(format, w, pool: pool)
                #expect(packed.product(x, pool: pool).values == alone.values)
            }
        }
    }

    @Test("Nothing is added up to nothing, and no rows and no columns are nothing to do")
    func emptyProducts() {
        for format in WeightFormat.allCases {
            let noDepth = PackedWeights(format, Matrix(rows: 20, columns: 0) { 0 })
            let bias = (0..<20).map { Float($0) }
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let x = Matrix(rows: 3, columns: 0) { 0 }
                    #expect(noDepth.product(x).values == [Float](repeating: 0, count: 60))
                    #expect(noDepth.product(x, bias: bias).values == bias + bias + bias)
                    let weights = PackedWeights(format, Matrix(rows: 20, columns: 7) { 1 })
                    #expect(weights.product(Matrix(rows: 0, columns: 7) { 0 }).values == [])
                    let noWeights = PackedWeights(format, Matrix(rows: 0, columns: 7) { 1 })
                    #expect(noWeights.product(Matrix(rows: 2, columns: 7) { 0 }).values == [])
                }
            }
        }
    }

    @Test("Infinities and NaN stay in their row, and are not lost", arguments: WeightFormat.allCases)
    func nonFiniteActivations(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 13)
        let w = Matrix(rows: 50, columns: 70) { Float.random(in: 0.5...1, using: &random) }
        var x = Matrix(rows: 3, columns: 70) { Float.random(in: -1...1, using: &random) }
        let packed = PackedWeights(format, w)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                let clean = packed.product(x)
                for bad in [Float.nan, .infinity, -.infinity] {
                    var spoiled = x
                    spoiled.values[70 + 40] = bad
                    let result = packed.product(spoiled)
                    #expect(result.row(0) == clean.row(0) && result.row(2) == clean.row(2))
                    #expect(result.row(1).allSatisfy { !$0.isFinite })
                }
            }
        }
        x.values = x.values.map { $0 * .leastNormalMagnitude / 64 }
        #expect(packed.product(x).values.allSatisfy { $0.magnitude < 1e-36 })
    }
}
