// Codes and 8-bit floats whose products are those of a wider type: the bits of a matrix that is stored in that type.

import CKernels
import TestSupport
import Testing

/// A matrix of codes, its sizes drawn from a seed.
struct CodeCase: Sendable, CustomTestStringConvertible {
    var format: WeightFormat
    var products: WeightFormat
    var hasZeros: Bool
    /// Groups are made of any columns.
    var isShuffled: Bool
    var m, n, k, group: Int
    var seed: UInt64

    static let all: [CodeCase] = [WeightFormat.int4, .int8, .f8].flatMap { format in
        [WeightFormat.f32, .bf16, .f16].flatMap { products in
            (0..<8).map { index in
                var random = SeededGenerator(seed: UInt64(index) * 7 + 3)
                // Spans end at 256, words at 4 or 8 codes.
                let limits = [1, 9, 255, 256, 257, 520]
                let k = index < limits.count ? limits[index] : Int.random(in: 1...400, using: &random)
                let isShuffled = format != .f8 && index % 3 == 2
                // Any size goes where every column says its group, else multiples of 8 or the whole.
                let group = isShuffled ? Int.random(in: 1...k, using: &random) : [32, 128, k, 40][index % 4]
                return CodeCase(
                    format: format, products: products, hasZeros: format != .f8 && index % 2 == 0,
                    isShuffled: isShuffled, m: Int.random(in: 1...18, using: &random),
                    n: Int.random(in: 1...101, using: &random), k: k, group: group, seed: random.next())
            }
        }
    }

    var testDescription: String {
        "\(format) as \(products) m \(m) n \(n) k \(k) group \(group)\(isShuffled ? " shuffled" : "")"
    }

    /// Random codes, and the numbers that they stand for, computed here.
    func matrix() -> (codes: [UInt8], scales: [Float], zeros: [UInt8], index: [Int32], values: [Float]) {
        var random = SeededGenerator(seed: seed)
        let groups = format == .f8 ? 1 : (k + group - 1) / group
        let codes = (0..<n * k).map { _ in
            switch format {
            case .int4: UInt8.random(in: 0...15, using: &random)
            case .f8: UInt8.random(in: 0...0x7e, using: &random) | (Bool.random(using: &random) ? 0x80 : 0)
            default: UInt8.random(in: 0...255, using: &random)
            }
        }
        let scales = (0..<n * groups).map { _ in Float.random(in: -0.1...0.1, using: &random) }
        let limit: UInt8 = format == .int4 ? 15 : 255
        let zeros = (0..<n * groups).map { _ in UInt8.random(in: 0...limit, using: &random) }
        let index = (0..<k).map { column in
            isShuffled ? Int32.random(in: 0..<Int32(groups), using: &random) : Int32(column / group)
        }
        let values = codes.indices.map { at in
            let row = at / k, place = row * groups + (format == .f8 ? 0 : Int(index[at % k]))
            if format == .f8 { return Float8.value(codes[at]) * scales[place] }
            let middle = format == .int4 ? 8 : 128
            let code = format == .int4 ? Int(codes[at]) : Int(Int8(bitPattern: codes[at])) + 128
            return Float(code - (hasZeros ? Int(zeros[place]) : middle)) * scales[place]
        }
        return (codes, scales, zeros, index, values)
    }
}

