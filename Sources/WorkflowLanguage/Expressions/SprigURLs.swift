// Sprig's `urlParse` and `urlJoin`, which take addresses apart and put them together as Go's net/url does.

import Text

enum SprigURLs {
    static let signatures: [String: String] = ["urlParse": "url", "urlJoin": "object"]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        switch call.name {
        case "urlParse":
            let text = try call.bytes(0)
            try call.spend(steps: text.count)
            return .object(try URLParts(text, call).members)
        case "urlJoin":
            try call.spend(walking: call.arguments[0])
            return .string(try joined(call, try call.object(0)))
        default: throw call.error("is not implemented")
        }
    }

    private static func joined(
        _ call: SprigCall, _ members: [String: ExpressionValue]
    ) throws(ExpressionError) -> String {
        var parts: [String: String] = [:]
        for key in ["scheme", "host", "path", "query", "opaque", "fragment", "userinfo"] {
            switch members[key] {
            case nil: parts[key] = ""
            case .string(let text)?: parts[key] = text
            case let value?: throw call.error("\(key) must be a string, not \(SprigCall.describe(value))")
            }
        }
        let (scheme, host, path) = (parts["scheme"] ?? "", parts["host"] ?? "", parts["path"] ?? "")
        let (opaque, userinfo) = (parts["opaque"] ?? "", parts["userinfo"] ?? "")
        var result = scheme.isEmpty ? "" : scheme + ":"
        if !opaque.isEmpty {
            result += opaque
        } else {
            if !scheme.isEmpty || !host.isEmpty || !userinfo.isEmpty {
                if !host.isEmpty || !path.isEmpty || !userinfo.isEmpty { result += "//" }
                if !userinfo.isEmpty { result += try userinfoText(call, userinfo) + "@" }
                result += PercentEncoding.escape(host, keeping: PercentEncoding.host)
            }
            if !path.isEmpty, path.utf8.first != UInt8(ascii: "/"), !host.isEmpty { result += "/" }
            // A colon in the first element would otherwise end a scheme.
            let first = path.utf8.prefix { $0 != UInt8(ascii: "/") }
            if result.isEmpty, first.contains(UInt8(ascii: ":")) { result += "./" }
            result += path == "*" ? path : PercentEncoding.escape(path, keeping: PercentEncoding.path)
        }
        if let query = parts["query"], !query.isEmpty { result += "?" + query }
        if let fragment = parts["fragment"], !fragment.isEmpty {
            result += "#" + PercentEncoding.escape(fragment, keeping: PercentEncoding.fragment)
        }
        return result
    }

    private static func userinfoText(_ call: SprigCall, _ text: String) throws(ExpressionError) -> String {
        try URLParts(Array("proto://\(text)@host".utf8), call).userinfo
    }
}

/// The parts of an address, unescaped as Go's url.URL has them.
private struct URLParts {
    private(set) var scheme = ""
    private(set) var userinfo = ""
    private var host = ""
    private var path = ""
    private var query = ""
    private var opaque = ""
    private var fragment = ""

