// Made-up layers and inputs that hang together, as those of models do.

import Models
import Tensors
import TestSupport

/// A linear layer with inputs for calibration.
struct LayerInputs {
    let outputs: Int
    let inputs: Int
    let weights: [Float]
    /// [rows, inputs].
    let rows: [Float]

    /// - Parameter dead: an input that is always 0.
    init(outputs: Int, inputs: Int, rowCount: Int, seed: UInt64, dead: Int? = nil) {
        var random = SeededGenerator(seed: seed)
        (self.outputs, self.inputs) = (outputs, inputs)
        weights = (0..<outputs * inputs).map { _ in Float.random(in: -1...1, using: &random) }
        // Each input follows its neighbor, and some are much larger than others.
        let sizes = (0..<inputs).map { _ in Float.random(in: 0.05...1, using: &random) }
        var rows: [Float] = []
        for _ in 0..<rowCount {
            var value: Float = 0
            for input in 0..<inputs {
                value = 0.8 * value + Float.random(in: -1...1, using: &random)
                rows.append(input == dead ? 0 : value * sizes[input] * (input % 11 == 0 ? 8 : 1))
            }
        }
        self.rows = rows
    }

    func statistics(_ scratch: ProductScratch) throws -> InputStatistics {
        let statistics = try InputStatistics(size: inputs)
        statistics.add(rows, type: .f32, count: rows.count / inputs, stride: inputs, scratch)
        return statistics
    }

    /// The squared error of the output, in double precision and without any of the code under test.
    func outputError(_ values: [Float]) -> Double {
        let difference = zip(values, weights).map { Double($0) - Double($1) }
        var sum = 0.0
        for row in stride(from: 0, to: rows.count, by: inputs) {
            for output in 0..<outputs {
                var value = 0.0
                for input in 0..<inputs {
                    value += difference[output * inputs + input] * Double(rows[row + input])
                }
                sum += value * value
            }
        }
        return sum
    }
}
