// What a leaf's raw values mean, and how they become values of the table.

import Text

/// How values of a leaf are to be understood.
enum LeafMeaning: Sendable, Hashable {
    case plain, string, uuid, float16, date
    case unsigned
    /// The number divided by ten to this power.
    case decimal(scale: Int)
    case time(LogicalType.Unit)
    case timestamp(LogicalType.Unit, isUTC: Bool)

    /// Nobody counts finer; a larger scale would only make long texts of zeros.
    private static let maximumScale = 1024

    /// - Throws: if the annotation asks for too much. One that does not fit its physical type is passed over.
    init(_ type: PhysicalType, _ element: ParquetSchemaElement, path: String) throws(TableProblem) {
        let logical = element.logicalType ?? Self.logicalType(ofConverted: element)
        let isInteger = type == .int32 || type == .int64
        self = .plain
        switch logical {
        case .string, .enumeration, .json: if type == .byteArray { self = .string }
        case .decimal(let scale):
            guard isInteger || type == .byteArray || type == .fixedLengthByteArray else { break }
            guard (0...Self.maximumScale).contains(scale) else {
                throw TableProblem("column \"\(path)\" is a decimal of the impossible scale \(scale)")
            }
            self = .decimal(scale: scale)
        case .date: if type == .int32 { self = .date }
        case .time(let unit):
            if unit == .milliseconds ? type == .int32 : type == .int64 { self = .time(unit) }
        case .timestamp(let unit, let isUTC): if type == .int64 { self = .timestamp(unit, isUTC: isUTC) }
        case .integer(_, let isSigned): if isInteger && !isSigned { self = .unsigned }
        case .uuid: if type == .fixedLengthByteArray && element.typeLength == 16 { self = .uuid }
        case .float16: if type == .fixedLengthByteArray && element.typeLength == 2 { self = .float16 }
        case .map, .list, .unknown, .bson, nil: break
        }
    }

    private static func logicalType(ofConverted element: ParquetSchemaElement) -> LogicalType? {
        switch element.convertedType {
        case 0: .string
        case 4: .enumeration
        case 5: .decimal(scale: element.scale)
        case 6: .date
        case 7: .time(.milliseconds)
        case 8: .time(.microseconds)
        case 9: .timestamp(.milliseconds, isUTC: true)
        case 10: .timestamp(.microseconds, isUTC: true)
        case 11, 12, 13, 14: .integer(bits: 64, isSigned: false)
        case 19: .json
        default: nil
        }
    }
}

extension ParquetLeaf {
    /// The value at an index of those that are there.
    /// - Precondition: the index is one of the values'.
    func value(_ index: Int, of values: ColumnValues) -> TableValue {
        switch type {
        case .boolean: .bool(values.bools[index])
        case .int32: value(of: Int64(values.int32[index]))
        case .int64: value(of: values.int64[index])
        case .float: .double(Double(values.floats[index]))
        case .double: .double(values.doubles[index])
        case .int96: .string(Self.text(ofInt96: values.bytes(index)))
        case .byteArray, .fixedLengthByteArray: value(ofBytesAt: index, of: values)
        }
    }

    private func value(of number: Int64) -> TableValue {
        switch meaning {
        case .unsigned:
            if type == .int32 { return .int(Int64(UInt32(truncatingIfNeeded: number))) }
            return number >= 0 ? .int(number) : .string(String(UInt64(bitPattern: number)))
        case .decimal(let scale): return .string(DecimalText.text(of: number, scale: scale))
        case .date: return .string(CalendarText.date(day: Int(number)))
        case .time(let unit): return CalendarText.time(number, unit).map { .string($0) } ?? .int(number)
        case .timestamp(let unit, let isUTC):
            return .string(CalendarText.timestamp(number, unit, isUTC: isUTC))
        default: return .int(number)
        }
    }

    private func value(ofBytesAt index: Int, of values: ColumnValues) -> TableValue {
        switch meaning {
        case .string: values.text(index).map { .string($0) } ?? .bytes(values.bytes(index))
        case .decimal(let scale):
            DecimalText.text(ofBigEndian: values.bytes(index), scale: scale).map { .string($0) }
                ?? .bytes(values.bytes(index))
        case .uuid: .string(Self.text(ofUUID: values.bytes(index)))
        case .float16:
            .double(Double(Float16(bitPattern: values.bytes(index).integer(at: 0, as: UInt16.self))))
        default: .bytes(values.bytes(index))
        }
    }

    /// Nanoseconds of the day and the Julian day, as Impala and old Spark write timestamps.
    private static func text(ofInt96 bytes: [UInt8]) -> String {
        let nanoseconds = bytes.integer(at: 0, as: Int64.self)
        let julianDay = Int(bytes.integer(at: 8, as: UInt32.self))
        let (seconds, rest) = nanoseconds.dividedRoundingDown(by: 1_000_000_000)
        return CalendarText.moment(
            day: julianDay - 2_440_588, second: Int(seconds), nanosecond: Int(rest), isUTC: false)
    }