    init(_ text: [UInt8], _ call: SprigCall) throws(ExpressionError) {
        func fail(_ problem: String) -> ExpressionError {
            call.error("\"\(SprigText.string(text))\" is not a URL: \(problem)")
        }
        func unescape(_ bytes: some Sequence<UInt8>) throws(ExpressionError) -> String {
            guard let plain = PercentEncoding.unescape(Array(bytes)) else {
                throw fail("% must be followed by two hexadecimal digits")
            }
            return plain
        }
        guard !text.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw fail("it has control characters")
        }
        var rest = text[...]
        if let hash = rest.firstIndex(of: UInt8(ascii: "#")) {
            fragment = try unescape(rest[(hash + 1)...])
            rest = rest[..<hash]
        }
        guard rest.first != UInt8(ascii: ":") else { throw fail("the scheme is missing") }
        if let colon = Self.endOfScheme(rest) {
            scheme = SprigText.string(rest[..<colon]).lowercased()
            rest = rest[(colon + 1)...]
        }
        if let mark = rest.firstIndex(of: UInt8(ascii: "?")) {
            query = SprigText.string(rest[(mark + 1)...])
            rest = rest[..<mark]
        }
        let slash = UInt8(ascii: "/")
        if rest.first != slash {
            if !scheme.isEmpty {
                opaque = SprigText.string(rest)
                return
            }
            if rest.prefix(while: { $0 != slash }).contains(UInt8(ascii: ":")) {
                throw fail("the first element of its path has a colon")
            }
        }
        if rest.starts(with: [slash, slash]), !scheme.isEmpty || !rest.starts(with: [slash, slash, slash]) {
            rest = rest.dropFirst(2)
            let end = rest.firstIndex(of: slash) ?? rest.endIndex
            var authority = rest[..<end]
            rest = rest[end...]
            if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
                let halves = authority[..<at].split(
                    separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
                var escaped: [String] = []
                for half in halves {
                    escaped.append(PercentEncoding.escape(try unescape(half), keeping: PercentEncoding.user))
                }
                userinfo = escaped.joined(separator: ":")
                authority = authority[(at + 1)...]
            }
            guard Self.hasValidPort(authority) else { throw fail("the port is not a number") }
            host = try unescape(authority)
        }
        path = try unescape(rest)
    }

    /// The colon after a scheme: a letter, then letters, digits, `+`, `-` and `.`.
    private static func endOfScheme(_ text: ArraySlice<UInt8>) -> Int? {
        for (index, byte) in zip(text.indices, text) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"),
                UInt8(ascii: "."):
                if index == text.startIndex { return nil }
            case UInt8(ascii: ":"): return index
            default: return nil
            }
        }
        return nil
    }

    /// Where the port's colon is: after the brackets of an IPv6 address, or the last one.
    private static func portColon(_ host: ArraySlice<UInt8>) -> Int? {
        let start = host.lastIndex(of: UInt8(ascii: "]")) ?? host.startIndex
        return host[start...].lastIndex(of: UInt8(ascii: ":"))
    }

    private static func hasValidPort(_ host: ArraySlice<UInt8>) -> Bool {
        guard let colon = portColon(host) else { return true }
        return host[(colon + 1)...].allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    }

    var members: [String: ExpressionValue] {
        let bytes = Array(host.utf8)
        var name = bytes[...]
        if let colon = Self.portColon(name) { name = name[..<colon] }
        if name.first == UInt8(ascii: "["), name.last == UInt8(ascii: "]") {
            name = name.dropFirst().dropLast()
        }
        return [
            "scheme": .string(scheme), "host": .string(host), "hostname": .string(SprigText.string(name)),
            "path": .string(path), "query": .string(query), "opaque": .string(opaque),
            "fragment": .string(fragment), "userinfo": .string(userinfo),
        ]
    }
}

/// RFC 3986's escapes, with the sets of characters that Go leaves alone in each part.
private enum PercentEncoding {
    private static let unreserved = Set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~".utf8)
    static let path = unreserved.union("$&+,/:;=@".utf8)
    static let user = unreserved.union("$&+,;=".utf8)
    static let host = unreserved.union("!$&'()*+,;=:[]<>\"".utf8)
    static let fragment = unreserved.union("$&+,/:;=?@!()*".utf8)

    static func escape(_ text: String, keeping kept: Set<UInt8>) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            if kept.contains(byte) {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return SprigText.string(result)
    }

    /// Nil where a percent sign is not followed by two hexadecimal digits.
    static func unescape(_ text: [UInt8]) -> String? {
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
            guard text[index] == UInt8(ascii: "%") else {
                result.append(text[index])
                index += 1
                continue
            }
            let pair = text[(index + 1)...].prefix(2)
            guard pair.count == 2, pair.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let byte = UInt8(SprigText.string(pair), radix: 16)
            else { return nil }
            result.append(byte)
            index += 3
        }
        return SprigText.string(result)
    }
}
