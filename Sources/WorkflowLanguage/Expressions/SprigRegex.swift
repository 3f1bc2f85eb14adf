// Sprig's functions on regular expressions, with the syntax of Go's regexp. Matching takes time linear in
// the text. The must functions are the plain ones, whose panic on a bad expression fails the call too.

import Text

enum SprigRegex {
    static let signatures: [String: String] = {
        var signatures = ["regexQuoteMeta": "text"]
        let withMust = [
            "regexMatch": "regex text", "regexFind": "regex text", "regexFindAll": "regex text limit",
            "regexSplit": "regex text limit", "regexReplaceAll": "regex text replacement",
            "regexReplaceAllLiteral": "regex text replacement",
        ]
        for (name, signature) in withMust {
            signatures[name] = signature
            signatures[SprigLists.must(name)] = signature
        }
        return signatures
    }()

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        if call.name == "regexQuoteMeta" { return .string(try quoted(&call)) }
        let (pattern, text) = (try call.string(0), try call.string(1))
        // At each byte every part of the pattern may be where a match has got to.
        try call.spend(bytes: text.utf8.count, times: pattern.utf8.count)
        let regex: RegularExpression
        do {
            regex = try RegularExpression(pattern)
        } catch {
            // Sprig's regexMatch alone drops the error.
            if call.name == "regexMatch" { return .bool(false) }
            throw call.error("\(error)")
        }
        switch call.name {
        case "regexMatch", "mustRegexMatch": return .bool(regex.matches(text))
        case "regexFind", "mustRegexFind":
            return .string(regex.firstMatch(in: text).map { part(of: text.utf8, $0.range) } ?? "")
        case "regexFindAll", "mustRegexFindAll":
            let limit = try call.int(2)
            if limit == 0 { return .array([]) }
            try call.spend(steps: text.utf8.count * costPerByte)
            let matches = regex.allMatches(in: text, limit: limit < 0 ? .max : limit)
            let bytes = Array(text.utf8)
            return .array(matches.map { .string(part(of: bytes, $0.range)) })
        case "regexSplit", "mustRegexSplit":
            let limit = try call.int(2)
            try call.spend(steps: text.utf8.count * costPerByte)
            return .array(regex.split(text, limit: limit).map { .string($0) })
        default: return .string(try replaced(&call, regex, text))
        }
    }

    /// Every byte may be a match of its own, with room for its groups.
    private static let costPerByte = 4

    private static func part(of text: some Collection<UInt8>, _ range: Range<Int>) -> String {
        SprigText.string(text.dropFirst(range.lowerBound).prefix(range.count))
    }

    /// Pays for the longest text that the replacement can lead to before it is made: the replacement at every
    /// match, and all of the text once for every group it may name.
    private static func replaced(
        _ call: inout SprigCall, _ regex: RegularExpression, _ text: String
    ) throws(ExpressionError) -> String {
        let replacement = try call.string(2)
        try call.spend(steps: text.utf8.count * costPerByte)
        try call.spend(bytes: replacement.utf8.count, times: regex.allMatches(in: text).count)
        if call.name.hasSuffix("Literal") { return regex.replacingAll(in: text, literal: replacement) }
        let groups = replacement.utf8.count { $0 == UInt8(ascii: "$") }
        try call.spend(bytes: text.utf8.count, times: groups + 1)
        return regex.replacingAll(in: text, with: replacement)
    }

    /// A backslash before each character that means something in an expression.
    private static func quoted(_ call: inout SprigCall) throws(ExpressionError) -> String {
        let text = try call.bytes(0)
        try call.spend(bytes: text.count * 2)
        let special = Set(#"\.+*?()|[]{}^$"#.utf8)
        return SprigText.string(text.flatMap { special.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] })
    }
}
