// The optimizers against plain recurrences over 20 steps: to the bit in single precision, whose roundings are
// torch's, and in double, which shows that those roundings are all the difference.

import CKernels
import Glibc
import Testing

/// Parameters and the settings of a step.
struct Update {
    var parameters: [Float]
    var copy: Elements?
    var gradientFactor: Float = 1, learningRate: Float = 1e-3, weightDecay: Float = 0.1

    init(_ count: Int) { parameters = Array(Self.start[..<count]) }

    private static let start = TrainingKernels.numbers(33_001, seed: 1)

    mutating func step(_ gradients: [Float], _ body: (UnsafePointer<ck_update>) -> Void) {
        var bytes = copy?.bytes ?? []
        parameters.withUnsafeMutableBufferPointer { parameters in
            gradients.withUnsafeBufferPointer { gradients in
                bytes.withUnsafeMutableBytes { bytes in
                    var update = ck_update(
                        count: Int64(parameters.count), parameters: parameters.baseAddress,
                        gradients: gradients.baseAddress, gradient_factor: gradientFactor,
                        learning_rate: learningRate, weight_decay: weightDecay,
                        copy_type: copy?.type ?? CK_F32,
                        copy: copy == nil ? nil : bytes.baseAddress)
                    body(&update)
                }
            }
        }
        copy?.bytes = bytes
    }
}

/// AdamW of one element in single precision, each operation rounded and fused as torch's.
private struct SingleAdamW {
    let beta2: Float, near: Float, isNear: Bool, rest2: Float, kept: Float, epsilon: Float

    init(rate: Double, decay: Double, beta1: Double, beta2: Double, epsilon: Float) {
        isNear = 1 - beta1 < 0.5
        near = isNear ? Float(1 - beta1) : Float(1 - beta1) - 1
        self.beta2 = Float(beta2)
        rest2 = Float(1 - beta2)
        kept = Float(1 - rate * decay)
        self.epsilon = epsilon
    }

    func step(_ p: inout Float, _ m: inout Float, _ v: inout Float, _ g: Float, size: Float, root: Float) {
        m = (isNear ? m : g).addingProduct(near, g - m)
        v = (v * beta2).addingProduct(g * rest2, g)
        p = p * kept + m * size / (v.squareRoot() / root + epsilon)
    }
}

/// 20 steps' gradients; three chunks of elements, the last one short.
private let count = 33_001
private let allGradients = (1...20).map {
    TrainingKernels.numbers(count, in: -0.1...0.1, seed: UInt64(100 + $0))
}

/// Some places to look at, as a recurrence of all would take long.
private let places = Array(0..<40) + [255, 256, 16_383, 16_384] + Array(32_950..<33_001)

@Suite("Optimizers")
struct OptimizersTests {
    @Test(
        "AdamW follows its recurrence",
        arguments: [
            (beta1: 0.9, beta2: 0.999, rate: 1e-3, decay: 0.1),
            (beta1: 0.9, beta2: 0.95, rate: 3e-4, decay: 0),
            (beta1: 0.3, beta2: 0.99, rate: 0.01, decay: 0.01), (beta1: 0, beta2: 0.5, rate: 1e-5, decay: 1),
        ])
    func adamW(beta1: Double, beta2: Double, rate: Double, decay: Double) throws {
        let epsilon: Float = 1e-8
        let result = try TrainingKernels.everyWay("AdamW") { pool in
            var update = Update(count)
            (update.learningRate, update.weightDecay) = (Float(rate), Float(decay))
            var m = [Float](repeating: 0, count: count), v = m
            for (step, gradients) in allGradients.enumerated() {
                update.step(gradients) {
                    ck_adamw(pool, $0, Float(beta1), Float(beta2), epsilon, Int64(step + 1), &m, &v)
                }
            }
            return [update.parameters, m, v].map(TrainingKernels.bytes)
        }
        let values = result.map { TrainingKernels.floats(CK_F32, $0) }
        let single = SingleAdamW(rate: rate, decay: decay, beta1: beta1, beta2: beta2, epsilon: epsilon)
        let start = Update(count).parameters
        for place in places {
            var (p, m, v) = (start[place], Float(0), Float(0))
            var (dp, dm, dv) = (Double(p), 0.0, 0.0)
            for (step, gradients) in allGradients.enumerated() {
                let t = Double(step + 1), g = gradients[place], dg = Double(g)
                let size = rate / (1 - pow(beta1, t)), root = sqrt(1 - pow(beta2, t))
                single.step(&p, &m, &v, g, size: Float(-size), root: Float(root))
                dm = beta1 * dm + (1 - beta1) * dg
                dv = beta2 * dv + (1 - beta2) * dg * dg
                dp = dp * (1 - rate * decay) - size * dm / (sqrt(dv) / root + Double(epsilon))
            }
            #expect([values[0][place], values[1][place], values[2][place]] == [p, m, v], "[\(place)]")
            #expect(abs(Double(p) - dp) < 20 * 0x1p-23 * 2 && abs(Double(m) - dm) < 1e-7)
            #expect(abs(Double(v) - dv) <= dv * 1e-5)
        }
    }

