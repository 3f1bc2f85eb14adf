// Reads times by Go's layouts.

struct GoTimeParser {
    private let text: [UInt8]
    private var position = 0
    private var civil = CivilTime(year: 0, month: 1, day: 1)
    private var yearday: Int?
    private var isAfternoon: Bool?
    private var offsetSeconds: Int?
    private var zoneName: String?

    init(text: [UInt8]) { self.text = text }

    /// Nil if the text does not have the layout or names a date that does not exist.
    mutating func parse(layout: String, zone: TimeZoneRules) -> Timestamp? {
        let parts = LayoutPart.parts(of: layout)
        for (index, part) in parts.enumerated() {
            switch part {
            case .literal(let bytes):
                guard takeLiteral(bytes) else { return nil }
            case .element(let element):
                guard take(element) else { return nil }
                if case .zeroSecond = element {
                    takeUnannouncedFraction(next: parts.dropFirst(index + 1).first)
                }
                if case .second = element { takeUnannouncedFraction(next: parts.dropFirst(index + 1).first) }
            }
        }
        guard position == text.count, finishDate() else { return nil }
        return moment(zone: zone)
    }

    private mutating func finishDate() -> Bool {
        if let isAfternoon {
            // On the clock's face 12 comes before 1. Hours after 12, which layouts with 15 allow, stay.
            if isAfternoon, civil.hour < 12 { civil.hour += 12 }
            if !isAfternoon, civil.hour == 12 { civil.hour = 0 }
        }
        if let yearday {
            guard yearday >= 1, yearday <= (CivilTime.isLeap(civil.year) ? 366 : 365) else { return false }
            let day = CivilTime.day(year: civil.year, month: 1, day: 1) + yearday - 1
            (civil.year, civil.month, civil.day) = CivilTime.date(ofDay: day)
        }
        return civil.day >= 1 && civil.day <= CivilTime.daysIn(month: civil.month, year: civil.year)
    }

    private func moment(zone: TimeZoneRules) -> Timestamp? {
        if let offsetSeconds { return civil.timestamp(offsetSeconds: offsetSeconds) }
        if zoneName == "UTC" { return civil.timestamp() }
        let instants = zone.instants(ofLocal: civil)
        if let zoneName {
            if let named = instants.first(where: { zone.offset(at: $0).abbreviation == zoneName }) {
                return named
            }
            // Known, but not in force then: Go takes the offset that the name has at other times. A name that
            // the zone does not know says nothing about the offset; then Go assumes UTC.
            return civil.timestamp(offsetSeconds: zone.offset(named: zoneName) ?? 0)
        }
        if let first = instants.first { return first }
        // The clock skipped this time. With the offset before the change it lies after the change.
        guard let guess = civil.timestamp() else { return nil }
        let before = zone.offset(at: guess + .seconds(-86_400)).seconds
        return civil.timestamp(offsetSeconds: before)
    }

    // MARK: Elements

    private mutating func take(_ element: LayoutElement) -> Bool {
        switch element {
        case .longMonth: return store(name(of: GoTime.monthNames), in: \.month, plus: 1)
        case .shortMonth:
            return store(name(of: GoTime.monthNames.map { String($0.prefix(3)) }), in: \.month, plus: 1)
        case .month: return store(number(1...2), in: \.month, range: 1...12)
        case .zeroMonth: return store(number(2...2), in: \.month, range: 1...12)
        case .longWeekday: return name(of: GoTime.weekdayNames) != nil
        case .shortWeekday: return name(of: GoTime.weekdayNames.map { String($0.prefix(3)) }) != nil
        case .day: return store(number(1...2), in: \.day, range: 0...99)
        case .spaceDay:
            takeSpaces(1)
            return store(number(1...2), in: \.day, range: 0...99)
        case .zeroDay: return store(number(2...2), in: \.day, range: 0...99)
        case .spaceYearday:
            takeSpaces(2)
            yearday = number(1...3)
            return yearday != nil
        case .zeroYearday:
            yearday = number(3...3)
            return yearday != nil
        case .hour: return store(number(1...2), in: \.hour, range: 0...23)
        case .hour12: return store(number(1...2), in: \.hour, range: 0...12)
        case .zeroHour12: return store(number(2...2), in: \.hour, range: 0...12)
        case .minute: return store(number(1...2), in: \.minute, range: 0...59)
        case .zeroMinute: return store(number(2...2), in: \.minute, range: 0...59)
        case .second: return store(number(1...2), in: \.second, range: 0...59)
        case .zeroSecond: return store(number(2...2), in: \.second, range: 0...59)
        case .longYear: return store(number(4...4), in: \.year, range: 0...9_999)
        case .shortYear:
            guard let number = number(2...2) else { return false }
            civil.year = number >= 69 ? 1_900 + number : 2_000 + number
            return true
        case .upperMeridiem: return takeMeridiem("AM", "PM")
        case .lowerMeridiem: return takeMeridiem("am", "pm")
        case .zoneName: return takeZoneName()
        case .offset(let style, let utcAsZ): return takeOffset(style, utcAsZ: utcAsZ)
        case .fraction(_, let digits, let trimmed): return takeFraction(digits: digits, trimmed: trimmed)
        }
    }

