// Sprig's functions on times and durations. "Local" is UTC, as in a controller's container; the present is
// the context's, so that a run replayed gets the same text.

import Text

enum SprigDates {
    static let signatures: [String: String] = [
        "now": "", "date": "layout date", "dateInZone": "layout date zone",
        "date_in_zone": "layout date zone",
        "dateModify": "duration date", "date_modify": "duration date", "mustDateModify": "duration date",
        "must_date_modify": "duration date", "ago": "date", "duration": "seconds",
        "durationRound": "duration", "htmlDate": "date", "htmlDateInZone": "date zone",
        "toDate": "layout text", "mustToDate": "layout text", "unixEpoch": "date",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "now": return .time(call.context.now, .utc)
        case "date": return .string(try formatted(&call, layout: try call.string(0), date: 1, zone: nil))
        case "dateInZone", "date_in_zone":
            return .string(try formatted(&call, layout: try call.string(0), date: 1, zone: 2))
        case "htmlDate": return .string(try formatted(&call, layout: "2006-01-02", date: 0, zone: nil))
        case "htmlDateInZone": return .string(try formatted(&call, layout: "2006-01-02", date: 0, zone: 1))
        case "dateModify", "date_modify", "mustDateModify", "must_date_modify": return try modified(call)
        case "ago":
            let age = call.context.now - (try moment(call, 0) ?? call.context.now)
            return .string(GoDuration.format(roundedToSeconds(age)))
        case "duration": return .string(GoDuration.format(try seconds(call)))
        case "durationRound": return .string(coarse(try span(call)))
        case "toDate", "mustToDate": return try parsed(call)
        case "unixEpoch":
            guard case .time(let moment, _) = call.arguments[0] else {
                throw call.mismatch(0, wanted: "a time")
            }
            return .string(String(moment.seconds))
        default: throw call.error("is not implemented")
        }
    }

    /// A time, or an integer as seconds since 1970. Nil for other values, for which sprig takes the present:
    /// a date given as a string is among them, and must go through `toDate` first.
    private static func moment(_ call: SprigCall, _ index: Int) throws(ExpressionError) -> Timestamp? {
        switch call.arguments[index] {
        case .time(let moment, _): return moment
        case .int(let seconds):
            guard abs(Double(seconds)) < 9.2e9 else {
                throw call.error("\(seconds) seconds since 1970 is not within the years 1678 to 2262")
            }
            return Timestamp(seconds: seconds)
        default: return nil
        }
    }

    private static func formatted(
        _ call: inout SprigCall, layout: String, date: Int, zone: Int?
    ) throws(ExpressionError) -> String {
        let shown = try zone.map { (index) throws(ExpressionError) in try self.zone(call, index) } ?? .utc
        // A layout letter becomes a name of at most nine letters.
        try call.spend(bytes: layout.utf8.count, times: 9)
        return GoTime.format(try moment(call, date) ?? call.context.now, layout: layout, zone: shown)
    }

    /// Sprig shows UTC for a name that it does not know; a wrong time in silence helps nobody.
    private static func zone(_ call: SprigCall, _ index: Int) throws(ExpressionError) -> TimeZoneRules {
        let name = try call.string(index)
        if let rules = call.context.zones[name] { return rules }
        if ["", "UTC", "Local"].contains(name) { return .utc }
        throw call.error("there is no time zone \"\(name)\" here; use a name such as Europe/Berlin")
    }

    /// A duration that cannot be read leaves the time as it is, but not for the must functions.
    private static func modified(_ call: SprigCall) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        guard case .time(let moment, let zone) = call.arguments[1] else {
            throw call.mismatch(1, wanted: "a time")
        }
        guard let span = GoDuration.parse(text) else {
            if !call.name.hasPrefix("must") { return call.arguments[1] }
            throw call.error("\"\(text)\" is not a duration; write it like 1h30m")
        }
        return .time(moment + span, zone)
    }

    private static func parsed(_ call: SprigCall) throws(ExpressionError) -> ExpressionValue {
        let (layout, text) = (try call.string(0), try call.string(1))
        // Where sprig's toDate answers the year 1, which a Timestamp cannot hold, this fails.
        guard let moment = GoTime.parse(text, layout: layout, zone: .utc) else {
            throw call.error("\"\(text)\" is not a time of the layout \"\(layout)\"")
        }
        return .time(moment, .utc)
    }

    // MARK: - Durations

    /// Half a second and more goes away from zero.
    private static func roundedToSeconds(_ span: Duration) -> Duration {
        let nanoseconds = span.wholeNanoseconds
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if rest.magnitude < 500_000_000 { return .seconds(whole) }
        return .seconds(nanoseconds < 0 ? whole - 1 : whole + 1)
    }

    /// Sprig's `duration` reads whole seconds from text or an integer; what is neither is no time at all.
    private static func seconds(_ call: SprigCall) throws(ExpressionError) -> Duration {
        let seconds: Int
        switch call.arguments[0] {
        case .int(let number): seconds = number
        case .string(let text): seconds = Int(text) ?? 0
        case .duration(let span): return span
        default: seconds = 0
        }
        guard seconds.magnitude < 9_200_000_000 else {
            throw call.error("\(seconds) seconds are more than 292 years")
        }
        return .seconds(seconds)
    }

    private static func span(_ call: SprigCall) throws(ExpressionError) -> Duration {
        switch call.arguments[0] {
        case .duration(let span): return span
        case .int(let nanoseconds): return .nanoseconds(nanoseconds)
        case .string(let text): return GoDuration.parse(text) ?? .zero
        case .time(let moment, _): return call.context.now - moment
        default: return .zero
        }
    }

    /// The largest unit that is exceeded: years of 365 days, months of 30 days (also called m), d, h, m, s.
    private static func coarse(_ span: Duration) -> String {
        let nanoseconds = span.wholeNanoseconds.magnitude
        let second: UInt64 = 1_000_000_000
        let (minute, hour, day) = (second * 60, second * 3600, second * 86_400)
        let units = [
            (day * 365, "y"), (day * 30, "mo"), (day, "d"), (hour, "h"), (minute, "m"), (second, "s"),
        ]
        for (unit, name) in units where nanoseconds > unit { return "\(nanoseconds / unit)\(name)" }
        return "0s"
    }
}