    private static func text(ofUUID bytes: [UInt8]) -> String {
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16)
        }
        return text
    }
}

/// Dates and times as text.
enum CalendarText {
    static func date(day: Int) -> String {
        date(CivilTime(year: 1970, month: 1, day: 1 + day).normalized)
    }

    /// Nil for what is no time of a day.
    static func time(_ number: Int64, _ unit: LogicalType.Unit) -> String? {
        let (seconds, nanosecond) = parts(number, unit)
        guard (0..<86_400).contains(seconds) else { return nil }
        return clock(
            CivilTime(year: 1970, month: 1, day: 1, second: seconds, nanosecond: nanosecond).normalized)
    }

    static func timestamp(_ number: Int64, _ unit: LogicalType.Unit, isUTC: Bool) -> String {
        let (seconds, nanosecond) = parts(number, unit)
        return moment(day: 0, second: seconds, nanosecond: nanosecond, isUTC: isUTC)
    }

    /// - Parameter second: since the start of the day; may be larger than a day or negative.
    static func moment(day: Int, second: Int, nanosecond: Int, isUTC: Bool) -> String {
        let (days, rest) = Int64(second).dividedRoundingDown(by: 86_400)
        let time = CivilTime(
            year: 1970, month: 1, day: 1 + day + Int(days), second: Int(rest), nanosecond: nanosecond
        ).normalized
        return date(time) + "T" + clock(time) + (isUTC ? "Z" : "")
    }

    private static func parts(_ number: Int64, _ unit: LogicalType.Unit) -> (seconds: Int, nanosecond: Int) {
        let perSecond: Int64 =
            switch unit {
            case .milliseconds: 1000
            case .microseconds: 1_000_000
            case .nanoseconds: 1_000_000_000
            }
        let (seconds, rest) = number.dividedRoundingDown(by: perSecond)
        return (Int(seconds), Int(rest * (1_000_000_000 / perSecond)))
    }

    private static func date(_ time: CivilTime) -> String {
        "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))"
    }

    /// With as many digits of the fraction as are needed.
    private static func clock(_ time: CivilTime) -> String {
        let text = "\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
        guard time.nanosecond > 0 else { return text }
        var digits = padded(time.nanosecond, 9)
        while digits.last == "0" { digits.removeLast() }
        return text + "." + digits
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number.magnitude)
        let zeros = String(repeating: "0", count: max(0, width - digits.utf8.count))
        return (number < 0 ? "-" : "") + zeros + digits
    }
}

/// Decimals as text, exactly.
enum DecimalText {
    /// Wider numbers stay bytes: turning them into text takes time that grows with the square.
    private static let maximumBytes = 256

    static func text(of number: Int64, scale: Int) -> String {
        text(digits: String(number.magnitude), isNegative: number < 0, scale: scale)
    }

    /// Two's complement, the highest byte first; nil for no bytes or too many.
    static func text(ofBigEndian bytes: [UInt8], scale: Int) -> String? {
        guard let first = bytes.first, bytes.count <= maximumBytes else { return nil }
        let isNegative = first >= 0x80
        var magnitude = bytes
        if isNegative {
            var carry = true
            for index in magnitude.indices.reversed() {
                magnitude[index] = ~magnitude[index] &+ (carry ? 1 : 0)
                carry = carry && magnitude[index] == 0
            }
        }
        // Groups of nine digits, the lowest first.
        var groups: [UInt64] = [0]
        for byte in magnitude {
            var carry = UInt64(byte)
            for index in groups.indices {
                let sum = groups[index] << 8 + carry
                groups[index] = sum % 1_000_000_000
                carry = sum / 1_000_000_000
            }
            if carry > 0 { groups.append(carry) }
        }
        var digits = String(groups.removeLast())
        for group in groups.reversed() {
            let text = String(group)
            digits += String(repeating: "0", count: 9 - text.utf8.count) + text
        }
        return text(digits: digits, isNegative: isNegative, scale: scale)
    }

    private static func text(digits: String, isNegative: Bool, scale: Int) -> String {
        var digits = digits
        if digits.utf8.count <= scale {
            digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits
        }
        let whole = digits.dropLast(scale)
        let fraction = scale > 0 ? "." + digits.suffix(scale) : ""
        return (isNegative ? "-" : "") + whole + fraction
    }
}

extension Int64 {
    /// The quotient rounded down and the remainder, which is not negative.
    /// - Precondition: the divisor is positive.
    func dividedRoundingDown(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
