// Numbers, sizes and times as logs show them.

import Glibc
import Text

/// Fixed counts of digits. Rounding is that of the exact binary value, halves to even, as in Python and C.
enum FixedPoint {
    static func text(_ value: Double, places: Int) -> String { printed("%.\(places)f", value) }

    /// `round(value, places)` of Python; what is not finite stays as it is.
    static func rounded(_ value: Double, places: Int) -> Double {
        guard value.isFinite else { return value }
        return Double(text(value, places: places)) ?? value
    }

    /// Such as 1.00e-04.
    static func scientific(_ value: Double, places: Int) -> String { printed("%.\(places)e", value) }

    private static func printed(_ format: String, _ value: Double) -> String {
        // The largest double has 309 digits before the point.
        var buffer = [CChar](repeating: 0, count: 400)
        let length = withVaList([value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(
            decoding: buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Times as ms-swift's log has them.
enum DurationText {
    /// Such as "1d 2h 3m 4s", from the first unit that is not 0 on; parts of a second are cut off.
    static func of(seconds: Double) -> String {
        guard seconds.isFinite, seconds > 0 else { return "0s" }
        // No run lasts a million years.
        let total = Int(min(seconds, 1e13))
        let (days, hours) = (total / 86_400, total / 3_600 % 24)
        let (minutes, rest) = (total / 60 % 60, total % 60)
        if days > 0 { return "\(days)d \(hours)h \(minutes)m \(rest)s" }
        if hours > 0 { return "\(hours)h \(minutes)m \(rest)s" }
        if minutes > 0 { return "\(minutes)m \(rest)s" }
        return "\(rest)s"
    }
}

/// Sizes with binary units.
enum ByteText {
    /// Such as "512 B", "1.5 KiB", "2.00 GiB".
    static func of(_ byteCount: Int) -> String {
        let size = Double(byteCount)
        switch byteCount.magnitude {
        case ..<1_024: return "\(byteCount) B"
        case ..<(1 << 20): return FixedPoint.text(size / 1_024, places: 1) + " KiB"
        case ..<(1 << 30): return FixedPoint.text(size / 1_048_576, places: 1) + " MiB"
        default: return FixedPoint.text(size / 1_073_741_824, places: 2) + " GiB"
        }
    }
}
