// How a directory of models and data sets is served: address, tokens, limits and, for tests, faults.

/// Settings of the hub server. Every queue and every wait has its limit here.
package struct HubServingSettings: Sendable {
    /// The directory with the repositories.
    package var directory: String
    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 0
    /// Stands before the paths of links, where this is a part of another server.
    package var pathPrefix = ""
    /// Whether that server has looked at host, origin and token.
    package var isMounted = false
    /// Without any, no token is asked for.
    package var tokens: [String] = []
    /// Where digests are remembered between starts; nil remembers them in memory only.
    package var stateDirectory: String?
    /// Entries of a page of the Hugging Face protocol's lists.
    package var pageSize = 1_000
    /// Whether GET /-/stats tells what was sent.
    package var showsStatistics = false
    /// What goes wrong on purpose; nil for nothing.
    package var faults: FaultPlan?
    /// For how long a look at a repository's files counts, when somebody asks for a file of `main`. Lists and
    /// descriptions always look again.
    package var freshness = Duration.seconds(1)
    /// Requests that are answered at once; more are told to come back (503).
    package var maxRequests = 2_048
    package var maxConnections = 4_096
    package var maxRequestBytes = 8 << 20
    package var idleTimeout = Duration.seconds(120)
    package var bodyTimeout = Duration.seconds(30)
    /// How long a client may leave a piece of a file unread.
    package var writeTimeout = Duration.seconds(120)
    /// What running downloads get to finish after the server was told to stop.
    package var drainTimeout = Duration.seconds(5)
    package var logLevel = ServingSettings.LogLevel.notice

    package init(directory: String) { self.directory = directory }
}

/// A setting, a file or a folder that the server cannot work with.
package struct HubSettingsError: Error, Sendable, CustomStringConvertible {
    /// The file, folder or field.
    package var place: String
    package var problem: String

    package var description: String { "\(place): \(problem)" }
}
