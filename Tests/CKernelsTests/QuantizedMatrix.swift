// Quantizing and multiplying integers in plain Swift, as linear.h says: what kernels must give bit by bit.

/// Rounds as the formats do, in another way than the kernels.
enum Rounding {
    /// To nearest, ties to even, by the two neighbors in bf16.
    static func bf16(_ value: Float) -> Float {
        guard value.isFinite else { return value }
        let low = Float(bitPattern: value.bitPattern & 0xffff_0000)
        let high = Float(bitPattern: (value.bitPattern & 0xffff_0000) &+ 0x1_0000)
        if !high.isFinite {
            // The next number would be 2^128.
            return (Double(value) - Double(low)).magnitude < 0x1p119 ? low : high
        }
        let below = (value - low).magnitude, above = (high - value).magnitude
        if below == above { return low.bitPattern & 0x1_0000 == 0 ? low : high }
        return below < above ? low : high
    }
}

/// Signed codes with a scale for each row and group of columns.
struct QuantizedMatrix {
    let rows, columns, group: Int
    var codes: [Int32] = []
    var scales: [Float] = []
    private var groups: Int { (columns + group - 1) / group }

    init(_ matrix: Matrix, bits: Int, group: Int) {
        rows = matrix.rows
        columns = matrix.columns
        self.group = group
        for row in 0..<rows {
            let values = Array(matrix.row(row))
            for start in stride(from: 0, to: columns, by: group) {
                quantize(values[start..<min(start + group, columns)], bits: bits)
            }
        }
    }

    init(rows: Int, columns: Int, group: Int, codes: [Int32], scales: [Float]) {
        (self.rows, self.columns, self.group) = (rows, columns, group)
        (self.codes, self.scales) = (codes, scales)
    }

    private mutating func quantize(_ values: ArraySlice<Float>, bits: Int) {
        let largest = values.map(\.magnitude).max() ?? 0
        if bits == 8 {
            scales.append(largest / 127)
            codes += values.map { Int32(($0 * (127 / largest)).rounded(.toNearestOrEven)) }
        } else {
            let extreme = values.contains(-largest) ? -largest : largest
            scales.append(extreme / -8)
            codes += values.map { min(7, Int32(($0 * (-8 / extreme)).rounded(.toNearestOrEven))) }
        }
    }

    func scale(_ row: Int, _ column: Int) -> Float { scales[row * groups + column / group] }

    func row(_ index: Int) -> [Float] {
        (0..<columns).map { scale(index, $0) * Float(codes[index * columns + $0]) }
    }

    /// By group an exact sum of integers; then a rounding of the scales' product and one of the growing sum.
    func product(_ x: Matrix, bias: [Float]?, addingTo y: Matrix?) -> [Float] {
        let a = QuantizedMatrix(x, bits: 8, group: group)
        var result: [Float] = []
        for i in 0..<x.rows {
            for j in 0..<rows {
                var sum: Float = 0
                for start in stride(from: 0, to: columns, by: group) {
                    var whole: Int32 = 0
                    for k in start..<min(start + group, columns) {
                        whole += a.codes[i * columns + k] * codes[j * columns + k]
                    }
                    sum.addProduct(Float(whole), scale(j, start) * a.scale(i, start))
                }
                if let bias { sum += bias[j] }
                result.append(y.map { $0.values[i * rows + j] + sum } ?? sum)
            }
        }
        return result
    }
}
