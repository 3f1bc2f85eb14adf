// What the tests of training's kernels share: elements of a type, every way to run a kernel, and gradients by
// differences.

import CKernels
import TestSupport
import Testing

/// A matrix of a type as a kernel sees it, with the values that its elements really have.
struct Elements {
    let type: ck_type
    var bytes: [UInt8]

    /// - Parameter values: rounded to the type.
    init(_ type: ck_type, _ values: [Float]) {
        self.type = type
        bytes = [UInt8](repeating: 0, count: values.count * Int(ck_type_bytes(type)))
        ck_from_f32(type, values, &bytes, Int64(values.count))
    }

    var floats: [Float] {
        var values = [Float](repeating: .nan, count: bytes.count / Int(ck_type_bytes(type)))
        ck_to_f32(type, bytes, &values, Int64(values.count))
        return values
    }

    var doubles: [Double] { floats.map(Double.init) }

    /// What one rounding to the type may add, relative to a result.
    var rounding: Double { type == CK_BF16 ? 0x1p-8 : 0x1p-24 }
}

enum TrainingKernels {
    static let types = [CK_F32, CK_BF16]
    static let sizes = [1, 2, 15, 16, 17, 48, 63, 64, 65, 130, 300]

    static func numbers(_ count: Int, in range: ClosedRange<Float> = -2...2, seed: UInt64) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in Float.random(in: range, using: &generator) }
    }

    static func bytes(_ values: [Float]) -> [UInt8] { Elements(CK_F32, values).bytes }

    /// Calls `compute` with each instruction set and each kind of pool; expects the same bytes of all, and
    /// returns them.
    static func everyWay(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ compute: (OpaquePointer?) -> [[UInt8]]
    ) throws -> [[UInt8]] {
        let pools: [OpaquePointer?] = try [nil] + [1, 2, 3].map { try makePool($0) }
        defer { for pool in pools { ck_pool_destroy(pool) } }
        let first = InstructionSets.using(CK_ISA_PORTABLE) { compute(nil) }
        for isa in InstructionSets.available {
            for pool in pools {
                let other = InstructionSets.using(isa) { compute(pool) }
                #expect(
                    other == first,
                    "\(what) with \(InstructionSets.name(isa)), \(ck_pool_threads(pool)) threads",
                    sourceLocation: sourceLocation)
            }
        }
        return first
    }

    /// The same of one result of floats.
    static func everyWay(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        _ compute: (OpaquePointer?) -> [Float]
    ) throws -> [Float] {
        let result = try everyWay(what, sourceLocation: sourceLocation) { [bytes(compute($0))] }
        return floats(CK_F32, result[0])
    }

    static func floats(_ type: ck_type, _ bytes: [UInt8]) -> [Float] {
        var elements = Elements(type, [])
        elements.bytes = bytes
        return elements.floats
    }

    /// Expects |value - expected| <= relative * |expected| + absolute everywhere; reports the worst place.
    static func expectClose(
        _ values: [Float], _ expected: [Double], relative: Double, absolute: Double, _ what: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(values.count == expected.count, sourceLocation: sourceLocation)
        var worst: (index: Int, ratio: Double) = (0, 0)
        for (index, (value, wanted)) in zip(values, expected).enumerated() {
            let ratio = abs(Double(value) - wanted) / (abs(wanted) * relative + absolute)
            if !(ratio <= worst.ratio) { worst = (index, ratio) }
        }
        if !(worst.ratio <= 1) {
            Issue.record(
                "\(what): [\(worst.index)] is \(values[worst.index]), not \(expected[worst.index])",
                sourceLocation: sourceLocation)
        }
    }

    /// The gradient of a function by central differences.
    static func differences(at x: [Double], _ function: ([Double]) -> Double) -> [Double] {
        x.indices.map { index in
            let step = 1e-4
            var above = x, below = x
            above[index] += step
            below[index] -= step
            return (function(above) - function(below)) / (2 * step)
        }
    }
}

/// Rows of a matrix with a stride.
func rows<Element>(_ values: [Element], _ count: Int, stride: Int, size: Int) -> [[Element]] {
    (0..<count).map { Array(values[$0 * stride..<$0 * stride + size]) }
}
