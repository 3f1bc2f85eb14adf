// The single characters of strftime, for variables such as workflow.creationTimestamp.Y.

extension GoTime {
    /// What a conversion of strftime gives for a moment in UTC, in English; `s` is the epoch in seconds. Nil
    /// for characters that are no conversion.
    package static func strftime(_ moment: Timestamp, _ character: Character) -> String? {
        let civil = CivilTime(moment)
        func go(_ layout: String) -> String { format(moment, layout: layout, zone: .utc) }
        switch character {
        case "A": return go("Monday")
        case "a": return go("Mon")
        case "B": return go("January")
        case "b", "h": return go("Jan")
        case "C": return (civil.year / 100).padded(to: 2)
        case "c", "v": return go(character == "c" ? "Mon Jan _2 15:04:05 2006" : "_2-Jan-2006")
        case "D": return go("01/02/06")
        case "d": return go("02")
        case "e": return go("_2")
        case "F": return go("2006-01-02")
        case "H": return go("15")
        case "I": return go("03")
        case "j": return go("002")
        case "k": return civil.hour.padded(to: 2, with: " ")
        case "l": return civil.hour12.padded(to: 2, with: " ")
        case "M": return go("04")
        case "m": return go("01")
        case "n": return "\n"
        case "p": return go("PM")
        case "R": return go("15:04")
        case "r": return go("03:04:05 PM")
        case "S": return go("05")
        case "s": return String(moment.seconds)
        case "T", "X": return go("15:04:05")
        case "t": return "\t"
        case "U": return ((civil.yearday + 6 - civil.weekday) / 7).padded(to: 2)
        case "u": return String(civil.weekday == 0 ? 7 : civil.weekday)
        case "V": return civil.isoWeek.week.padded(to: 2)
        case "W": return ((civil.yearday + 6 - (civil.weekday + 6) % 7) / 7).padded(to: 2)
        case "w": return String(civil.weekday)
        case "x": return go("01/02/06")
        case "Y": return go("2006")
        case "y": return go("06")
        case "Z": return go("MST")
        case "z": return go("-0700")
        case "%": return "%"
        default: return nil
        }
    }
}
