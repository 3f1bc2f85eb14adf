// Training's row-wise layers against double precision and, backward, against differences of it; the same bits
// from every instruction set and thread count.

import CKernels
import Glibc
import Testing

@Suite("Training's row-wise layers")
struct TrainingLayersTests {
    @Test("Rotary embedding turns the halves of each head, and back", arguments: [2, 6, 32, 34, 64, 128])
    func rope(headDim: Int) throws {
        let (count, heads, half, positions) = (5, 3, headDim / 2, [4, 0, 9, 9, 2] as [Int32])
        let stride = heads * headDim + 2
        let angles = TrainingKernels.numbers(10 * half, in: -3...3, seed: 4)
        let (cosines, sines) = (angles.map { cosf($0) }, angles.map { sinf($0) })
        for type in TrainingKernels.types {
            for inverse in [false, true] {
                let x = Elements(type, TrainingKernels.numbers(count * stride, seed: 3))
                let y = try TrainingKernels.everyWay("rope") { pool in
                    var y = x.bytes
                    ck_train_rope(
                        pool, type, &y, Int64(stride), Int64(count), Int64(heads), Int64(headDim), cosines,
                        sines,
                        positions, inverse)
                    return [y]
                }
                let before = x.doubles
                let expected = before.indices.map { at in
                    let (row, column) = (at / stride, at % stride)
                    // Behind a row nothing changes.
                    if column >= heads * headDim { return before[at] }
                    let j = column % headDim, angle = Int(positions[row]) * half + j % half
                    let sine = Double(sines[angle]) * (inverse ? -1 : 1)
                    let other = j < half ? -before[at + half] : before[at - half]
                    return before[at] * Double(cosines[angle]) + other * sine
                }
                TrainingKernels.expectClose(
                    TrainingKernels.floats(type, y[0]), expected, relative: x.rounding, absolute: 1e-6, "rope"
                )
                // The way back of a rotation is the opposite one: there and back is where it was.
                var back = y[0]
                ck_train_rope(
                    nil, type, &back, Int64(stride), Int64(count), Int64(heads), Int64(headDim), cosines,
                    sines,
                    positions, !inverse)
                TrainingKernels.expectClose(
                    TrainingKernels.floats(type, back), before, relative: 0, absolute: 8 * x.rounding, "back")
            }
        }
    }

    private func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

    @Test("SwiGLU", arguments: TrainingKernels.sizes)
    func swiglu(size: Int) throws {
        let (count, stride, yStride) = (3, size + 1, size + 2)
        for type in TrainingKernels.types {
            var values = TrainingKernels.numbers(count * stride, in: -12...12, seed: 6)
            values[0] = -200
            let gate = Elements(type, values),
                up = Elements(type, TrainingKernels.numbers(count * stride, seed: 7))
            let y = try TrainingKernels.everyWay("swiglu") { pool in
                var y = Elements(type, [Float](repeating: 7, count: count * yStride)).bytes
                ck_train_swiglu(
                    pool, type, gate.bytes, up.bytes, Int64(stride), Int64(count), Int64(size), &y,
                    Int64(yStride))
                return [y]
            }
            let result = TrainingKernels.floats(type, y[0])
            let expected = zip(gate.doubles, up.doubles).map { silu($0) * $1 }
            let wanted = rows(expected, count, stride: stride, size: size)
            for (row, values) in rows(result, count, stride: yStride, size: size).enumerated() {
                TrainingKernels.expectClose(
                    values, wanted[row], relative: gate.rounding + 0x1p-20, absolute: 1e-37, "row \(row)")
                #expect(result[row * yStride + size] == 7 && result[row * yStride + size + 1] == 7)
            }
        }
    }