    private mutating func store(
        _ number: Int?, in part: WritableKeyPath<CivilTime, Int>, range: ClosedRange<Int>
    ) -> Bool {
        guard let number, range.contains(number) else { return false }
        civil[keyPath: part] = number
        return true
    }

    private mutating func store(_ index: Int?, in part: WritableKeyPath<CivilTime, Int>, plus: Int) -> Bool {
        guard let index else { return false }
        civil[keyPath: part] = index + plus
        return true
    }

    /// A space in the layout stands for any number of spaces, as in Go.
    private mutating func takeLiteral(_ literal: [UInt8]) -> Bool {
        for byte in literal {
            if byte == 0x20 {
                if position < text.count, text[position] != 0x20 { return false }
                takeSpaces(.max)
            } else {
                guard position < text.count, text[position] == byte else { return false }
                position += 1
            }
        }
        return true
    }

    private mutating func takeSpaces(_ maximum: Int) {
        var count = 0
        while count < maximum, position < text.count, text[position] == 0x20 {
            position += 1
            count += 1
        }
    }

    private mutating func number(_ digits: ClosedRange<Int>) -> Int? {
        let run = text[position...].prefix(digits.upperBound).prefix { (0x30...0x39).contains($0) }
        guard digits.contains(run.count) else { return nil }
        position += run.count
        return run.reduce(0) { $0 * 10 + Int($1) - 0x30 }
    }

    /// The index of the name that comes next, case not counting.
    private mutating func name(of names: [String]) -> Int? {
        for (index, name) in names.enumerated() {
            let candidate = text[position...].prefix(name.utf8.count)
            guard candidate.count == name.utf8.count,
                zip(candidate, name.utf8).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
            else { continue }
            position += candidate.count
            return index
        }
        return nil
    }

    private mutating func takeMeridiem(_ morning: String, _ afternoon: String) -> Bool {
        let letters = text[position...].prefix(2)
        if letters.elementsEqual(morning.utf8) {
            isAfternoon = false
        } else if letters.elementsEqual(afternoon.utf8) {
            isAfternoon = true
        } else {
            return false
        }
        position += 2
        return true
    }

    private mutating func takeZoneName() -> Bool {
        let letters = text[position...].prefix { (0x41...0x5A).contains($0) }
        if (3...5).contains(letters.count) {
            position += letters.count
            zoneName = String(decoding: letters, as: UTF8.self)
            return true
        }
        // Zones without a name of their own are shown as +03.
        guard letters.isEmpty, let offset = signedOffset(.hours) else { return false }
        offsetSeconds = offset
        return true
    }

    private mutating func takeOffset(_ style: GoTime.OffsetStyle, utcAsZ: Bool) -> Bool {
        if utcAsZ, position < text.count, text[position] == UInt8(ascii: "Z") {
            position += 1
            offsetSeconds = 0
            return true
        }
        offsetSeconds = signedOffset(style)
        return offsetSeconds != nil
    }

    private mutating func signedOffset(_ style: GoTime.OffsetStyle) -> Int? {
        guard position < text.count else { return nil }
        let sign = text[position]
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return nil }
        position += 1
        let (parts, hasColons): (Int, Bool) =
            switch style {
            case .hours: (1, false)
            case .compact: (2, false)
            case .colon: (2, true)
            case .compactSeconds: (3, false)
            case .colonSeconds: (3, true)
            }
        var seconds = 0
        for (index, unit) in [3_600, 60, 1].prefix(parts).enumerated() {
            if index > 0, hasColons {
                guard takeLiteral([UInt8(ascii: ":")]) else { return nil }
            }
            guard let part = number(2...2), part <= (index == 0 ? 24 : 60) else { return nil }
            seconds += part * unit
        }
        return sign == UInt8(ascii: "-") ? -seconds : seconds
    }

    // MARK: Fractions

    private mutating func takeFraction(digits: Int, trimmed: Bool) -> Bool {
        guard position < text.count,
            text[position] == UInt8(ascii: ".") || text[position] == UInt8(ascii: ",")
        else { return trimmed }
        let run = text[(position + 1)...].prefix { (0x30...0x39).contains($0) }
        if !trimmed, run.count != digits { return false }
        guard !run.isEmpty else { return trimmed }
        storeFraction(run)
        return true
    }

    /// Go accepts a fraction after the seconds although the layout has none.
    private mutating func takeUnannouncedFraction(next: LayoutPart?) {
        if case .element(.fraction) = next { return }
        guard position + 1 < text.count,
            text[position] == UInt8(ascii: ".") || text[position] == UInt8(ascii: ",")
        else { return }
        let run = text[(position + 1)...].prefix { (0x30...0x39).contains($0) }
        if !run.isEmpty { storeFraction(run) }
    }

    private mutating func storeFraction(_ digits: ArraySlice<UInt8>) {
        let value = digits.prefix(9).reduce(0) { $0 * 10 + Int($1) - 0x30 }
        civil.nanosecond = (0..<max(0, 9 - digits.count)).reduce(value) { scaled, _ in scaled * 10 }
        position += 1 + digits.count
    }
}
