// Go's time layouts, which show how the moment Mon Jan 2 15:04:05 MST 2006 would be written.

package enum GoTime {
    /// Writes a moment as Go's `time.Format` does.
    package static func format(_ moment: Timestamp, layout: String, zone: TimeZoneRules) -> String {
        let (offset, abbreviation) = zone.offset(at: moment)
        let civil = CivilTime(moment, offsetSeconds: offset)
        var text = ""
        for part in LayoutPart.parts(of: layout) {
            switch part {
            case .literal(let bytes): text += String(decoding: bytes, as: UTF8.self)
            case .element(let element):
                text += element.text(civil, offsetSeconds: offset, abbreviation: abbreviation)
            }
        }
        return text
    }

    /// Reads a time as Go's `time.ParseInLocation` does: text without an offset is taken as local to the
    /// zone. Parts that the layout lacks are those of the year 0, as in Go, so a layout without a year gives
    /// nil: such moments are before 1678.
    package static func parse(_ text: String, layout: String, zone: TimeZoneRules) -> Timestamp? {
        var parser = GoTimeParser(text: Array(text.utf8))
        return parser.parse(layout: layout, zone: zone)
    }

    static let monthNames = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    static let weekdayNames = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]

    enum OffsetStyle {
        /// +02
        case hours
        /// +0200
        case compact
        /// +02:00
        case colon
        /// +020000
        case compactSeconds
        /// +02:00:00
        case colonSeconds
    }

    static func offsetText(_ offsetSeconds: Int, style: OffsetStyle) -> String {
        let magnitude = abs(offsetSeconds)
        let hours = (magnitude / 3_600).padded(to: 2)
        let minutes = (magnitude / 60 % 60).padded(to: 2)
        let seconds = (magnitude % 60).padded(to: 2)
        let sign = offsetSeconds < 0 ? "-" : "+"
        switch style {
        case .hours: return sign + hours
        case .compact: return sign + hours + minutes
        case .colon: return sign + hours + ":" + minutes
        case .compactSeconds: return sign + hours + minutes + seconds
        case .colonSeconds: return sign + hours + ":" + minutes + ":" + seconds
        }
    }
}

/// A piece of a layout.
enum LayoutPart {
    case literal([UInt8])
    case element(LayoutElement)

    /// Cuts a layout into elements and what is between them.
    static func parts(of layout: String) -> [LayoutPart] {
        let bytes = Array(layout.utf8)
        var parts: [LayoutPart] = []
        var literal: [UInt8] = []
        var position = 0
        while position < bytes.count {
            guard let (element, length) = LayoutElement.first(in: bytes, at: position) else {
                literal.append(bytes[position])
                position += 1
                continue
            }
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = []
            parts.append(.element(element))
            position += length
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        return parts
    }
}

/// What a layout can ask for.
enum LayoutElement {
    case longMonth, shortMonth, month, zeroMonth
    case longWeekday, shortWeekday
    case day, spaceDay, zeroDay, spaceYearday, zeroYearday
    case hour, hour12, zeroHour12, minute, zeroMinute, second, zeroSecond
    case longYear, shortYear
    case upperMeridiem, lowerMeridiem
    case zoneName
    /// With `utcAsZ`, the offset 0 is written as Z.
    case offset(GoTime.OffsetStyle, utcAsZ: Bool)
    /// A point or comma and so many digits.
    case fraction(separator: UInt8, digits: Int, trimmed: Bool)

    private static let spellings: [(text: String, element: LayoutElement)] = [
        ("January", .longMonth), ("Monday", .longWeekday), ("MST", .zoneName), ("01", .zeroMonth),
        ("002", .zeroYearday), ("02", .zeroDay), ("03", .zeroHour12), ("04", .zeroMinute),
        ("05", .zeroSecond),
        ("06", .shortYear), ("15", .hour), ("1", .month), ("2006", .longYear), ("2", .day),
        ("__2", .spaceYearday), ("_2", .spaceDay), ("3", .hour12), ("4", .minute), ("5", .second),
        ("PM", .upperMeridiem), ("pm", .lowerMeridiem),
        ("-07:00:00", .offset(.colonSeconds, utcAsZ: false)), ("-07:00", .offset(.colon, utcAsZ: false)),
        ("-070000", .offset(.compactSeconds, utcAsZ: false)), ("-0700", .offset(.compact, utcAsZ: false)),
        ("-07", .offset(.hours, utcAsZ: false)), ("Z07:00:00", .offset(.colonSeconds, utcAsZ: true)),
        ("Z07:00", .offset(.colon, utcAsZ: true)), ("Z070000", .offset(.compactSeconds, utcAsZ: true)),
        ("Z0700", .offset(.compact, utcAsZ: true)), ("Z07", .offset(.hours, utcAsZ: true)),
    ]

