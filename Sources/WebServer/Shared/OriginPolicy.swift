// Which web pages may use the server. Any page in a user's browser can send requests to 127.0.0.1, so the
// absence of keys must not mean that every page on the web may run the model.

/// Checks `Origin` and `Host`, and makes the headers of cross-origin resource sharing (CORS).
struct OriginPolicy: Sendable {
    private let allowedOrigins: Set<String>
    private let allowsAll: Bool
    /// True when the server listens on loopback without keys: then a foreign Host header means that some
    /// page rebound its name to this machine.
    private let checksHost: Bool

    init(allowedOrigins: [String], host: String, hasKeys: Bool) {
        self.allowedOrigins = Set(allowedOrigins.map { $0.lowercased() })
        allowsAll = allowedOrigins.contains("*")
        checksHost = !hasKeys && Self.isLoopback(host)
    }

    /// Nil if the request may go on.
    func refusal(origin: String?, host: String?) -> APIError? {
        if checksHost, let host, !Self.isLoopback(Self.name(ofHost: host)) {
            return .forbidden(
                "this server listens on loopback and was asked for as another host; use 127.0.0.1 or "
                    + "localhost, or start it with an API key")
        }
        guard let origin, !allows(origin) else { return nil }
        if let host, origin.lowercased() == "http://\(host.lowercased())" { return nil }
        return .forbidden("pages of this origin may not use this server; allow it by `--allowed_origins`")
    }

    /// Headers for the answer to a request of that origin.
    func headers(origin: String?) -> [(name: String, value: String)] {
        guard let origin, allows(origin) else { return [] }
        return [("Access-Control-Allow-Origin", allowsAll ? "*" : origin), ("Vary", "Origin")]
    }

    /// Headers for the question that browsers ask first; nil if the origin is not allowed.
    func preflightHeaders(
        origin: String?, requestedHeaders: String?
    ) -> [(name: String, value: String)]? {
        guard let origin, allows(origin) else { return nil }
        return headers(origin: origin) + [
            ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
            ("Access-Control-Allow-Headers", Self.safe(requestedHeaders) ?? "Authorization, Content-Type"),
            ("Access-Control-Max-Age", "600"),
        ]
    }

    private func allows(_ origin: String) -> Bool {
        allowsAll || allowedOrigins.contains(origin.lowercased())
    }

    /// Header names are letters, digits and hyphens; anything else is not sent back.
    private static func safe(_ names: String?) -> String? {
        guard let names, !names.isEmpty, names.utf8.count <= 500 else { return nil }
        let allowed = names.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: ","), UInt8(ascii: " "):
                return true
            default: return false
            }
        }
        return allowed ? names : nil
    }

    /// The host without its port; brackets of IPv6 addresses fall away.
    static func name(ofHost host: String) -> String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }

    static func isLoopback(_ name: String) -> Bool {
        let name = name.lowercased()
        return name == "localhost" || name == "::1" || name.hasSuffix(".localhost") || isIPv4Loopback(name)
    }

    /// Only a real address: `127.evil.example` is a name that anyone may own.
    private static func isIPv4Loopback(_ name: String) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
