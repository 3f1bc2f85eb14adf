// How the service listens, whom it asks for tokens, and what its bounds are.

/// Settings of `martlet server` as far as its HTTP side goes, with the command's defaults.
package struct ServiceSettings: Sendable {
    /// Who is asked for a token.
    package enum Authentication: String, Sendable, Hashable, CaseIterable {
        /// Nobody on loopback, everyone elsewhere.
        case automatic = "auto"
        case token
        case none
    }

    package var host = "127.0.0.1"
    /// 0 takes a free one.
    package var port = 2746
    package var authentication = Authentication.automatic
    /// Names of proxies before this server, which loopback without tokens answers to as well.
    package var allowedHosts: [String] = []
    /// Plain HTTP without.
    package var tls: TLSFiles?
    /// A folder with the page's files, in place of those inside the binary; for working on the page.
    package var pageDirectory: String?
    package var version = ""
    /// Whether `/metrics` needs no token where others do.
    package var opensMetrics = false

    package var maxConnections = 16_384
    package var maxRequests = 1_024
    package var maxStreams = 8_192
    /// What all bodies together may take in memory.
    package var maxBodyBytes = 256 << 20
    package var idleTimeout = Duration.seconds(60)
    package var bodyTimeout = Duration.seconds(60)
    package var writeTimeout = Duration.seconds(60)
    /// What running requests and downloads get to finish after the server was told to stop.
    package var drainTimeout = Duration.seconds(5)

    package init() {}

    /// Whether the address cannot be reached from other machines.
    package var isLoopback: Bool { OriginPolicy.isLoopback(host) }

    var accessMode: AccessControl.Mode {
        switch authentication {
        case .automatic: isLoopback ? .open : .token
        case .token: .token
        case .none: .open
        }
    }

    /// Whether the server must not start without a token that opens something: nobody could use it.
    package var needsTokens: Bool { accessMode == .token && !isLoopback }
}
