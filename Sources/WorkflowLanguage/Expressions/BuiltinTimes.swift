// Functions of expressions that make times and durations.

import Text

enum TimeFunctions {
    static let all: [Builtin] = [
        Builtin("now", 0...1, now), Builtin("duration", 1...1, duration), Builtin("date", 1...4, date),
        Builtin("timezone", 1...1, timezone),
    ]

    /// What `date` tries when no layout is given.
    private static let layouts = [
        "2006-01-02", "15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "02 Jan 06 15:04 MST",
        "Monday, 02-Jan-06 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 MST",
    ]

    /// The member that marks an object as a time zone, a kind that values do not have.
    private static let zoneKey = "$timezone"

    static func zone(of value: ExpressionValue, _ context: ExpressionContext) -> TimeZoneRules? {
        guard case .object(let members) = value, members.count == 1,
            case .string(let name) = members[zoneKey]
        else { return nil }
        return try? zone(named: name, context)
    }

    static func zone(
        named name: String, _ context: ExpressionContext
    ) throws(ExpressionError) -> TimeZoneRules {
        // Results must not depend on the machine, so its local zone is UTC.
        if ["", "UTC", "Local"].contains(name) { return .utc }
        guard let zone = context.zones[name] else { throw ExpressionError("unknown time zone \(name)") }
        return zone
    }

    private static func now(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        guard call.count > 0 else { return .time(context.now, .utc) }
        guard let zone = zone(of: call[0], context) else {
            throw call.error("the argument must be a timezone(), not \(call[0].kindName)")
        }
        return .time(context.now, zone)
    }

    private static func duration(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let text = try call.string(0)
        try context.spend(bytes: text.utf8.count)
        guard let span = GoDuration.parse(text) else {
            throw call.error("'\(text.prefix(60))' is no duration such as 1h30m")
        }
        return .duration(span)
    }

    private static func timezone(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        let name = try call.string(0)
        _ = try zone(named: name, context)
        return .object([zoneKey: .string(name)])
    }

    /// `date([zone,] text [, layout [, zone name]])`.
    private static func date(
        _ call: BuiltinCall, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var zone = zone(of: call[0], context)
        let rest = BuiltinCall(
            name: call.name, arguments: Array(zone == nil ? call.arguments[...] : call.arguments.dropFirst()))
        guard 1...3 ~= rest.count else { throw call.error("takes a text, a layout and a zone") }
        let text = try rest.string(0)
        let layouts = rest.count > 1 ? [try rest.string(1)] : layouts
        try context.spend(steps: layouts.reduce(text.utf8.count) { $0 + $1.utf8.count })
        if rest.count > 2 { zone = try Self.zone(named: rest.string(2), context) }
        for layout in layouts {
            if let moment = GoTime.parse(text, layout: layout, zone: zone ?? .utc) {
                return .time(moment, shownZone(text, moment, wanted: zone))
            }
        }
        throw call.error(
            "'\(text.prefix(60))' is no date"
                + (rest.count > 1 ? " of the layout '\(layouts[0].prefix(60))'" : ""))
    }

    /// The zone that a parsed time is shown in: the wanted one if the text's offset is the same or missing,
    /// else that of the offset.
    private static func shownZone(
        _ text: String, _ moment: Timestamp, wanted: TimeZoneRules?
    ) -> TimeZoneRules {
        let zone = wanted ?? .utc
        guard let offset = trailingOffset(of: text), offset != zone.offset(at: moment).seconds else {
            return zone
        }
        return TimeZoneRules(name: "", fixedOffsetSeconds: offset)
    }

    /// The seconds of `+02:00` or `+0200` at the end of a text that has a time of day before it.
    private static func trailingOffset(of text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.contains(UInt8(ascii: ":")),
            let sign = bytes.lastIndex(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") })
        else { return nil }
        let digits = bytes[(sign + 1)...].filter { $0 != UInt8(ascii: ":") }
        guard digits.count == 4, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let values = digits.map { Int($0 - 0x30) }
        let seconds = (values[0] * 10 + values[1]) * 3_600 + (values[2] * 10 + values[3]) * 60
        return bytes[sign] == UInt8(ascii: "-") ? -seconds : seconds
    }
}
