// Timestamps as text: RFC 3339, which Kubernetes, Argo and JSON schemas use.

extension Timestamp {
    /// Reads `2006-01-02T15:04:05Z` with an optional fraction and either `Z` or an offset such as `+02:00`.
    /// Digits beyond nanoseconds are dropped. Nil for other text, dates that do not exist, and years outside
    /// 1678 to 2262.
    package init?(rfc3339 text: String) {
        var reader = RFC3339Reader(bytes: Array(text.utf8))
        guard let year = reader.number(digits: 4), reader.take("-"),
            let month = reader.number(digits: 2), (1...12).contains(month), reader.take("-"),
            let day = reader.number(digits: 2),
            day >= 1, day <= CivilTime.daysIn(month: month, year: year),
            reader.take("T") || reader.take("t"),
            let hour = reader.number(digits: 2), hour < 24, reader.take(":"),
            let minute = reader.number(digits: 2), minute < 60, reader.take(":"),
            let second = reader.number(digits: 2), second < 60,
            let nanosecond = reader.fraction(),
            let offset = reader.offset(), reader.isAtEnd,
            let moment = CivilTime(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second,
                nanosecond: nanosecond
            ).timestamp(offsetSeconds: offset)
        else { return nil }
        self = moment
    }

    /// In UTC, cut to whole seconds: `2006-01-02T15:04:05Z`.
    package var rfc3339: String { CivilTime(self).text(fraction: "") + "Z" }

    /// In UTC with as many digits of the fraction as it needs: `2006-01-02T15:04:05.5Z`.
    package var rfc3339Nano: String {
        let civil = CivilTime(self)
        guard civil.nanosecond > 0 else { return rfc3339 }
        var digits = civil.nanosecond.padded(to: 9)
        while digits.last == "0" { digits.removeLast() }
        return civil.text(fraction: "." + digits) + "Z"
    }
}

extension CivilTime {
    fileprivate func text(fraction: String) -> String {
        "\(year.padded(to: 4))-\(month.padded(to: 2))-\(day.padded(to: 2))"
            + "T\(hour.padded(to: 2)):\(minute.padded(to: 2)):\(second.padded(to: 2))\(fraction)"
    }
}

extension Int {
    /// The number in decimal with at least so many digits, the sign not counting.
    func padded(to width: Int, with filler: String = "0") -> String {
        let digits = String(magnitude)
        let padding = String(repeating: filler, count: Swift.max(0, width - digits.utf8.count))
        return (self < 0 ? "-" : "") + padding + digits
    }
}

private struct RFC3339Reader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 else { return nil }
        position += 1
        return Int(bytes[position - 1] - 0x30)
    }

    mutating func number(digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Nanoseconds; 0 if there is no fraction, nil if there is a point without digits.
    mutating func fraction() -> Int? {
        guard take(".") else { return 0 }
        guard var value = digit() else { return nil }
        var count = 1
        while let digit = digit() {
            if count < 9 { value = value * 10 + digit }
            count += 1
        }
        for _ in 0..<max(0, 9 - count) { value *= 10 }
        return value
    }

    mutating func offset() -> Int? {
        if take("Z") || take("z") { return 0 }
        let isWest = take("-")
        guard isWest || take("+"), let hours = number(digits: 2), hours < 24, take(":"),
            let minutes = number(digits: 2), minutes < 60
        else { return nil }
        return (isWest ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }
}
