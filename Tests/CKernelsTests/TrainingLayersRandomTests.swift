// Random numbers and dropout against a plain generator, which is tested against its authors' known answers.

import CKernels
import Glibc
import Testing

/// Philox 4x32-10 (Salmon et al., SC 2011) as the paper has it.
private func philox(_ counter: [UInt32], _ key: [UInt32]) -> [UInt32] {
    var (c, k) = (counter, key)
    for _ in 0..<10 {
        let (first, second) = (UInt64(c[0]) * 0xd251_1f53, UInt64(c[2]) * 0xcd9e_8d57)
        c = [
            UInt32(second >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: second),
            UInt32(first >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: first),
        ]
        k = [k[0] &+ 0x9e37_79b9, k[1] &+ 0xbb67_ae85]
    }
    return c
}

/// The words of elements from 0 on: of a group of 64 the first 16 have the first words of 16 blocks, and so
/// on.
private func words(_ count: Int, seed: UInt64, stream: UInt32) -> [UInt32] {
    let key = [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)]
    let blocks = (0..<(count + 63) / 64 * 16).map { philox([UInt32($0), 0, stream, 0], key) }
    return (0..<count).map { blocks[$0 / 64 * 16 + $0 % 16][$0 % 64 / 16] }
}

private let seeds: [UInt64] = [0, 1, 0xdead_beef_0123_4567, .max]

@Suite("Training's random numbers")
struct TrainingLayersRandomTests {
    @Test(
        "The plain generator gives the known answers",
        arguments: [
            (
                counter: [0, 0, 0, 0], key: [0, 0],
                words: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
            ),
            (
                counter: [.max, .max, .max, .max], key: [.max, .max],
                words: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
            ),
            (
                counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                key: [0xa409_3822, 0x299f_31d0],
                words: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
            ),
        ] as [(counter: [UInt32], key: [UInt32], words: [UInt32])])
    func knownAnswers(counter: [UInt32], key: [UInt32], words: [UInt32]) {
        #expect(philox(counter, key) == words)
    }

    @Test("Uniform numbers are the generator's upper 24 bits", arguments: [1, 16, 63, 64, 65, 1000, 40_000])
    func uniform(count: Int) throws {
        for seed in count < 1001 ? seeds : [seeds[2]] {
            let y = try TrainingKernels.everyWay("uniform") { pool -> [Float] in
                var y = [Float](repeating: 7, count: count)
                ck_train_uniform(pool, seed, 0.5, &y, Int64(count))
                return y
            }
            #expect(y == words(count, seed: seed, stream: 0).map { (Float($0 >> 8) * 0x1p-23 - 1) * 0.5 })
            #expect(y.allSatisfy { $0 >= -0.5 && $0 < 0.5 })
        }
    }

    @Test("Gaussian numbers are the generator's by Box and Muller", arguments: [1, 16, 17, 64, 100, 40_000])
    func normal(count: Int) throws {
        for seed in count < 1001 ? seeds : [seeds[2]] {
            let y = try TrainingKernels.everyWay("normal") { pool -> [Float] in
                var y = [Float](repeating: 7, count: count)
                ck_train_normal(pool, seed, 0.02, &y, Int64(count))
                return y
            }
            let random = words(count + 32, seed: seed, stream: 1)
            let expected = (0..<count).map { index in
                let first = index - index % 32 + index % 16
                let radius = sqrt(-2 * log((Double(random[first]) + 1) * 0x1p-32))
                let angle = 2 * Double.pi * Double(random[first + 16]) * 0x1p-32
                return Double(Float(0.02)) * radius * (index % 32 < 16 ? cos(angle) : sin(angle))
            }
            TrainingKernels.expectClose(y, expected, relative: 0x1p-23, absolute: 1e-12, "normal")
        }
    }

    @Test("Gaussian numbers have the moments of a normal distribution")
    func moments() {
        var y = [Float](repeating: 0, count: 100_000)
        ck_train_normal(nil, 5, 2, &y, Int64(y.count))
        let values = y.map { Double($0) / 2 }, count = Double(y.count)
        // Deviations of these means are 1, 1.4, 3.9 and 9.8 over the root of the count, 316.
        #expect(abs(values.reduce(0, +) / count) < 0.015)
        #expect(abs(values.reduce(0) { $0 + pow($1, 2) } / count - 1) < 0.02)
        #expect(abs(values.reduce(0) { $0 + pow($1, 3) } / count) < 0.06)
        #expect(abs(values.reduce(0) { $0 + pow($1, 4) } / count - 3) < 0.15)
    }

    @Test(
        "Dropout keeps what the generator says, the same of either type",
        arguments: [1, 16, 63, 64, 100, 896])
    func dropout(columns: Int) throws {
        let (count, stride, yStride, probability) = (9, columns + 1, columns + 2, Float(0.3))
        let scale = Double(Float(1 / (1 - Double(probability))))
        let random = words(count * columns, seed: seeds[2], stream: 2)
        for type in TrainingKernels.types {
            for accumulate in [false, true] {
                let x = Elements(type, TrainingKernels.numbers(count * stride, in: 0.5...2, seed: 1))
                let before = Elements(type, TrainingKernels.numbers(count * yStride, seed: 2))
                let y = try TrainingKernels.everyWay("dropout") { pool in
                    var y = before.bytes
                    ck_train_dropout(
                        pool, type, x.bytes, Int64(stride), Int64(count), Int64(columns), probability,
                        seeds[2],
                        &y, Int64(yStride), accumulate)
                    return [y]
                }
                var expected = before.doubles
                let values = x.doubles, own = before.doubles
                for row in 0..<count {
                    for column in 0..<columns {
                        let isKept = Double(random[row * columns + column]) * 0x1p-32 >= Double(probability)
                        let value = isKept ? values[row * stride + column] * scale : 0
                        expected[row * yStride + column] =
                            value + (accumulate ? own[row * yStride + column] : 0)
                    }
                }
                TrainingKernels.expectClose(
                    TrainingKernels.floats(type, y[0]), expected, relative: x.rounding,
                    absolute: accumulate ? 3e-7 : 1e-30, "dropout")
            }
        }
    }

    @Test(
        "Dropout with probability 0 keeps all, with 1 nothing",
        arguments: [(0, 1), (1, 0), (0.5, 0.5), (0.05, 0.95)] as [(Float, Double)])
    func probabilities(probability: Float, kept: Double) {
        let x = [Float](repeating: 1, count: 64_000)
        var y = [Float](repeating: 7, count: x.count)
        ck_train_dropout(nil, CK_F32, x, 640, 100, 640, probability, 3, &y, 640, false)
        let share = Double(y.count { $0 != 0 }) / Double(x.count)
        // The deviation of a share is at most 0.5 over the root of the count, 253.
        #expect(kept == 0 || kept == 1 ? share == kept : abs(share - kept) < 0.008)
        #expect(y.allSatisfy { $0 == 0 || abs($0 * (1 - probability) - 1) < 1e-6 })
    }

    @Test("No elements are no work")
    func none() {
        var y: [Float] = [7]
        ck_train_normal(nil, 1, 1, &y, 0)
        ck_train_uniform(nil, 1, 1, &y, 0)
        ck_train_dropout(nil, CK_F32, y, 1, 0, 1, 0.5, 1, &y, 1, false)
        ck_train_dropout(nil, CK_F32, y, 1, 1, 0, 0.5, 1, &y, 1, false)
        #expect(y == [7])
    }
}
