// Packing of weights: from every element type, from several sources, and from codes quantized before.

import CKernels
import TestSupport
import Testing

@Suite("Packing of weights")
struct WeightPackingTests {
    @Test("Rows packed from several sources are as if packed at once", arguments: WeightFormat.allCases)
    func severalSources(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 21)
        let whole = Matrix(rows: 131, columns: 75) { Float.random(in: -1...1, using: &random) }
        let atOnce = PackedWeights(format, whole)
        for cuts in [[0, 48, 131], [0, 1, 50, 95, 131], [0, 130, 131], [0, 131]] {
            let packed = PackedWeights(format, n: 131, k: 75)
            // The last source first: the order is the caller's affair.
            for (from, to) in zip(cuts, cuts.dropFirst()).reversed() {
                var part = whole
                part.rows = to - from
                part.values = Array(whole.values[from * 75..<to * 75])
                packed.pack(row: from, part)
            }
            #expect((0..<131).allSatisfy { packed.row($0) == atOnce.row($0) })
            let x = Matrix(rows: 5, columns: 75) { Float.random(in: -1...1, using: &random) }
            #expect(packed.product(x).values == atOnce.product(x).values)
            #expect(packed.endIsIntact)
        }
    }

    @Test(
        "Every element type is packed as its floats are",
        arguments: WeightFormat.allCases, [CK_F32, CK_BF16, CK_F16, CK_F8_E4M3].map(\.rawValue))
    func elementTypes(format: WeightFormat, type: UInt32) {
        let type = ck_type(rawValue: type)
        var random = SeededGenerator(seed: 22)
        // Rows stand five elements further apart than they are long, and begin at an odd address.
        let stride = 70, columns = 65, rows = 33
        var numbers = (0..<stride * rows).map { _ in Float.random(in: -4...4, using: &random) }
        let size = Int(ck_type_bytes(type))
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: numbers.count * size + 1, alignment: 64)
        defer { bytes.deallocate() }
        ck_from_f32(type, numbers, bytes + 1, Int64(numbers.count))
        ck_to_f32(type, bytes + 1, &numbers, Int64(numbers.count))
        let packed = PackedWeights(format, n: rows, k: columns)
        ck_weights_pack(nil, &packed.weights, 0, Int64(rows), type, bytes + 1, Int64(stride))
        var index = 0
        let floats = Matrix(rows: rows, columns: columns) {
            defer { index += 1 }
            return numbers[index / columns * stride + index % columns]
        }
        let expected = PackedWeights(format, floats)
        #expect((0..<rows).allSatisfy { packed.row($0) == expected.row($0) })
    }

    @Test("Codes that are given are used as they are", arguments: [WeightFormat.int8, .int4], [false, true])
    func codes(format: WeightFormat, hasZeros: Bool) {
        var random = SeededGenerator(seed: 23)
        let n = 67, k = 203, group = 64, groups = 4
        let isSmall = format == .int4
        let codes = (0..<n * k).map { _ in UInt8.random(in: 0...(isSmall ? 15 : 255), using: &random) }
        let scales = (0..<n * groups).map { _ in Float.random(in: -0.1...0.1, using: &random) }
        let zeros = (0..<n * groups).map { _ in UInt8.random(in: 0...15, using: &random) }
        let packed = PackedWeights(format, n: n, k: k, group: group)
        if hasZeros && isSmall {
            ck_weights_pack_codes(nil, &packed.weights, 0, Int64(n), codes, scales, zeros)
        } else {
            ck_weights_pack_codes(nil, &packed.weights, 0, Int64(n), codes, scales, nil)
        }
        #expect(packed.weights.asymmetric == (hasZeros && isSmall))
        let signed = codes.enumerated().map { index, code in
            guard isSmall else { return Int32(Int8(bitPattern: code)) }
            let zero = hasZeros ? Int32(zeros[index / k * groups + index % k / group]) : 8
            return Int32(code) - zero
        }
        let matrix = QuantizedMatrix(rows: n, columns: k, group: group, codes: signed, scales: scales)
        let x = Matrix(rows: 11, columns: k) { Float.random(in: -1...1, using: &random) }
        let expected = matrix.product(x, bias: nil, addingTo: nil)
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                #expect(packed.product(x).values == expected, "\(InstructionSets.name(isa))")
            }
        }
        #expect((0..<n).allSatisfy { packed.row($0) == matrix.row($0) })
    }

    @Test("Every instruction set packs the same bytes", arguments: WeightFormat.allCases)
    func sameBytes(_ format: WeightFormat) {
        var random = SeededGenerator(seed: 24)
        let w = Matrix(rows: 77, columns: 301) { Float.random(in: -1...1, using: &random) }
        let all = InstructionSets.available.map { isa in
            InstructionSets.using(isa) {
                let packed = PackedWeights(format, w)
                return Array(UnsafeBufferPointer(start: packed.weights.data, count: packed.weights.bytes))
            }
        }
        #expect(all.allSatisfy { $0 == all[0] })
    }

    @Test(
        "Groups of zeros and of numbers too small for a scale are zeros",
        arguments: [WeightFormat.int8, .int4])
    func tinyGroups(_ format: WeightFormat) {
        for tiny: Float in [0, .leastNonzeroMagnitude, -3e-37] {
            let packed = PackedWeights(format, Matrix(rows: 3, columns: 40) { tiny })
            #expect((0..<3).allSatisfy { packed.row($0).allSatisfy { $0 == 0 } })
            #expect(packed.product(Matrix(rows: 2, columns: 40) { 1 }).values.allSatisfy { $0 == 0 })
        }
    }

    @Test("A weight that is not finite spoils its group, not silently something else")
    func nonFiniteWeights() {
        for bad in [Float.nan, .infinity] {
            for format in WeightFormat.allCases {
                var w = Matrix(rows: 3, columns: 40) { 1 }
                w.values[45] = bad
                let result = PackedWeights(format, w).product(Matrix(rows: 1, columns: 40) { 1 })
                #expect(!result.values[1].isFinite && result.values[0].isFinite && result.values[2].isFinite)
            }
        }
    }
}