    @Test("SwiGLU's way back agrees with differences of the way there", arguments: TrainingKernels.sizes)
    func swigluBackward(size: Int) throws {
        let (count, stride, dyStride) = (3, size + 1, size + 2)
        for type in TrainingKernels.types {
            let gate = Elements(type, TrainingKernels.numbers(count * stride, in: -12...12, seed: 6))
            let up = Elements(type, TrainingKernels.numbers(count * stride, seed: 7))
            let dy = Elements(type, TrainingKernels.numbers(count * dyStride, seed: 8))
            let result = try TrainingKernels.everyWay("swiglu, backward") { pool in
                var (gate, up) = (gate.bytes, up.bytes)
                ck_train_swiglu_backward(
                    pool, type, &gate, &up, Int64(stride), Int64(count), Int64(size), dy.bytes,
                    Int64(dyStride))
                return [gate, up]
            }
            var (dGate, dUp) = (gate.doubles, up.doubles)
            let gradients = dy.doubles
            for row in 0..<count {
                for column in 0..<size {
                    let at = row * stride + column, d = gradients[row * dyStride + column]
                    let inputs = [dGate[at], dUp[at]]
                    let gradient = TrainingKernels.differences(at: inputs) { d * silu($0[0]) * $0[1] }
                    (dGate[at], dUp[at]) = (gradient[0], gradient[1])
                }
            }
            let relative = gate.rounding + 1e-5
            TrainingKernels.expectClose(
                TrainingKernels.floats(type, result[0]), dGate, relative: relative, absolute: 2e-6, "gate")
            TrainingKernels.expectClose(
                TrainingKernels.floats(type, result[1]), dUp, relative: relative, absolute: 2e-6, "up")
        }
    }

    @Test("NaN goes through, and far gates are 0 or as they are")
    func swigluEdges() {
        var (gate, up): ([Float], [Float]) = ([.nan, 1, -1e30, 1e30, -100], [1, .nan, 1, 1, 1])
        var y = [Float](repeating: 7, count: 5)
        ck_train_swiglu(nil, CK_F32, gate, up, 5, 1, 5, &y, 5)
        #expect(y[0].isNaN && y[1].isNaN && y[2] == 0 && y[3] == 1e30 && abs(y[4]) < 1e-37)
        ck_train_swiglu_backward(nil, CK_F32, &gate, &up, 5, 1, 5, [1, 1, 1, 1, .nan] as [Float], 5)
        #expect(gate[0].isNaN && gate[1].isNaN && gate[2] == 0 && gate[3] == 1 && gate[4].isNaN)
        #expect(up[0].isNaN && up[2] == 0 && up[3] == 1e30 && up[4].isNaN)
        ck_train_swiglu(nil, CK_F32, gate, up, 5, 0, 5, &y, 5)
        ck_train_swiglu(nil, CK_F32, gate, up, 5, 1, 0, &y, 5)
    }

    @Test(
        "Rows of a table are taken by number, and gradients added to them in order",
        arguments: TrainingKernels.sizes)
    func gatherAndScatter(size: Int) throws {
        let (entries, stride, other) = (7, size + 1, size + 2)
        let ids: [Int32] = [3, 0, 6, 3, 3, 1, 0]
        for (from, to) in [(CK_F32, CK_F32), (CK_F32, CK_BF16), (CK_BF16, CK_F32), (CK_F16, CK_BF16)] {
            let table = Elements(from, TrainingKernels.numbers(entries * stride, seed: 9))
            let taken = try TrainingKernels.everyWay("gather") { pool in
                var y = Elements(to, [Float](repeating: 7, count: ids.count * other)).bytes
                ck_train_gather(
                    pool, from, table.bytes, Int64(stride), ids, Int64(ids.count), Int64(size), to, &y,
                    Int64(other))
                return [y]
            }
            let values = TrainingKernels.floats(to, taken[0])
            for (row, id) in ids.enumerated() {
                let wanted = Elements(to, Array(table.floats[Int(id) * stride..<Int(id) * stride + size]))
                    .floats
                #expect(Array(values[row * other..<row * other + size]) == wanted)
                #expect(values[row * other + size] == 7)
            }
        }
        for type in TrainingKernels.types {
            let dy = Elements(type, TrainingKernels.numbers(ids.count * other, seed: 10))
            let before = TrainingKernels.numbers(entries * stride, seed: 11)
            let sums = try TrainingKernels.everyWay("scatter") { pool -> [Float] in
                var sums = before
                ck_train_scatter_add(
                    pool, ids, Int64(ids.count), Int64(size), type, dy.bytes, Int64(other), &sums,
                    Int64(stride))
                return sums
            }
            var expected = before
            let gradients = dy.floats
            for (row, id) in ids.enumerated() {
                for j in 0..<size { expected[Int(id) * stride + j] += gradients[row * other + j] }
            }
            #expect(sums == expected)
        }
    }

