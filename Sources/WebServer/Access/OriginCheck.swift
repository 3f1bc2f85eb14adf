// Which pages may use the service. Any page in a user's browser can send requests to 127.0.0.1, so the absence of
// tokens must not mean that every page on the web may run commands here.

/// Checks `Origin` and `Host`.
struct OriginCheck: Sendable {
    /// True on loopback without tokens: then a foreign Host means that some page rebound its name to this machine.
    let checksHost: Bool
    /// Names, in lowercase and without ports, that are allowed beside loopback's: those of a proxy before this server.
    let allowedHosts: Set<String>

    init(checksHost: Bool, allowedHosts: [String] = []) {
        self.checksHost = checksHost
        self.allowedHosts = Set(allowedHosts.map { $0.lowercased() })
    }

    /// - Parameter showsToken: whether the request has an `Authorization` header, which no foreign page can have.
    func check(origin: String?, host: String?, showsToken: Bool) throws(ServiceError) {
        if checksHost {
            guard let host, isAllowed(OriginPolicy.name(ofHost: host)) else {
                throw .forbidden(
                    "this server listens on loopback and was asked for as another host; use 127.0.0.1 or localhost, "
                        + "name a proxy by `--allow-host`, or start the server with `--auth token`")
            }
        }
        guard let origin, !showsToken else { return }
        guard let authority = Self.authority(ofOrigin: origin), let host, authority == host.lowercased()
        else {
            throw .forbidden("pages of other origins may not use this server")
        }
    }

    private func isAllowed(_ name: String) -> Bool {
        OriginPolicy.isLoopback(name) || allowedHosts.contains(name.lowercased())
    }

    /// Host and port of an origin. Its scheme does not matter: one port speaks one of them, and a proxy that ends TLS
    /// changes it.
    private static func authority(ofOrigin origin: String) -> String? {
        let origin = origin.lowercased()
        for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
            return String(origin.dropFirst(scheme.count))
        }
        return nil
    }
}
