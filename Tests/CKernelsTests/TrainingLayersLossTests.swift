// Cross-entropy against double precision and differences of it, over vocabularies of one and of several
// blocks.

import CKernels
import Glibc
import Testing

/// Rows of logits, with three elements behind each.
private struct Loss {
    var logits: [Float]
    let rows: Int, vocabulary: Int
    let targets: [Int32]
    var coefficients: [Float]?
    var stride: Int { vocabulary + 3 }

    init(rows: Int, vocabulary: Int, targets: [Int32], range: ClosedRange<Float> = -9...9) {
        (self.rows, self.vocabulary, self.targets) = (rows, vocabulary, targets)
        logits = TrainingKernels.numbers(rows * (vocabulary + 3), in: range, seed: 1)
    }

    struct Result {
        var logProbs: [Float], means: [Float], correct: [UInt8], gradients: [UInt8]
        var all: [[UInt8]] {
            [TrainingKernels.bytes(logProbs), TrainingKernels.bytes(means), correct, gradients]
        }
    }

    /// - Parameter gradients: their type, or nil for none.
    func run(_ pool: OpaquePointer?, gradients type: ck_type?) -> Result {
        var result = Result(
            logProbs: [Float](repeating: 7, count: rows), means: [Float](repeating: 7, count: rows),
            correct: [UInt8](repeating: 7, count: rows),
            gradients: Elements(type ?? CK_F32, [Float](repeating: 7, count: rows * stride)).bytes)
        let factors = coefficients ?? []
        factors.withUnsafeBufferPointer { factors in
            result.gradients.withUnsafeMutableBytes { gradients in
                ck_train_cross_entropy(
                    pool, logits, Int64(stride), Int64(rows), Int64(vocabulary), targets,
                    coefficients == nil ? nil : factors.baseAddress, &result.logProbs, &result.correct,
                    &result.means, type ?? CK_F32, type == nil ? nil : gradients.baseAddress, Int64(stride))
            }
        }
        return result
    }

    func row(_ index: Int) -> [Double] {
        logits[index * stride..<index * stride + vocabulary].map(Double.init)
    }

    static func logProb(_ x: [Double], _ target: Int) -> Double {
        let most = x.max() ?? 0
        return x[target] - most - log(x.reduce(0) { $0 + exp($1 - most) })
    }
}