    @Test("Scaling by a number, by rows and by columns", arguments: [1, 15, 16, 17, 65, 130])
    func scale(size: Int) throws {
        let (count, stride, yStride) = (4, size + 1, size + 3)
        let byRow = TrainingKernels.numbers(count, seed: 12),
            byColumn = TrainingKernels.numbers(size, seed: 13)
        let choices = (0..<32).map { bit in (0..<5).map { bit >> $0 & 1 == 1 } }
        for choice in choices {
            let xType = choice[0] ? CK_BF16 : CK_F32, yType = choice[1] ? CK_BF16 : CK_F32
            let x = Elements(xType, TrainingKernels.numbers(count * stride, seed: 14))
            let before = Elements(yType, TrainingKernels.numbers(count * yStride, seed: 15))
            let y = try TrainingKernels.everyWay("scale \(choice)") { pool in
                var y = before.bytes
                byRow.withUnsafeBufferPointer { byRow in
                    byColumn.withUnsafeBufferPointer { byColumn in
                        ck_train_scale(
                            pool, xType, x.bytes, Int64(stride), Int64(count), Int64(size), -1.5,
                            choice[2] ? byRow.baseAddress : nil, choice[3] ? byColumn.baseAddress : nil,
                            yType, &y,
                            Int64(yStride), choice[4])
                    }
                }
                return [y]
            }
            let values = x.doubles, own = before.doubles
            var expected = own
            for row in 0..<count {
                for column in 0..<size {
                    var value = values[row * stride + column] * -1.5
                    if choice[2] { value *= Double(byRow[row]) }
                    if choice[3] { value *= Double(byColumn[column]) }
                    expected[row * yStride + column] =
                        value + (choice[4] ? own[row * yStride + column] : 0)
                }
            }
            TrainingKernels.expectClose(
                TrainingKernels.floats(yType, y[0]), expected, relative: before.rounding, absolute: 3e-6,
                "scale")
        }
    }

    // Of 16,384 elements each chunk has a part of the sums; 2,048 columns are summed at a time.
    @Test(
        "Sums of columns, and of products",
        arguments: [(0, 5), (3, 1), (5, 17), (1500, 33), (500, 130), (20, 2100), (7, 5000)])
    func columnSums(count: Int, columns: Int) throws {
        let (stride, yStride) = (columns + 1, columns + 2)
        for type in TrainingKernels.types {
            let x = Elements(type, TrainingKernels.numbers(count * stride, seed: 16))
            let y = Elements(type, TrainingKernels.numbers(count * yStride, seed: 17))
            for hasY in [false, true] {
                let sums = try TrainingKernels.everyWay("column sums") { pool -> [Float] in
                    var sums = [Float](repeating: 0.25, count: columns)
                    y.bytes.withUnsafeBytes { y in
                        ck_train_column_sums(
                            pool, type, x.bytes, Int64(stride), hasY ? y.baseAddress : nil, Int64(yStride),
                            Int64(count), Int64(columns), &sums)
                    }
                    return sums
                }
                let (xs, ys) = (x.doubles, y.doubles)
                let expected = (0..<columns).map { column in
                    (0..<count).reduce(0.25) {
                        $0 + xs[$1 * stride + column] * (hasY ? ys[$1 * yStride + column] : 1)
                    }
                }
                TrainingKernels.expectClose(sums, expected, relative: 1e-5, absolute: 1e-4, "sums")
            }
        }
    }

