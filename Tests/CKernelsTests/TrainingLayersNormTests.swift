// Training's root-mean-square normalization against double precision, and its way back against differences
// of that.

import CKernels
import Testing

/// Rows of neighboring vectors, each normalized by itself, with three elements behind each row.
private struct NormCase {
    let rows: Int, groups: Int, size: Int
    var x: Elements
    let dy: Elements
    let weight: [Float]
    let epsilon: Float = 1e-5
    var width: Int { groups * size }
    var stride: Int { width + 3 }

    init(rows: Int, groups: Int, size: Int, x xType: ck_type, y yType: ck_type) {
        (self.rows, self.groups, self.size) = (rows, groups, size)
        weight = TrainingKernels.numbers(size, seed: 1)
        x = Elements(xType, TrainingKernels.numbers(rows * (groups * size + 3), seed: 2))
        dy = Elements(yType, TrainingKernels.numbers(rows * (groups * size + 3), seed: 3))
    }

    private func call(_ inverse: inout [Float], _ body: (UnsafePointer<ck_norm>) -> Void) {
        weight.withUnsafeBufferPointer { weight in
            x.bytes.withUnsafeBytes { bytes in
                inverse.withUnsafeMutableBufferPointer { inverse in
                    var norm = ck_norm(
                        rows: Int64(rows), groups: Int64(groups), size: Int64(size),
                        weight: weight.baseAddress,
                        epsilon: epsilon, x_type: x.type, x: bytes.baseAddress, x_stride: Int64(stride),
                        inverse_rms: inverse.baseAddress)
                    body(&norm)
                }
            }
        }
    }

    /// - Returns: y, of dy's type, and the inverse roots.
    func forward(_ pool: OpaquePointer?) -> (y: [UInt8], inverse: [Float]) {
        var inverse = [Float](repeating: .nan, count: rows * groups)
        var y = Elements(dy.type, [Float](repeating: 7, count: rows * stride)).bytes
        call(&inverse) { ck_train_rms_norm(pool, $0, dy.type, &y, Int64(stride)) }
        return (y, inverse)
    }

    /// - Parameter before: what dx is before, of the type it has; NULL: it has dy's memory.
    /// - Returns: dx and the weight's gradient, which was 0.5 everywhere before and stays so if it is frozen.
    func backward(_ pool: OpaquePointer?, before: Elements?, accumulate: Bool, isFrozen: Bool) -> [[UInt8]] {
        var inverse = forward(nil).inverse
        var gradient = [Float](repeating: 0.5, count: size)
        var dx = (before ?? dy).bytes
        let type = (before ?? dy).type
        dx.withUnsafeMutableBytes { dx in
            dy.bytes.withUnsafeBytes { bytes in
                gradient.withUnsafeMutableBufferPointer { gradient in
                    call(&inverse) { norm in
                        ck_train_rms_norm_backward(
                            pool, norm, dy.type,
                            before == nil ? UnsafeRawPointer(dx.baseAddress) : bytes.baseAddress,
                            Int64(stride), type, dx.baseAddress, Int64(stride), accumulate,
                            isFrozen ? nil : gradient.baseAddress)
                    }
                }
            }
        }
        return [dx, TrainingKernels.bytes(gradient)]
    }

    /// One vector, in double.
    func normalized(_ x: [Double], _ weight: [Double]) -> [Double] {
        let inverse = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(size) + Double(epsilon)).squareRoot()
        return zip(x, weight).map { $0 * inverse * $1 }
    }

    /// The vectors of a matrix without what is behind its rows.
    func vectors(_ values: [Double]) -> [[Double]] {
        (0..<rows * groups).map { index in
            let start = index / groups * stride + index % groups * size
            return Array(values[start..<start + size])
        }
    }

    /// What is behind the rows.
    func margins(_ values: [Float]) -> [Float] {
        (0..<rows).flatMap { values[$0 * stride + width..<($0 + 1) * stride] }
    }
}

@Suite("Training's root-mean-square normalization")
struct TrainingLayersNormTests {
    struct Shape: CustomTestStringConvertible {
        let groups: Int, size: Int, x: ck_type, y: ck_type
        var testDescription: String { "\(groups) x \(size), \(x.rawValue) to \(y.rawValue)" }
    }
    static let shapes = TrainingKernels.types.flatMap { x in
        TrainingKernels.types.flatMap { y in
            zip([1, 3, 2, 1, 3, 1], [1, 15, 16, 17, 64, 130]).map {
                Shape(groups: $0, size: $1, x: x, y: y)
            }
        }
    }

    @Test("Each vector is normalized by itself, and nothing behind a row is written", arguments: shapes)
    func forward(shape: Shape) throws {
        let norm = NormCase(rows: 5, groups: shape.groups, size: shape.size, x: shape.x, y: shape.y)
        let result = try TrainingKernels.everyWay("norm") { pool in
            let (y, inverse) = norm.forward(pool)
            return [y, TrainingKernels.bytes(inverse)]
        }
        let y = TrainingKernels.floats(shape.y, result[0]), weight = norm.weight.map(Double.init)
        let expected = norm.vectors(norm.x.doubles).map { norm.normalized($0, weight) }
        for (vector, wanted) in zip(norm.vectors(y.map(Double.init)), expected) {
            TrainingKernels.expectClose(
                vector.map { Float($0) }, wanted, relative: norm.dy.rounding + 0x1p-19, absolute: 1e-30, "y")
        }
        #expect(norm.margins(y).allSatisfy { $0 == 7 })
        let inverse = TrainingKernels.floats(CK_F32, result[1])
        for (inverse, x) in zip(inverse, norm.vectors(norm.x.doubles)) {
            let mean = x.reduce(0) { $0 + $1 * $1 } / Double(shape.size) + Double(norm.epsilon)
            #expect(abs(Double(inverse) * mean.squareRoot() - 1) < 0x1p-20)
        }
    }

