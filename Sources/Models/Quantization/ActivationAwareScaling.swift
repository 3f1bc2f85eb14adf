// AWQ: weights of inputs that are large are made larger before they are rounded, and the inputs smaller.

import CKernels
import Glibc
package import Tensors

/// The searches of AWQ (Lin et al., arXiv:2306.00978), with AutoAWQ's grids of ratios and bounds.
package struct ActivationAwareScaling: Sendable, Hashable {
    package var grid: IntegerGrid
    /// Ratios that are tried: 0, 1 / ratios, and so on below 1.
    package var ratios = 20
    /// Bounds that are tried: max|w| (1 - step / boundSteps) down to half of it.
    package var boundSteps = 20

    package init(grid: IntegerGrid) { self.grid = grid }

    /// What a search found.
    package struct Result: Sendable {
        package var ratio: Double
        /// By what each input's weights are to be multiplied and the input divided, [inputs].
        package var smooth: [Float]
        /// The mean squared output error then.
        package var loss: Double
        /// The losses of all ratios.
        package var losses: [Double]
    }

    /// mean|x|^ratio over the geometric mean of its extremes.
    package static func smooth(_ magnitudes: [Float], ratio: Double) -> [Float] {
        let powers = magnitudes.map { max(pow(Double($0), ratio), 1e-4) }
        let middle = ((powers.max() ?? 1) * (powers.min() ?? 1)).squareRoot()
        return powers.map { power in
            let value = Float(power / middle)
            return value.isFinite && value > 0 ? value : 1
        }
    }

    /// The ratio whose factors lead to the least output error of layers that share their inputs.
    /// - Parameter weights: of each layer, [outputs, inputs].
    package func search(
        _ weights: [(values: UnsafePointer<Float>, outputs: Int)], _ statistics: InputStatistics,
        isRounded: Bool = false, _ scratch: ProductScratch
    ) throws(OutOfMemory) -> Result {
        let inputs = statistics.size
        let rows = weights.map(\.outputs).max() ?? 0
        let total = weights.reduce(0) { $0 + $1.outputs }
        let work = try MemoryRegion(byteCount: rows * inputs * 4, purpose: "scaled weights")
        defer { withExtendedLifetime(work) {} }
        let magnitudes = statistics.meanMagnitudes
        var best: Result?
        var losses: [Double] = []
        for step in 0..<ratios {
            let ratio = Double(step) / Double(ratios)
            let smooth = Self.smooth(magnitudes, ratio: ratio)
            var error = 0.0
            for weight in weights {
                Self.scale(weight.values, outputs: weight.outputs, by: smooth, into: work.floats)
                let matrix = RoundToNearest.quantize(
                    work.floats, outputs: weight.outputs, inputs: inputs, grid: grid, pool: scratch.pool)
                Self.error(of: matrix, smooth, against: weight.values, into: work.floats)
                error += try statistics.squaredOutput(
                    of: work.floats, rows: weight.outputs, isRounded: isRounded, scratch)
            }
            let loss = error / Double(max(statistics.count, 1) * max(total, 1))
            losses.append(loss)
            if loss < best?.loss ?? .infinity {
                best = Result(ratio: ratio, smooth: smooth, loss: loss, losses: [])
            }
        }
        let ones = [Float](repeating: 1, count: inputs)
        var result = best ?? Result(ratio: 0, smooth: ones, loss: losses.first ?? 0, losses: [])
        result.losses = losses
        return result
    }

    /// w times the factors of its columns.
    package static func scale(
        _ w: UnsafePointer<Float>, outputs: Int, by smooth: [Float],
        into target: UnsafeMutablePointer<Float>
    ) {
        smooth.withUnsafeBufferPointer { smooth in
            for row in 0..<outputs {
                let start = row * smooth.count
                for column in 0..<smooth.count { target[start + column] = w[start + column] * smooth[column] }
            }
        }
    }

    /// What the codes stand for, without the factors, less the weights.
    private static func error(
        of matrix: QuantizedMatrix, _ smooth: [Float], against w: UnsafePointer<Float>,
        into target: UnsafeMutablePointer<Float>
    ) {
        matrix.copyFloats(into: target)
        smooth.withUnsafeBufferPointer { smooth in
            for row in 0..<matrix.outputs {
                let start = row * smooth.count
                for column in 0..<smooth.count {
                    target[start + column] = target[start + column] / smooth[column] - w[start + column]
                }
            }
        }
    }

    /// The bound of each output's groups, [outputs, groups], whose codes lead to the least error of the
    /// group's part of the output.
    /// - Parameters:
    ///   - w: [outputs, inputs] with the factors in them.
    ///   - smooth: the factors, by which the inputs of the statistics are still to be divided.
    /// - Returns: nil where the groups are too uneven or too long for the search.
    package func bounds(
        _ w: UnsafePointer<Float>, outputs: Int, smooth: [Float], _ statistics: InputStatistics,
        _ scratch: ProductScratch
    ) -> [Float]? {
        let inputs = statistics.size
        let group = grid.group(inputs: inputs)
        guard inputs % group == 0, group <= Int(CK_GRID_MAX_SEARCH_GROUP) else { return nil }
        let products = statistics.products(scratch.pool)
        var hessian: [Float] = []
        hessian.reserveCapacity(inputs * group)
        for start in stride(from: 0, to: inputs, by: group) {
            for row in start..<start + group {
                for column in start..<start + group {
                    hessian.append(products[row * inputs + column] / (smooth[row] * smooth[column]))
                }
            }
        }
        var bounds = [Float](repeating: 0, count: outputs * (inputs / group))
        ck_grid_search_bounds(
            scratch.pool.handle, grid.kernelGrid(inputs: inputs), w, Int64(outputs), Int64(inputs), hessian,
            Int32(boundSteps / 2), Int32(boundSteps), &bounds)
        return bounds
    }

    /// Brings all weights within the bounds of their groups.
    package func clip(_ w: UnsafeMutablePointer<Float>, outputs: Int, inputs: Int, to bounds: [Float]) {
        let group = grid.group(inputs: inputs)
        let groups = inputs / group
        for row in 0..<outputs {
            for column in 0..<inputs {
                let bound = bounds[row * groups + column / group]
                let index = row * inputs + column
                w[index] = min(max(w[index], -bound), bound)
            }
        }
    }
}

extension QuantizedMatrix {
    /// Writes what the codes stand for, [outputs, inputs].
    func copyFloats(into target: UnsafeMutablePointer<Float>) {
        let groupOf = (0..<inputs).map(group(ofInput:))
        let groups = groups
        let middle = Float(Self.middle(bits: bits))
        codes.withUnsafeBufferPointer { codes in
            for output in 0..<outputs {
                for input in 0..<inputs {
                    let level = output * groups + groupOf[input]
                    let zero = zeros.map { zeros in Float(zeros[level]) } ?? middle
                    let index = output * inputs + input
                    target[index] = (Float(codes[index]) - zero) * scales[level]
                }
            }
        }
    }
}