    @Test("Sums of squares in double", arguments: [0, 1, 15, 16, 17, 1000, 16_384, 16_385, 50_001])
    func sumOfSquares(count: Int) throws {
        for type in TrainingKernels.types {
            let x = Elements(type, TrainingKernels.numbers(count, seed: 18))
            let sum = try TrainingKernels.everyWay("sum of squares") { pool in
                let sum = ck_train_sum_of_squares(pool, type, x.bytes, Int64(count))
                return [withUnsafeBytes(of: sum.bitPattern) { Array($0) }]
            }
            let value = sum[0].withUnsafeBytes { $0.loadUnaligned(as: Double.self) }
            let expected = x.doubles.reduce(0) { $0 + $1 * $1 }
            #expect(abs(value - expected) <= expected * 1e-13)
            for bad in [Float.nan, .infinity] where count > 0 {
                var values = x.floats
                values[count / 2] = bad
                let value = ck_train_sum_of_squares(nil, type, Elements(type, values).bytes, Int64(count))
                #expect(!value.isFinite)
            }
        }
        let large: [Float] = [3e38, -3e38]
        #expect(ck_train_sum_of_squares(nil, CK_F32, large, 2) == 2 * Double(large[0]) * Double(large[0]))
    }

    @Test("A sum of squares over more chunks than are kept at a time")
    func manySquares() throws {
        let pool = try makePool(2)
        defer { ck_pool_destroy(pool) }
        let count = 512 * 16_384 + 5
        let ones = [UInt16](repeating: 0x3f80, count: count)
        #expect(ck_train_sum_of_squares(pool, CK_BF16, ones, Int64(count)) == Double(count))
    }

    @Test("Norms of rows", arguments: [0] + TrainingKernels.sizes)
    func rowNorms(size: Int) throws {
        let (count, stride) = (5, size + 2)
        for type in TrainingKernels.types {
            let x = Elements(type, TrainingKernels.numbers(count * stride, seed: 19))
            let norms = try TrainingKernels.everyWay("row norms") { pool -> [Float] in
                var norms = [Float](repeating: .nan, count: count)
                ck_train_row_norms(pool, type, x.bytes, Int64(stride), Int64(count), Int64(size), &norms)
                return norms
            }
            let expected = (0..<count).map { row in
                x.doubles[row * stride..<row * stride + size].reduce(0) { $0 + $1 * $1 }.squareRoot()
            }
            TrainingKernels.expectClose(norms, expected, relative: 0x1p-23, absolute: 1e-40, "norms")
        }
    }

    @Test(
        "Rows become another type, to nearest even, and NaN stays NaN",
        arguments: TrainingKernels.sizes + [600])
    func convert(size: Int) throws {
        let (count, stride, other) = (3, size + 1, size + 2)
        let types = [CK_F32, CK_BF16, CK_F16]
        for (from, to) in types.flatMap({ from in types.map { (from, $0) } }) {
            var values = TrainingKernels.numbers(count * stride, seed: 20)
            values[0] = .nan
            let x = Elements(from, values)
            let y = try TrainingKernels.everyWay("convert") { pool in
                var y = Elements(to, [Float](repeating: 7, count: count * other)).bytes
                ck_train_convert(
                    pool, from, x.bytes, Int64(stride), Int64(count), Int64(size), to, &y, Int64(other))
                return [y]
            }
            let result = TrainingKernels.floats(to, y[0]), rounded = Elements(to, x.floats).floats
            #expect(result[0].isNaN)
            for row in 0..<count {
                for column in (row == 0 ? 1 : 0)..<max(size, 1) {
                    #expect(result[row * other + column] == rounded[row * stride + column])
                }
                #expect(result[row * other + size] == 7)
            }
        }
    }
}
