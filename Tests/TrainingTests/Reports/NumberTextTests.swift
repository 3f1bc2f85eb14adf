// Numbers, times and sizes as logs show them.

import Testing

@testable import Training

@Suite("Numbers in logs")
struct NumberTextTests {
    @Test(
        "Rounding is Python's",
        arguments: [
            (value: 2.5, places: 0, expected: 2.0),
            (value: 0.125, places: 2, expected: 0.12),
            (value: 2.675, places: 2, expected: 2.67),
            (value: 1.0 / 3, places: 8, expected: 0.33333333),
            (value: 1e-9, places: 8, expected: 0),
            (value: 1e-5, places: 8, expected: 1e-5),
            (value: 123_456_789.123456789, places: 8, expected: 123_456_789.12345679),
            (value: -7.5e300, places: 8, expected: -7.5e300),
            (value: .infinity, places: 8, expected: .infinity),
        ])
    func rounding(value: Double, places: Int, expected: Double) {
        #expect(FixedPoint.rounded(value, places: places) == expected)
    }

    @Test(
        "A time begins with its first unit that is not 0",
        arguments: [
            (0, "0s"), (0.9, "0s"), (59.99, "59s"), (60, "1m 0s"), (70, "1m 10s"), (3_600, "1h 0m 0s"),
            (86_399, "23h 59m 59s"), (93_784, "1d 2h 3m 4s"), (-5, "0s"), (.nan, "0s"), (.infinity, "0s"),
        ] as [(Double, String)])
    func durations(seconds: Double, expected: String) {
        #expect(DurationText.of(seconds: seconds) == expected)
    }

    @Test(
        "A size has the unit that fits",
        arguments: [
            (0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 29, "1.50 GiB"),
        ])
    func sizes(bytes: Int, expected: String) {
        #expect(ByteText.of(bytes) == expected)
    }
}