    @Test("The way back agrees with differences of the way there", arguments: shapes)
    func backward(shape: Shape) throws {
        let norm = NormCase(rows: 2, groups: shape.groups, size: shape.size, x: shape.x, y: shape.y)
        let count = norm.rows * norm.stride
        let before = Elements(shape.x, TrainingKernels.numbers(count, seed: 4))
        let result = try TrainingKernels.everyWay("norm, backward") {
            norm.backward($0, before: before, accumulate: false, isFrozen: false)
        }
        let dx = TrainingKernels.floats(shape.x, result[0]), weight = norm.weight.map(Double.init)
        var weightGradient = [Double](repeating: 0.5, count: shape.size)
        let vectors = zip(norm.vectors(norm.x.doubles), norm.vectors(norm.dy.doubles))
        var expected: [[Double]] = []
        for (x, dy) in vectors {
            func loss(_ x: [Double], _ weight: [Double]) -> Double {
                zip(norm.normalized(x, weight), dy).reduce(0) { $0 + $1.0 * $1.1 }
            }
            expected.append(TrainingKernels.differences(at: x) { loss($0, weight) })
            for (j, g) in TrainingKernels.differences(at: weight, { loss(x, $0) }).enumerated() {
                weightGradient[j] += g
            }
        }
        // A single element's gradient is nearly 0: the difference of two that are not.
        for (vector, wanted) in zip(norm.vectors(dx.map(Double.init)), expected) {
            TrainingKernels.expectClose(
                vector.map { Float($0) }, wanted, relative: before.rounding, absolute: 2e-5, "dx")
        }
        #expect(norm.margins(dx) == norm.margins(before.floats))
        TrainingKernels.expectClose(
            TrainingKernels.floats(CK_F32, result[1]), weightGradient, relative: 1e-5, absolute: 2e-5,
            "weight")

        let frozen = norm.backward(nil, before: before, accumulate: false, isFrozen: true)
        #expect(frozen[0] == result[0])
        #expect(TrainingKernels.floats(CK_F32, frozen[1]).allSatisfy { $0 == 0.5 })
        // In dy's memory, if it has dx's type, the same comes out.
        if shape.x == shape.y {
            let inPlace = norm.backward(nil, before: nil, accumulate: false, isFrozen: false)
            let own = norm.vectors(TrainingKernels.floats(shape.x, inPlace[0]).map(Double.init))
            #expect(own == norm.vectors(dx.map(Double.init)))
            #expect(inPlace[1] == result[1])
        }
        let added = try TrainingKernels.everyWay("norm, added") {
            norm.backward($0, before: before, accumulate: true, isFrozen: true)
        }
        let sums = zip(norm.vectors(before.doubles), expected).map { zip($0, $1).map(+) }
        let values = norm.vectors(TrainingKernels.floats(shape.x, added[0]).map(Double.init))
        for (vector, wanted) in zip(values, sums) {
            TrainingKernels.expectClose(
                vector.map { Float($0) }, wanted, relative: before.rounding, absolute: 2e-5, "dx +=")
        }
    }

    // Every 16,384 elements have sums of their own; for vectors of more than 65,536 there is no room for that.
    @Test("The weight's gradient over many chunks", arguments: [(900, 100), (60, 1100), (2, 70_000)])
    func weightGradient(rows: Int, size: Int) throws {
        let norm = NormCase(rows: rows, groups: 1, size: size, x: CK_BF16, y: CK_F32)
        let inverse = norm.forward(nil).inverse
        let gradient = try TrainingKernels.everyWay("weight") {
            norm.backward($0, before: nil, accumulate: false, isFrozen: false)
        }
        var expected = [Double](repeating: 0.5, count: size)
        let (x, dy) = (norm.x.doubles, norm.dy.doubles)
        for row in 0..<rows {
            for j in 0..<size {
                expected[j] += x[row * norm.stride + j] * dy[row * norm.stride + j] * Double(inverse[row])
            }
        }
        TrainingKernels.expectClose(
            TrainingKernels.floats(CK_F32, gradient[1]), expected, relative: 1e-5, absolute: 1e-4, "weight")
    }

    @Test("NaN stays NaN, and no rows are no work")
    func edges() {
        var bad = NormCase(rows: 2, groups: 1, size: 20, x: CK_F32, y: CK_F32)
        var values = bad.x.floats
        values[3] = .nan
        bad.x = Elements(CK_F32, values)
        let y = bad.vectors(TrainingKernels.floats(CK_F32, bad.forward(nil).y).map(Double.init))
        #expect(y[0].allSatisfy { $0.isNaN } && !y[1].contains { $0.isNaN })
        let gradients = bad.backward(nil, before: nil, accumulate: false, isFrozen: false)
        let dx = bad.vectors(TrainingKernels.floats(CK_F32, gradients[0]).map(Double.init))
        #expect(dx[0].allSatisfy { $0.isNaN } && !dx[1].contains { $0.isNaN })
        #expect(TrainingKernels.floats(CK_F32, gradients[1]).allSatisfy { $0.isNaN })

        let none = NormCase(rows: 0, groups: 1, size: 20, x: CK_F32, y: CK_F32)
        #expect(none.forward(nil).y.isEmpty)
        let kept = none.backward(nil, before: nil, accumulate: false, isFrozen: false)[1]
        #expect(TrainingKernels.floats(CK_F32, kept).allSatisfy { $0 == 0.5 })
    }
}