    @Test("Copies are rounded parameters, and gradients are multiplied as they are read")
    func copiesAndFactor() throws {
        let types = [CK_F32, CK_BF16, CK_F16]
        for (type, isEight) in types.flatMap({ [($0, false), ($0, true)] }) {
            let count = 700
            let gradients = Array(allGradients[0][..<count]), halves = gradients.map { $0 * 0.5 }
            let result = try TrainingKernels.everyWay("copy") { pool in
                var update = Update(count), scaled = Update(count)
                update.copy = Elements(type, [Float](repeating: 7, count: count))
                update.gradientFactor = 0.5
                var states = EightBitStates(count), others = EightBitStates(count)
                var m = [Float](repeating: 0, count: count), v = m, n = m, w = m
                update.step(gradients) {
                    if isEight {
                        states.step(pool, $0, t: 1)
                    } else {
                        ck_adamw(pool, $0, 0.9, 0.99, 1e-8, 1, &m, &v)
                    }
                }
                scaled.step(halves) {
                    if isEight {
                        others.step(pool, $0, t: 1)
                    } else {
                        ck_adamw(pool, $0, 0.9, 0.99, 1e-8, 1, &n, &w)
                    }
                }
                return [TrainingKernels.bytes(update.parameters), update.copy?.bytes ?? []]
                    + [TrainingKernels.bytes(scaled.parameters)]
            }
            #expect(result[0] == result[2])
            #expect(result[1] == Elements(type, TrainingKernels.floats(CK_F32, result[0])).bytes)
        }
    }

    @Test(
        "SGD follows its recurrence", arguments: [(0, 0), (0, 0.1), (0.9, 0), (0.9, 0.1)] as [(Float, Float)])
    func sgd(momentum: Float, decay: Float) throws {
        let values = try TrainingKernels.everyWay("SGD") { pool -> [Float] in
            var update = Update(count)
            update.weightDecay = decay
            // What is there before the first step does not count.
            var velocity = [Float](repeating: 9, count: count)
            for (step, gradients) in allGradients.enumerated() {
                update.step(gradients) {
                    if momentum == 0 {
                        ck_sgd(pool, $0, momentum, Int64(step + 1), nil)
                    } else {
                        ck_sgd(pool, $0, momentum, Int64(step + 1), &velocity)
                    }
                }
            }
            return update.parameters
        }
        let start = Update(count)
        for place in places {
            var (p, velocity) = (start.parameters[place], Float(0))
            for (step, gradients) in allGradients.enumerated() {
                let g = gradients[place].addingProduct(p, decay)
                velocity = step == 0 ? g : velocity * momentum + g
                p = p.addingProduct(velocity, -start.learningRate)
            }
            #expect(values[place] == p, "[\(place)]")
        }
    }

    @Test("Lion follows its recurrence")
    func lion() throws {
        let (beta1, beta2): (Float, Float) = (0.9, 0.99)
        let values = try TrainingKernels.everyWay("Lion") { pool -> [Float] in
            var update = Update(count)
            var m = [Float](repeating: 0, count: count)
            for gradients in allGradients { update.step(gradients) { ck_lion(pool, $0, beta1, beta2, &m) } }
            return update.parameters
        }
        let start = Update(count)
        for place in places {
            var (p, m) = (start.parameters[place], Float(0))
            for gradients in allGradients {
                let g = gradients[place], direction = m * beta1 + g * Float(1 - 0.9)
                let sign: Float = direction > 0 ? 1 : direction < 0 ? -1 : 0
                p = p * Float(1 - 1e-3 * 0.1) - sign * start.learningRate
                m = m * beta2 + g * Float(1 - 0.99)
            }
            #expect(values[place] == p, "[\(place)]")
        }
        var still = Update(3)
        still.weightDecay = 0
        let before = still.parameters
        var m: [Float] = [0, 0, .nan]
        still.step([0, 1, 1]) { ck_lion(nil, $0, beta1, beta2, &m) }
        #expect(still.parameters[0] == before[0] && still.parameters[1] == before[1] - 1e-3)
        #expect(still.parameters[2].isNaN)
    }

    @Test("The moving average follows its recurrence")
    func movingAverage() throws {
        let start = TrainingKernels.numbers(count, seed: 9)
        let values = try TrainingKernels.everyWay("average") { pool -> [Float] in
            var average = start
            for parameters in allGradients {
                ck_moving_average(pool, Int64(count), 0.999, parameters, &average)
            }
            return average
        }
        for place in places {
            let expected = allGradients.reduce(start[place]) { $0 * 0.999 + $1[place] * Float(1 - 0.999) }
            #expect(values[place] == expected, "[\(place)]")
        }
    }

    @Test("NaN stays where it is in sight, and no elements are no work")
    func edges() {
        var update = Update(40)
        var gradient = [Float](repeating: 0.1, count: 40)
        gradient[17] = .nan
        var m = [Float](repeating: 0, count: 40), v = m
        update.step(gradient) { ck_adamw(nil, $0, 0.9, 0.999, 1e-8, 1, &m, &v) }
        #expect(update.parameters.indices.filter { update.parameters[$0].isNaN } == [17])
        #expect(m[17].isNaN && v[17].isNaN && !m[16].isNaN)
        var average: [Float] = [1]
        ck_moving_average(nil, 0, 0.9, gradient, &average)
        var none = Update(0)
        none.step([]) { ck_adamw(nil, $0, 0.9, 0.999, 1e-8, 1, &m, &v) }
        none.step([]) { ck_sgd(nil, $0, 0.9, 1, &m) }
        none.step([]) { ck_lion(nil, $0, 0.9, 0.99, &m) }
        #expect(average == [1])
    }
}
