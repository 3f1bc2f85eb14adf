// Addresses of servers as kubeconfig files write them, and text for URLs.

struct ServerAddress: Sendable, Hashable {
    var scheme: String
    /// `user` and `password`, decoded.
    var login: (String, String)? {
        userInformation.map { text in
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return (
                URLText.decoded(String(parts[0])), parts.count > 1 ? URLText.decoded(String(parts[1])) : ""
            )
        }
    }
    private var userInformation: String?
    /// Without the brackets of IPv6.
    var host: String
    var port: Int?
    var path: String

    init?(_ text: String) {
        guard let mark = text.range("://") else { return nil }
        scheme = String(text[..<mark.lowerBound])
        var rest = text[mark.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        path = String(rest[slash...])
        rest = rest[..<slash]
        if let at = rest.lastIndex(of: "@") {
            userInformation = String(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            host = String(rest[rest.index(after: rest.startIndex)..<end])
            rest = rest[rest.index(after: end)...]
        } else {
            let colon = rest.lastIndex(of: ":") ?? rest.endIndex
            host = String(rest[..<colon])
            rest = rest[colon...]
        }
        if rest.hasPrefix(":") {
            guard let number = Int(rest.dropFirst()), (1...65_535).contains(number) else { return nil }
            port = number
        }
        if host.isEmpty { return nil }
    }

    func replacingHost(with name: String) -> String {
        "\(scheme)://\(name)\(port.map { ":\($0)" } ?? "")\(path)"
    }
}

enum URLText {
    /// Everything but letters, digits and `-._~` as percent signs.
    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }

    static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    /// Where a text first stands in this one.
    func range(_ text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
