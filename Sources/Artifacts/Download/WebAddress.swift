// An http, https or file address in its parts: to know what a redirect means and who may see a token.

/// scheme://user@host:port/path?query. A fragment is dropped.
struct WebAddress: Sendable, Equatable {
    /// Lower case.
    var scheme: String
    var userInfo: String?
    /// Lower case, without port; an IPv6 address with its brackets.
    var host: String
    var port: Int?
    /// Path and query, beginning with a slash.
    var target: String

    init?(_ text: String) {
        guard let colon = text.range(of: "://") else { return nil }
        scheme = text[..<colon.lowerBound].lowercased()
        guard ["http", "https", "file"].contains(scheme) else { return nil }
        let rest = text[colon.upperBound...].prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") {
            userInfo = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        }
        let bracket = authority.lastIndex(of: "]") ?? authority.startIndex
        if let separator = authority[bracket...].lastIndex(of: ":") {
            let digits = authority[authority.index(after: separator)...]
            if !digits.isEmpty {
                guard let number = UInt16(digits) else { return nil }
                port = Int(number)
            }
            authority = authority[..<separator]
        }
        host = authority.lowercased()
        if host.isEmpty && scheme != "file" { return nil }
        let path = Self.escaped(rest[end...])
        target = path.hasPrefix("/") ? path : "/" + path
    }

    var text: String {
        "\(scheme)://" + (userInfo.map { $0 + "@" } ?? "") + host + (port.map { ":\($0)" } ?? "") + target
    }

    /// Scheme, host and port: who is asked, and who may see what is meant for him.
    var origin: String { "\(scheme)://\(host):\(port ?? (scheme == "https" ? 443 : 80))" }

    /// For messages: without a password, and without a query that signs the request.
    var shown: String {
        var copy = self
        copy.userInfo = nil
        if let question = target.firstIndex(of: "?") {
            let query = target[question...].lowercased()
            let secrets = ["sign", "token", "credential", "key", "auth", "secret", "password", "policy"]
            if secrets.contains(where: { query.range(of: $0) != nil }) {
                copy.target = target[..<question] + "?..."
            }
        }
        return copy.text
    }

    /// An address for messages; one that cannot be read is shown up to its query.
    static func shown(_ text: String) -> String {
        WebAddress(text)?.shown ?? String(text.prefix { $0 != "?" && $0 != "@" })
    }

    /// The path of a `file:` address, its percent escapes resolved.
    var filePath: String {
        let bytes = Array(target.utf8)
        var path: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[index + 1...index + 2], as: UTF8.self), radix: 16)
            {
                path.append(value)
                index += 3
            } else {
                path.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: path, as: UTF8.self)
    }

    /// What a `Location` in an answer of this address means (RFC 3986, section 5.2).
    func resolved(_ reference: String) -> WebAddress? {
        let reference = String(reference.prefix { $0 != "#" })
        if let absolute = WebAddress(reference) { return absolute.scheme == "file" ? nil : absolute }
        if reference.hasPrefix("//") { return WebAddress("\(scheme):\(reference)") }
        // Another scheme, "ftp:" for example, is not followed.
        let head = reference.prefix { $0 != "/" && $0 != "?" }
        if head.contains(":") { return nil }
        var copy = self
        let path = target.prefix { $0 != "?" }
        if reference.isEmpty { return self }
        if reference.hasPrefix("/") {
            copy.target = Self.withoutDots(Self.escaped(reference[...]))
        } else if reference.hasPrefix("?") {
            copy.target = path + Self.escaped(reference[...])
        } else {
            let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
            copy.target = Self.withoutDots(folder + Self.escaped(reference[...]))
        }
        return copy
    }

    /// Resolves the segments "." and ".." of a path; a query stays as it is.
    private static func withoutDots(_ target: String) -> String {
        let path = target.prefix { $0 != "?" }
        var kept: [Substring] = []
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/") + target[path.endIndex...]
    }

    /// Servers send blanks and letters beyond ASCII in `Location`, which a request line must not have.
    private static func escaped(_ text: Substring) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte > 0x20 && byte < 0x7F {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension StringProtocol {
    /// Where a text stands first.
    func range(of text: String) -> Range<Index>? {
        guard let first = text.first else { return startIndex..<startIndex }
        var start = startIndex
        while let candidate = self[start...].firstIndex(of: first) {
            if self[candidate...].hasPrefix(text) {
                return candidate..<index(candidate, offsetBy: text.count)
            }
            start = index(after: candidate)
        }
        return nil
    }
}
