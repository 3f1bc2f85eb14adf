// The formats of strings that a schema may ask for, as patterns of the whole string. Where a standard leaves
// room, the pattern is the narrower side, so that every checker agrees.

enum StringFormats {
    /// - Returns: nil for formats that are not checked, which JSON Schema treats as remarks.
    static func pattern(of format: String) -> String? {
        switch format {
        case "date": "^(?:\(date))$"
        case "time": "^(?:\(time))$"
        case "date-time": "^(?:\(date))T(?:\(time))$"
        case "uuid": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
        case "ipv4": "^\(ipv4)$"
        case "ipv6": "^(?:\(ipv6))$"
        case "hostname": "^\(hostname)$"
        case "email": "^\(localPart)(?:\\.\(localPart))?@\(hostname)$"
        case "uri": "^\(uri)$"
        default: nil
        }
    }

    /// RFC 3339 from the year 1000 on, with the lengths of the months and the leap years of Gregory.
    private static let date =
        "[1-9][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
        + "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
        + "|(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29"

    /// Without leap seconds, which many parsers refuse.
    private static let time =
        "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

    private static let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    private static let ipv4 = "\(byte)(?:\\.\(byte)){3}"

    /// All groups, or `::` in place of at least one.
    private static let ipv6: String = {
        let group = "[0-9a-fA-F]{1,4}"
        var forms = ["(?:\(group):){7}\(group)", "::(?:\(group)(?::\(group)){0,6})?"]
        for before in 1...7 {
            let after = 7 - before
            let tail = after == 0 ? "" : "(?:\(group)(?::\(group)){0,\(after - 1)})?"
            forms.append("\(group)(?::\(group)){\(before - 1)}::\(tail)")
        }
        return forms.joined(separator: "|")
    }()

    /// At most seven labels of 32 characters stay below the 253 that a name may have.
    private static let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
    private static let lastLabel = "[a-zA-Z](?:[a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?"
    private static let hostname = "(?:\(label)\\.){0,6}\(lastLabel)"

    /// Two of them with a dot stay below the 64 that the part before the @ may have.
    private static let localPart = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,31}"

    private static let uri: String = {
        let character = "(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})"
        let user = "(?:[a-zA-Z0-9._~!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*@"
        let name = "(?:[a-zA-Z0-9._~-]|%[0-9a-fA-F]{2})+"
        let authority = "//(?:\(user))?\(name)(?::[0-9]{1,4})?(?:/\(character)*)*"
        let rootless = "\(character)+(?:/\(character)*)*"
        let rest = "(?:\\?(?:\(character)|[/?])*)?(?:#(?:\(character)|[/?])*)?"
        return "[a-zA-Z][a-zA-Z0-9+.-]*:(?:\(authority)|/?\(rootless))\(rest)"
    }()
}