/// E4M3 by its definition: bias 7, three bits of fraction, no infinities.
enum Float8 {
    static func value(_ byte: UInt8) -> Float {
        let exponent = Int(byte >> 3 & 15), fraction = Float(byte & 7)
        let magnitude =
            exponent == 0
            ? fraction * 0x1p-9
            : (1 + fraction / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
        return byte & 0x80 == 0 ? magnitude : -magnitude
    }
}

@Suite("Weights that are widened where they are used")
struct WidenedWeightsTests {
    @Test("Products have the bits of those with the dequantized matrix", arguments: CodeCase.all)
    func sameBits(_ shape: CodeCase) {
        let (codes, scales, zeros, index, values) = shape.matrix()
        var random = SeededGenerator(seed: shape.seed &+ 1)
        let x = Matrix(rows: shape.m, columns: shape.k) { Float.random(in: -2...2, using: &random) }
        let bias = (0..<shape.n).map { _ in Float.random(in: -1...1, using: &random) }
        var position = 0
        let plain = Matrix(rows: shape.n, columns: shape.k) {
            defer { position += 1 }
            return values[position]
        }
        let twin = PackedWeights(shape.products, plain)
        let packed = PackedWeights(
            shape.format, n: shape.n, k: shape.k, group: shape.group, products: shape.products)
        index.withUnsafeBufferPointer { index in
            if shape.isShuffled { packed.weights.group_of = index.baseAddress }
            zeros.withUnsafeBufferPointer {
                ck_weights_pack_codes(
                    nil, &packed.weights, 0, Int64(shape.n), codes, scales,
                    shape.hasZeros ? $0.baseAddress : nil)
            }
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let name = InstructionSets.name(isa)
                    #expect(packed.product(x).values == twin.product(x).values, "\(name)")
                    let (ours, theirs) = (packed.product(x, bias: bias), twin.product(x, bias: bias))
                    #expect(ours.values == theirs.values, "\(name)")
                }
            }
            #expect((0..<shape.n).allSatisfy { packed.row($0) == twin.row($0) })
        }
        #expect(packed.endIsIntact)
    }

    @Test(
        "Threads and neighbors do not change a bit of widened products", arguments: [WeightFormat.int4, .f8])
    func independence(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 51)
        let (n, k) = (203, 1_111)
        let w = Matrix(rows: n, columns: k) { Float.random(in: -1...1, using: &random) }
        let x = Matrix(rows: 150, columns: k) { Float.random(in: -1...1, using: &random) }
        let pool = ck_pool_create(3)
        defer { ck_pool_destroy(pool) }
        let packed = PackedWeights(format, n: n, k: k, group: 64, products: .bf16)
        packed.pack(row: 0, w, pool: pool)
        let together = packed.product(x)
        #expect(packed.product(x, pool: pool).values == together.values)
        for row in [0, 77, 149] {
            let alone = Matrix(rows: 1, columns: k, values: Array(x.row(row)))
            #expect(packed.product(alone, pool: pool).values == Array(together.row(row)))
        }
    }

    @Test("Zero points of 8-bit codes hold where activations are rounded, too", arguments: [32, 64, 128])
    func asymmetricBytes(_ group: Int) {
        var shape = CodeCase(
            format: .int8, products: .int8, hasZeros: true, isShuffled: false, m: 5, n: 61, k: 301,
            group: group, seed: 77)
        shape.seed += UInt64(group)
        let (codes, scales, zeros, _, _) = shape.matrix()
        let groups = (301 + group - 1) / group
        let packed = PackedWeights(.int8, n: 61, k: 301, group: group)
        ck_weights_pack_codes(nil, &packed.weights, 0, 61, codes, scales, zeros)
        #expect(packed.weights.asymmetric)
        let signed = codes.indices.map { at in
            Int32(Int8(bitPattern: codes[at])) + 128
                - Int32(zeros[at / 301 * groups + at % 301 / group])
        }
        let matrix = QuantizedMatrix(rows: 61, columns: 301, group: group, codes: signed, scales: scales)
        var random = SeededGenerator(seed: 78)
        let x = Matrix(rows: 5, columns: 301) { Float.random(in: -1...1, using: &random) }
        let expected = matrix.product(x, bias: nil, addingTo: nil)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                #expect(packed.product(x).values == expected, "\(InstructionSets.name(isa))")
            }
        }
    }

    @Test("Floats become the nearest 8-bit floats, a row's largest the largest there is")
    func packingFloat8() {
        var random = SeededGenerator(seed: 52)
        let numbers = (0...0x7e).map { Float8.value(UInt8($0)) }
        for k in [1, 7, 300] {
            let w = Matrix(rows: 51, columns: k) { Float.random(in: -3...3, using: &random) }
            let packed = PackedWeights(.f8, n: 51, k: k, products: .f32)
            packed.pack(row: 0, w)
            for row in 0..<51 {
                let scale = (w.row(row).map(\.magnitude).max() ?? 0) / 448
                for (given, kept) in zip(w.row(row), packed.row(row)) {
                    let wanted = given.magnitude / scale
                    let best = numbers.map { ($0 - wanted).magnitude }.min() ?? 0
                    #expect((kept.magnitude / scale - wanted).magnitude <= best + wanted * 0x1p-22)
                    #expect(kept == 0 || (kept < 0) == (given < 0))
                }
            }
        }
    }

    @Test("A row with the code of NaN is NaN, and only that row")
    func notANumber() {
        for code: UInt8 in [0x7f, 0xff] {
            var codes = [UInt8](repeating: 0x38, count: 3 * 40)
            codes[40 + 39] = code
            let packed = PackedWeights(.f8, n: 3, k: 40)
            ck_weights_pack_codes(nil, &packed.weights, 0, 3, codes, [1, 1, 1], nil)
            for isa in InstructionSets.available {
                InstructionSets.using(isa) {
                    let result = packed.product(Matrix(rows: 1, columns: 40) { 1 }).values
                    #expect(result[0] == 40 && result[1].isNaN && result[2] == 40)
                }
            }
        }
    }
}