    /// The element that begins exactly at a position of the layout, and its length.
    static func first(in layout: [UInt8], at position: Int) -> (element: LayoutElement, length: Int)? {
        let rest = layout[position...]
        func begins(_ text: String) -> Bool { rest.starts(with: text.utf8) }
        func isLowercase(_ index: Int) -> Bool {
            index < layout.count && (0x61...0x7A).contains(layout[index])
        }
        func isDigit(_ index: Int) -> Bool { index < layout.count && (0x30...0x39).contains(layout[index]) }
        switch layout[position] {
        case UInt8(ascii: "J") where begins("Jan") && !begins("January"):
            // "Janet" is a name and no month.
            return isLowercase(position + 3) ? nil : (.shortMonth, 3)
        case UInt8(ascii: "M") where begins("Mon") && !begins("Monday"):
            return isLowercase(position + 3) ? nil : (.shortWeekday, 3)
        case UInt8(ascii: "_") where begins("_2006"):
            // The underscore before a year is only itself.
            return nil
        case UInt8(ascii: "."), UInt8(ascii: ","):
            return fraction(in: layout, at: position, isDigit: isDigit)
        default: break
        }
        for spelling in spellings where begins(spelling.text) {
            return (spelling.element, spelling.text.utf8.count)
        }
        return nil
    }

    /// A point followed by zeros or nines and then no other digit.
    private static func fraction(
        in layout: [UInt8], at position: Int, isDigit: (Int) -> Bool
    ) -> (element: LayoutElement, length: Int)? {
        guard position + 1 < layout.count else { return nil }
        let digit = layout[position + 1]
        guard digit == UInt8(ascii: "0") || digit == UInt8(ascii: "9") else { return nil }
        let count = layout[(position + 1)...].prefix { $0 == digit }.count
        guard !isDigit(position + 1 + count) else { return nil }
        let element = LayoutElement.fraction(
            separator: layout[position], digits: count, trimmed: digit == UInt8(ascii: "9"))
        return (element, count + 1)
    }

    func text(_ civil: CivilTime, offsetSeconds: Int, abbreviation: String) -> String {
        switch self {
        case .longMonth: GoTime.monthNames[civil.month - 1]
        case .shortMonth: String(GoTime.monthNames[civil.month - 1].prefix(3))
        case .month: String(civil.month)
        case .zeroMonth: civil.month.padded(to: 2)
        case .longWeekday: GoTime.weekdayNames[civil.weekday]
        case .shortWeekday: String(GoTime.weekdayNames[civil.weekday].prefix(3))
        case .day: String(civil.day)
        case .spaceDay: civil.day.padded(to: 2, with: " ")
        case .zeroDay: civil.day.padded(to: 2)
        case .spaceYearday: civil.yearday.padded(to: 3, with: " ")
        case .zeroYearday: civil.yearday.padded(to: 3)
        case .hour: civil.hour.padded(to: 2)
        case .hour12: String(civil.hour12)
        case .zeroHour12: civil.hour12.padded(to: 2)
        case .minute: String(civil.minute)
        case .zeroMinute: civil.minute.padded(to: 2)
        case .second: String(civil.second)
        case .zeroSecond: civil.second.padded(to: 2)
        case .longYear: civil.year.padded(to: 4)
        case .shortYear: civil.year.flooredRemainder(by: 100).padded(to: 2)
        case .upperMeridiem: civil.hour >= 12 ? "PM" : "AM"
        case .lowerMeridiem: civil.hour >= 12 ? "pm" : "am"
        case .zoneName: abbreviation
        case .offset(let style, let utcAsZ):
            utcAsZ && offsetSeconds == 0 ? "Z" : GoTime.offsetText(offsetSeconds, style: style)
        case .fraction(let separator, let digits, let trimmed):
            Self.fractionText(civil.nanosecond, separator: separator, digits: digits, trimmed: trimmed)
        }
    }

    private static func fractionText(
        _ nanosecond: Int, separator: UInt8, digits: Int, trimmed: Bool
    ) -> String {
        var text = Array(nanosecond.padded(to: 9).utf8.prefix(digits))
        if trimmed {
            while text.last == UInt8(ascii: "0") { text.removeLast() }
            if text.isEmpty { return "" }
        }
        return String(decoding: [separator] + text, as: UTF8.self)
    }
}

extension CivilTime {
    /// 1 to 12, as on a clock's face.
    var hour12: Int { hour % 12 == 0 ? 12 : hour % 12 }
}
