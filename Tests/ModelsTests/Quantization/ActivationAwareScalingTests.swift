// AWQ's searches: they never make things worse, and find what is there to be found.

import Models
import Tensors
import TestSupport
import Testing

@Suite("Activation-aware scaling")
struct ActivationAwareScalingTests {
    private let grid = IntegerGrid(rule: .asymmetric, bits: 4, groupSize: 32)

    private func search(
        _ layer: LayerInputs, _ scratch: ProductScratch
    ) throws -> ActivationAwareScaling.Result {
        let statistics = try layer.statistics(scratch)
        return try layer.weights.withUnsafeBufferPointer { weights in
            try ActivationAwareScaling(grid: grid).search(
                [(try #require(weights.baseAddress), layer.outputs)], statistics, scratch)
        }
    }

    @Test("Factors are the magnitudes' power over the geometric mean of the extremes")
    func factors() {
        #expect(ActivationAwareScaling.smooth([1, 4, 16], ratio: 0.5) == [0.5, 1, 2])
        #expect(ActivationAwareScaling.smooth([1, 4, 16], ratio: 0) == [1, 1, 1])
        let withDead = ActivationAwareScaling.smooth([0, 1, 4], ratio: 0.5)
        #expect(withDead.allSatisfy { $0 > 0 && $0.isFinite })
    }

    @Test("The ratio that is found is the best of all, and better than none", arguments: 0..<6)
    func bestRatio(seed: UInt64) throws {
        let layer = LayerInputs(outputs: 12, inputs: 128, rowCount: 160, seed: seed)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let result = try search(layer, scratch)
        #expect(result.losses.count == 20)
        #expect(result.loss == result.losses.min())
        #expect(result.loss < 0.9 * result.losses[0])
        var values = layer.weights
        ActivationAwareScaling.scale(layer.weights, outputs: 12, by: result.smooth, into: &values)
        var made = RoundToNearest.quantize(
            values, outputs: 12, inputs: 128, grid: grid, pool: scratch.pool
        ).dequantized()
        for index in made.indices { made[index] /= result.smooth[index % 128] }
        let loss = layer.outputError(made) / Double(160 * 12)
        #expect(abs(loss - result.loss) < 1e-3 * loss, "the loss is that of the layer's outputs")
    }

    @Test("Clipping never makes a group's own error larger", arguments: 0..<6)
    func clipping(seed: UInt64) throws {
        let layer = LayerInputs(outputs: 8, inputs: 32, rowCount: 100, seed: seed)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let scaling = ActivationAwareScaling(grid: grid)
        let ones = [Float](repeating: 1, count: 32)
        let bounds = try #require(
            scaling.bounds(
                layer.weights, outputs: 8, smooth: ones, layer.statistics(scratch), scratch))
        #expect(bounds.count == 8)
        var values = layer.weights
        scaling.clip(&values, outputs: 8, inputs: 32, to: bounds)
        func error(_ values: [Float]) -> Double {
            layer.outputError(
                RoundToNearest.quantize(values, outputs: 8, inputs: 32, grid: grid, pool: scratch.pool)
                    .dequantized())
        }
        #expect(error(values) <= error(layer.weights) * 1.0001)
        for (row, bound) in bounds.enumerated() {
            let largest = layer.weights[row * 32..<row * 32 + 32].map(abs).max() ?? 0
            #expect(bound <= largest && bound > 0.5 * largest)
        }
    }
}
