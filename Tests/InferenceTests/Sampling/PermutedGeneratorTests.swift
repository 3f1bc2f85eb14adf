// The generator gives the numbers of its paper, so that a seed means the same on every machine and in every
// version.

import Inference
import Testing

@Suite("The sampler's generator")
struct PermutedGeneratorTests {
    @Test("It gives the numbers of the reference implementation")
    func agreesWithReference() {
        // The first round of pcg32-demo, which seeds with 42 and stream 54.
        var generator = PermutedGenerator(seed: 42, stream: 54)
        let numbers = (0..<6).map { _ in generator.next32() }
        #expect(
            numbers == [0xa15c_02b7, 0x7b47_f409, 0xba1d_3330, 0x83d2_f293, 0xbfa4_784b, 0xcbed_606e])
    }

    @Test("Equal seeds give equal numbers, other seeds and streams others")
    func seedsAndStreams() {
        func numbers(_ seed: UInt64, _ stream: UInt64) -> [UInt64] {
            var generator = PermutedGenerator(seed: seed, stream: stream)
            return (0..<4).map { _ in generator.next() }
        }
        #expect(numbers(7, 0) == numbers(7, 0))
        let all = [numbers(7, 0), numbers(8, 0), numbers(7, 1), numbers(0, 0), numbers(.max, .max)]
        #expect(Set(all).count == all.count)
    }

    @Test("Units are from 0 to below 1 and fill the range evenly")
    func unitsAreEven() {
        var generator = PermutedGenerator(seed: 1)
        var counts = Array(repeating: 0, count: 10)
        for _ in 0..<10_000 {
            let unit = generator.nextUnit()
            #expect(unit >= 0 && unit < 1)
            counts[min(9, Int(unit * 10))] += 1
        }
        // Each count is 1000 with a standard deviation of 30.
        #expect(counts.allSatisfy { abs($0 - 1_000) < 150 }, "\(counts)")
    }
}
