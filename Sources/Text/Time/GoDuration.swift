// Durations as Go writes them, which is how every manifest writes them: 1h30m, 300ms, 1.5h.

package enum GoDuration {
    /// Reads what Go's `time.ParseDuration` accepts: a sign, then numbers with units ns, us, µs, ms, s, m, h,
    /// or a bare "0". Nil for other text and for spans beyond about 292 years.
    package static func parse(_ text: String) -> Duration? {
        var rest = Array(text.utf8)[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest.removeFirst()
        }
        if rest.elementsEqual("0".utf8) { return .zero }
        guard !rest.isEmpty else { return nil }
        var total: UInt64 = 0
        while !rest.isEmpty {
            guard let part = takePart(of: &rest) else { return nil }
            let (sum, overflowed) = total.addingReportingOverflow(part)
            guard !overflowed, sum <= UInt64(Int64.max) + (isNegative ? 1 : 0) else { return nil }
            total = sum
        }
        return .nanoseconds(isNegative ? Int64(truncatingIfNeeded: 0 &- total) : Int64(total))
    }

    /// As Go's `Duration.String()`: 1h0m0s, 1m30s, 1.5s, 300ms, 2µs, 7ns, 0s.
    package static func format(_ duration: Duration) -> String {
        let nanoseconds = duration.wholeNanoseconds
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        switch magnitude {
        case 0: return "0s"
        case ..<1_000: return "\(sign)\(magnitude)ns"
        case ..<1_000_000: return "\(sign)\(decimal(magnitude, unit: 1_000))µs"
        case ..<1_000_000_000: return "\(sign)\(decimal(magnitude, unit: 1_000_000))ms"
        default: break
        }
        let minutes = magnitude / 60_000_000_000
        var text = sign
        if minutes >= 60 { text += "\(minutes / 60)h" }
        if minutes > 0 { text += "\(minutes % 60)m" }
        return text + decimal(magnitude % 60_000_000_000, unit: 1_000_000_000) + "s"
    }

    /// The quotient with as many decimals as it needs; the unit is a power of ten.
    private static func decimal(_ value: UInt64, unit: UInt64) -> String {
        let (whole, remainder) = value.quotientAndRemainder(dividingBy: unit)
        guard remainder > 0 else { return String(whole) }
        var digits = Int(remainder).padded(to: String(unit).utf8.count - 1)
        while digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    /// Takes one number with its unit off the front; its nanoseconds, or nil.
    private static func takePart(of rest: inout ArraySlice<UInt8>) -> UInt64? {
        var whole: UInt64 = 0
        var digitCount = 0
        while let digit = takeDigit(of: &rest) {
            let (product, overflowed) = whole.multipliedReportingOverflow(by: 10)
            let (sum, alsoOverflowed) = product.addingReportingOverflow(digit)
            guard !overflowed, !alsoOverflowed else { return nil }
            whole = sum
            digitCount += 1
        }
        var fraction: UInt64 = 0
        var scale: UInt64 = 1
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            while let digit = takeDigit(of: &rest) {
                digitCount += 1
                // Eighteen digits tell nanoseconds of an hour exactly; further digits cannot matter.
                if scale < 1_000_000_000_000_000_000 {
                    fraction = fraction * 10 + digit
                    scale *= 10
                }
            }
        }
        guard digitCount > 0, let unit = takeUnit(of: &rest) else { return nil }
        let (product, overflowed) = whole.multipliedReportingOverflow(by: unit)
        let (high, low) = fraction.multipliedFullWidth(by: unit)
        let (sum, alsoOverflowed) = product.addingReportingOverflow(
            scale.dividingFullWidth((high, low)).quotient)
        return overflowed || alsoOverflowed ? nil : sum
    }

    private static func takeDigit(of rest: inout ArraySlice<UInt8>) -> UInt64? {
        guard let byte = rest.first, byte >= 0x30, byte <= 0x39 else { return nil }
        rest.removeFirst()
        return UInt64(byte - 0x30)
    }

    private static func takeUnit(of rest: inout ArraySlice<UInt8>) -> UInt64? {
        let letters = rest.prefix { $0 != UInt8(ascii: ".") && !(0x30...0x39).contains($0) }
        rest = rest[letters.endIndex...]
        switch String(decoding: letters, as: UTF8.self) {
        case "ns": return 1
        case "us", "\u{B5}s", "\u{3BC}s": return 1_000
        case "ms": return 1_000_000
        case "s": return 1_000_000_000
        case "m": return 60_000_000_000
        case "h": return 3_600_000_000_000
        default: return nil
        }
    }
}
