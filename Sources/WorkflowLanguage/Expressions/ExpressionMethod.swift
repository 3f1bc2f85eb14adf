// The methods of times, durations and zones, under the names that Go's time package gives them.

import Text

enum ExpressionMethod {
    /// Answers `value.name(...)`.
    static func call(
        _ name: String, of value: ExpressionValue, _ call: BuiltinCall, _ context: ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        switch value {
        case .time(let moment, let zone):
            if let part = part(name, of: moment, in: zone) {
                try call.checkCount(0)
                return part
            }
            return try timeMethod(moment, zone, call, context)
        case .duration(let span): return try durationMethod(span, call)
        case .none: throw ExpressionError("cannot call .\(name)() of nil; use ?. where a value may be absent")
        default:
            if name == "String", let zone = TimeFunctions.zone(of: value, context) {
                return .string(zone.name)
            }
            throw ExpressionError(
                "\(value.kindName) has no method \(name); a function is called as \(name)(value)")
        }
    }

    private static func part(
        _ name: String, of moment: Timestamp, in zone: TimeZoneRules
    ) -> ExpressionValue? {
        let civil = zone.civilTime(at: moment)
        switch name {
        case "Year": return .int(civil.year)
        case "Month": return .int(civil.month)
        case "Day": return .int(civil.day)
        case "Hour": return .int(civil.hour)
        case "Minute": return .int(civil.minute)
        case "Second": return .int(civil.second)
        case "Nanosecond": return .int(civil.nanosecond)
        case "Weekday": return .int(civil.weekday)
        case "YearDay": return .int(civil.yearday)
        case "Unix": return .int(moment.seconds)
        case "UnixMilli": return .int(Int(floored(moment.nanoseconds, by: 1_000_000)))
        case "UnixMicro": return .int(Int(floored(moment.nanoseconds, by: 1_000)))
        case "UnixNano": return .int(Int(moment.nanoseconds))
        case "UTC", "Local": return .time(moment, .utc)
        case "IsZero": return .bool(false)
        case "String": return .string(SprigText.display(.time(moment, zone)))
        default: return nil
        }
    }

    private static func floored(_ value: Int64, by divisor: Int64) -> Int64 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    private static let unaryTimeMethods: Set<String> = [
        "Format", "Add", "Sub", "Before", "After", "Equal", "Compare", "In", "Truncate", "Round",
    ]

    private static func timeMethod(
        _ moment: Timestamp, _ zone: TimeZoneRules, _ call: BuiltinCall, _ context: ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        if call.name == "AddDate" { return try addDate(moment, zone, call) }
        guard unaryTimeMethods.contains(call.name) else {
            throw ExpressionError("a time has no method \(call.name)")
        }
        try call.checkCount(1)
        switch call.name {
        case "Format": return .string(GoTime.format(moment, layout: try call.string(0), zone: zone))
        case "Add": return .time(moment + (try call.duration(0)), zone)
        case "Sub": return .duration(moment - (try call.time(0).moment))
        case "Before": return .bool(moment < (try call.time(0).moment))
        case "After": return .bool(try call.time(0).moment < moment)
        case "Equal": return .bool(try call.time(0).moment == moment)
        case "Compare":
            let other = try call.time(0).moment
            return .int(moment < other ? -1 : other < moment ? 1 : 0)
        case "In":
            guard let zone = TimeFunctions.zone(of: call[0], context) else {
                throw call.error("the argument must be a timezone(), not \(call[0].kindName)")
            }
            return .time(moment, zone)
        default:
            let unit = try call.duration(0).wholeNanoseconds
            // Go counts units from the year 1, not from 1970.
            let yearOne: Int64 = 62_135_596_800
            let beyond = remainder(ofSeconds: yearOne, plus: moment.nanoseconds, by: unit)
            let isUp = call.name == "Round" && beyond > 0 && beyond >= unit - beyond
            let whole = moment.nanoseconds &- beyond &+ (isUp ? unit : 0)
            return .time(Timestamp(nanoseconds: whole), zone)
        }
    }

    /// What is left of seconds and nanoseconds after whole units; 0 for a unit that is not positive.
    private static func remainder(ofSeconds seconds: Int64, plus nanoseconds: Int64, by unit: Int64) -> Int64
    {
        guard unit > 0 else { return 0 }
        let (high, low) = seconds.multipliedFullWidth(by: 1_000_000_000)
        let (sum, carry) = low.addingReportingOverflow(UInt64(bitPattern: nanoseconds))
        let top = high &+ (carry ? 1 : 0) &+ (nanoseconds < 0 ? -1 : 0)
        // Both halves are reduced first, so that the quotient fits.
        let divisor = UInt64(unit)
        let (_, rest) = divisor.dividingFullWidth((UInt64(bitPattern: top) % divisor, sum))
        return Int64(rest)
    }

    private static func addDate(
        _ moment: Timestamp, _ zone: TimeZoneRules, _ call: BuiltinCall
    ) throws(ExpressionError) -> ExpressionValue {
        try call.checkCount(3)
        let civil = zone.civilTime(at: moment)
        func sum(_ part: Int, _ index: Int) throws(ExpressionError) -> Int { part &+ (try call.int(index)) }
        let moved = CivilTime(
            year: try sum(civil.year, 0), month: try sum(civil.month, 1), day: try sum(civil.day, 2),
            hour: civil.hour, minute: civil.minute, second: civil.second, nanosecond: civil.nanosecond)
        let candidates = zone.instants(ofLocal: moved)
        let offset = zone.offset(at: moment).seconds
        guard let result = candidates.first ?? moved.timestamp(offsetSeconds: offset) else {
            throw call.error("the date is beyond the years 1678 to 2262")
        }
        return .time(result, zone)
    }

    private static func durationMethod(
        _ span: Duration, _ call: BuiltinCall
    ) throws(ExpressionError) -> ExpressionValue {
        let nanoseconds = span.wholeNanoseconds
        switch call.name {
        case "Hours": return .double(Double(nanoseconds) / 3.6e12)
        case "Minutes": return .double(Double(nanoseconds) / 6e10)
        case "Seconds": return .double(Double(nanoseconds) / 1e9)
        case "Milliseconds": return .int(Int(nanoseconds / 1_000_000))
        case "Microseconds": return .int(Int(nanoseconds / 1_000))
        case "Nanoseconds": return .int(Int(nanoseconds))
        case "String": return .string(GoDuration.format(span))
        case "Abs": return .duration(.nanoseconds(nanoseconds < 0 ? 0 &- nanoseconds : nanoseconds))
        case "Truncate", "Round":
            try call.checkCount(1)
            let unit = try call.duration(0).wholeNanoseconds
            guard unit > 0 else { return .duration(span) }
            let beyond = nanoseconds % unit
            let away: Int64 = nanoseconds < 0 ? -1 : 1
            let isAway = call.name == "Round" && beyond.magnitude >= unit.magnitude - beyond.magnitude
            return .duration(.nanoseconds(nanoseconds &- beyond &+ (isAway ? away &* unit : 0)))
        default: throw ExpressionError("a duration has no method \(call.name)")
        }
    }
}