@Suite("Training's cross-entropy")
struct TrainingLayersLossTests {
    @Test(
        "Log probabilities, gradients and means", arguments: [1, 2, 15, 16, 17, 100, 4095, 4096, 4097, 9000])
    func values(vocabulary: Int) throws {
        let last = Int32(vocabulary - 1)
        for type in TrainingKernels.types {
            var loss = Loss(rows: 5, vocabulary: vocabulary, targets: [0, last, -1, last / 2, -100])
            // A probability near 1, where the target is this one.
            loss.logits[0] = 30
            for coefficients in [nil, [-1.5, 0.25, 3, 0, 1] as [Float]] {
                loss.coefficients = coefficients
                let result = try TrainingKernels.everyWay("cross-entropy") {
                    loss.run($0, gradients: type).all
                }
                let logProbs = TrainingKernels.floats(CK_F32, result[0])
                let means = TrainingKernels.floats(CK_F32, result[1])
                let gradients = TrainingKernels.floats(type, result[3])
                for row in 0..<loss.rows {
                    let own = Array(gradients[row * loss.stride..<row * loss.stride + vocabulary])
                    #expect(gradients[row * loss.stride + vocabulary] == 7)
                    let target = Int(loss.targets[row])
                    if target < 0 {
                        #expect(logProbs[row] == 0 && means[row] == 0 && result[2][row] == 0)
                        #expect(own.allSatisfy { $0 == 0 })
                        continue
                    }
                    let x = loss.row(row), logProb = Loss.logProb(x, target)
                    // Each exp is good to 2^-22, relative, and the sum's error is smaller.
                    #expect(abs(Double(logProbs[row]) - logProb) <= abs(logProb) * 0x1p-23 + 4e-7)
                    #expect(abs(Double(means[row]) - x.reduce(0, +) / Double(vocabulary)) < 1e-5)
                    let factor = Double(coefficients?[row] ?? 1)
                    let expected = x.indices.map { column in
                        let p = exp(x[column] - x[target] + logProb)
                        return factor * (column == target ? -expm1(logProb) : -p)
                    }
                    // The sum knows 1 to its roundings only, and so does 1 - p.
                    var others = (own: own, expected: expected)
                    #expect(
                        abs(Double(own[target]) - expected[target]) <= abs(expected[target]) * 0x1p-8 + 1e-6)
                    (others.own[target], others.expected[target]) = (0, 0)
                    TrainingKernels.expectClose(
                        others.own, others.expected, relative: (type == CK_BF16 ? 0x1p-8 : 0) + 3e-6,
                        absolute: 1e-36, "row \(row)")
                }
                // Without gradients the rest is the same, to the bit.
                #expect(Array(loss.run(nil, gradients: nil).all[..<3]) == Array(result[..<3]))
            }
        }
    }

    @Test("The gradient agrees with differences of the log probability")
    func differences() {
        var loss = Loss(rows: 3, vocabulary: 37, targets: [5, 0, 36], range: -3...3)
        loss.coefficients = [1, -0.5, 2]
        let gradients = TrainingKernels.floats(CK_F32, loss.run(nil, gradients: CK_F32).gradients)
        for row in 0..<loss.rows {
            let factor = Double(loss.coefficients?[row] ?? 1), target = Int(loss.targets[row])
            let expected = TrainingKernels.differences(at: loss.row(row)) {
                factor * Loss.logProb($0, target)
            }
            TrainingKernels.expectClose(
                Array(gradients[row * loss.stride..<row * loss.stride + loss.vocabulary]), expected,
                relative: 1e-6, absolute: 1e-7, "row \(row)")
        }
    }

    @Test("Gradients may have the logits' memory, narrower ones too", arguments: [5, 1000, 9000])
    func inPlace(vocabulary: Int) {
        let loss = Loss(rows: 4, vocabulary: vocabulary, targets: [3, -1, 0, 4])
        for isa in InstructionSets.available {
            InstructionSets.using(isa) {
                for type in TrainingKernels.types {
                    let apart = loss.run(nil, gradients: type)
                    var memory = TrainingKernels.bytes(loss.logits)
                    var logProbs = [Float](repeating: 7, count: loss.rows)
                    let stride = loss.stride * (type == CK_BF16 ? 2 : 1)
                    memory.withUnsafeMutableBytes { memory in
                        ck_train_cross_entropy(
                            nil, memory.assumingMemoryBound(to: Float.self).baseAddress, Int64(loss.stride),
                            4,
                            Int64(vocabulary), loss.targets, nil, &logProbs, nil, nil, type,
                            memory.baseAddress,
                            Int64(stride))
                    }
                    #expect(logProbs == apart.logProbs)
                    let own = TrainingKernels.floats(type, memory)
                    let other = TrainingKernels.floats(type, apart.gradients)
                    for row in 0..<loss.rows {
                        #expect(
                            Array(own[row * stride..<row * stride + vocabulary])
                                == Array(other[row * loss.stride..<row * loss.stride + vocabulary]))
                    }
                }
            }
        }
    }

    @Test(
        "The target is right if it is the first of the largest",
        arguments: [
            (peaks: [7], target: 7, isRight: true), (peaks: [7], target: 8, isRight: false),
            (peaks: [7, 20], target: 7, isRight: true), (peaks: [7, 20], target: 20, isRight: false),
            (peaks: [4095, 4096], target: 4096, isRight: false), (peaks: [4096], target: 4096, isRight: true),
            (peaks: [5000, 8999], target: 8999, isRight: false), (peaks: [8999], target: 8999, isRight: true),
            (peaks: [0, 8999], target: 0, isRight: true),
        ])
    func correct(peaks: [Int], target: Int32, isRight: Bool) throws {
        var loss = Loss(rows: 1, vocabulary: 9000, targets: [target])
        for peak in peaks { loss.logits[peak] = 9.5 }
        let result = try TrainingKernels.everyWay("correct") { loss.run($0, gradients: nil).all }
        #expect(result[2] == [isRight ? 1 : 0])
    }

    @Test("Logits of -infinity have probability 0, though a whole block has no other")
    func masked() {
        var loss = Loss(rows: 1, vocabulary: 9000, targets: [8500])
        for index in 0..<5000 { loss.logits[index] = -.infinity }
        for index in 5000..<9000 { loss.logits[index] -= 2000 }
        let result = loss.run(nil, gradients: CK_F32)
        #expect(abs(Double(result.logProbs[0]) - Loss.logProb(loss.row(0), 8500)) < 1e-5)
        let gradients = TrainingKernels.floats(CK_F32, result.gradients)
        #expect(gradients[..<5000].allSatisfy { $0 == 0 } && gradients[5000] < 0)
        #expect(abs(gradients[..<9000].reduce(0, +)) < 1e-5)
    }

    @Test("NaN is seen, wherever it is", arguments: [0, 17, 4096, 8999])
    func nan(place: Int) {
        var loss = Loss(rows: 2, vocabulary: 9000, targets: [5, 5])
        loss.logits[place] = .nan
        let result = loss.run(nil, gradients: CK_F32)
        #expect(result.logProbs[0].isNaN && !result.logProbs[1].isNaN && result.means[0].isNaN)
        let gradients = TrainingKernels.floats(CK_F32, result.gradients)
        #expect(
            gradients[..<9000].allSatisfy { $0.isNaN } && !gradients[loss.stride...].contains { $0.isNaN })
    }

    @Test("No rows are no work")
    func none() {
        let loss = Loss(rows: 0, vocabulary: 10, targets: [])
        #expect(loss.run(nil, gradients: CK_F32).logProbs.isEmpty)
    }
}
