// GPTQ against rounding to nearest, and what must hold of it whatever the layer.

import Models
import Tensors
import TestSupport
import Testing

@Suite("GPTQ")
struct GPTQTests {
    static let grids = [
        IntegerGrid(rule: .symmetric, bits: 4, groupSize: 32),
        IntegerGrid(rule: .asymmetric, bits: 4, groupSize: 32),
        IntegerGrid(rule: .symmetric, bits: 8, groupSize: nil),
        IntegerGrid(rule: .asymmetric, bits: 4, groupSize: 48),
        IntegerGrid(rule: .symmetric, bits: 4, groupSize: nil, scaleType: .f16),
    ]

    private func quantize(
        _ layer: LayerInputs, _ settings: GPTQ, _ scratch: ProductScratch
    ) throws -> QuantizedMatrix {
        let inverse = try InverseHessian(layer.statistics(scratch), settings, module: "layer", scratch)
        return try settings.quantize(layer.weights, outputs: layer.outputs, inverse, scratch)
    }

    @Test(
        "On inputs that hang together the output error is well below rounding's",
        arguments: grids, [(false, false), (true, false), (false, true), (true, true)])
    func betterThanRounding(grid: IntegerGrid, variant: (actOrder: Bool, isEager: Bool)) throws {
        let layer = LayerInputs(outputs: 24, inputs: 288, rowCount: 400, seed: 3)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 2))
        let settings = GPTQ(grid: grid, actOrder: variant.actOrder, isEager: variant.isEager)
        let matrix = try quantize(layer, settings, scratch)
        let rounded = RoundToNearest.quantize(
            layer.weights, outputs: layer.outputs, inputs: layer.inputs, grid: grid, pool: scratch.pool)
        let (ours, plain) = (
            layer.outputError(matrix.dequantized()), layer.outputError(rounded.dequantized())
        )
        #expect(ours < 0.6 * plain)
        let difference = zip(matrix.dequantized(), layer.weights).map { $0 - $1 }
        let told = try layer.statistics(scratch).squaredOutput(of: difference, rows: layer.outputs, scratch)
        #expect(abs(told - ours) < 1e-3 * ours, "the statistics tell the same error")
    }

    @Test("Where inputs have nothing to do with each other, GPTQ is rounding to nearest", arguments: grids)
    func identity(grid: IntegerGrid) throws {
        let inputs = 192
        let layer = LayerInputs(outputs: 10, inputs: inputs, rowCount: 1, seed: 5)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let statistics = try InputStatistics(size: inputs)
        let rows = (0..<inputs * inputs).map { Float($0 / inputs == $0 % inputs ? 1 : 0) }
        statistics.add(rows, type: .f32, count: inputs, stride: inputs, scratch)
        let settings = GPTQ(grid: grid)
        let inverse = try InverseHessian(statistics, settings, module: "layer", scratch)
        let matrix = try settings.quantize(layer.weights, outputs: layer.outputs, inverse, scratch)
        let rounded = RoundToNearest.quantize(
            layer.weights, outputs: layer.outputs, inputs: inputs, grid: grid, pool: scratch.pool)
        #expect(matrix.scales == rounded.scales)
        // Values exactly half way between two codes may go to either.
        let differing = zip(matrix.codes, rounded.codes).count { $0 != $1 }
        #expect(differing <= layer.outputs * matrix.groups / 4)
    }

    @Test("Inputs that are always 0 get weights of 0", arguments: [true, false])
    func deadInput(actOrder: Bool) throws {
        let layer = LayerInputs(outputs: 6, inputs: 64, rowCount: 100, seed: 8, dead: 17)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        var grid = Self.grids[0]
        grid.groupSize = 16
        let matrix = try quantize(layer, GPTQ(grid: grid, actOrder: actOrder), scratch)
        let values = matrix.dequantized()
        for output in 0..<layer.outputs { #expect(values[output * 64 + 17] == 0) }
    }

    @Test("With act order every group has its number of inputs, the largest first")
    func actOrder() throws {
        let layer = LayerInputs(outputs: 4, inputs: 96, rowCount: 200, seed: 9)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let settings = GPTQ(grid: Self.grids[0], actOrder: true)
        let index = try #require(try quantize(layer, settings, scratch).groupIndex)
        #expect(index.sorted() == (0..<96).map { Int32($0 / 32) })
        let squares = (0..<96).map { input in
            stride(from: input, to: layer.rows.count, by: 96).reduce(0.0) {
                $0 + Double(layer.rows[$1]) * Double(layer.rows[$1])
            }
        }
        let largest = squares.indices.max { squares[$0] < squares[$1] } ?? 0
        #expect(index[largest] == 0)
    }

    @Test("Fewer rows than inputs, and rows that repeat, are damped enough to be inverted")
    func poorCalibration() throws {
        let one = LayerInputs(outputs: 5, inputs: 160, rowCount: 3, seed: 4)
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let statistics = try InputStatistics(size: 160)
        for _ in 0..<20 { statistics.add(one.rows, type: .f32, count: 3, stride: 160, scratch) }
        let settings = GPTQ(grid: Self.grids[0], dampPercent: 1e-9)
        let inverse = try InverseHessian(statistics, settings, module: "layer", scratch)
        let matrix = try settings.quantize(one.weights, outputs: 5, inverse, scratch)
        #expect(inverse.dampPercent >= 1e-9)
        #expect(matrix.dequantized().allSatisfy { $0.isFinite && abs($0) < 100 })
    }

    @Test("Inputs that are not finite are refused with the layer's name")
    func notFinite() throws {
        let scratch = try ProductScratch(pool: ThreadPool(threads: 1))
        let statistics = try InputStatistics(size: 32)
        statistics.add(
            [Float](repeating: .infinity, count: 64), type: .f32, count: 2, stride: 32, scratch)
        let error = #expect(throws: ModelError.self) {
            try InverseHessian(statistics, GPTQ(grid: Self.grids[0]), module: "layers.7.mlp.up_proj", scratch)
        }
        #expect(error?.file == "layers.7.mlp.up_proj")
    }

    @Test("Threads change no bit")
    func threads() throws {
        let layer = LayerInputs(outputs: 40, inputs: 300, rowCount: 320, seed: 11)
        let settings = GPTQ(grid: Self.grids[1], actOrder: true)
        let made = try [1, 2, 3].map { threads in
            try quantize(layer, settings, ProductScratch(pool: ThreadPool(threads: threads)))
        }
        #expect(made[0] == made[1] && made[0] == made[2])
    }
}
