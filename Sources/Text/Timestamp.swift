// A moment as a value. Pure targets take it as an argument and never ask a clock.

/// Nanoseconds since 1970-01-01T00:00:00Z; covers the years 1678 to 2262.
package struct Timestamp: Sendable, Hashable, Comparable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Seconds since the epoch; moments beyond the covered years become the first or last moment.
    package init(seconds: Int) {
        let (product, overflowed) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        self.nanoseconds = overflowed ? (seconds < 0 ? .min : .max) : product
    }

    /// Whole seconds since the epoch, rounded down.
    package var seconds: Int {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return Int(remainder < 0 ? quotient - 1 : quotient)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    /// A sum beyond the covered years is the first or last moment: a timer far away must not wrap into the
    /// past.
    package static func + (moment: Timestamp, span: Duration) -> Timestamp {
        let (sum, overflowed) = moment.nanoseconds.addingReportingOverflow(span.wholeNanoseconds)
        return Timestamp(nanoseconds: overflowed ? (span < .zero ? .min : .max) : sum)
    }

    package static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .nanoseconds(later.nanoseconds) - .nanoseconds(earlier.nanoseconds)
    }
}

extension Duration {
    /// The span in nanoseconds; spans beyond 292 years are cut to that.
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }

    package var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}
