// How a model is served: address, names, keys and limits.

/// Settings of the OpenAI-compatible server. Every queue and every wait has its limit here.
package struct ServingSettings: Sendable {
    package enum LogLevel: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    /// How the model's calls of tools are recognized.
    package enum ToolParsing: Sendable, Hashable {
        /// By the chat template.
        case auto
        case format(ToolCallFormat)
    }

    package var host = "127.0.0.1"
    /// 0 takes any free port.
    package var port = 8000
    /// Without any, no key is asked for.
    package var apiKeys: [String] = []
    /// Names that requests may use; the first is told in answers. Without any, the engine's own name.
    package var servedModelNames: [String] = []
    /// How many generations may wait for their first token; more get status 429.
    package var maxQueue = 1_024
    /// Bytes of a request's body.
    package var maxRequestBytes = 32 << 20
    /// Generating requests that are answered at once, running and waiting ones.
    package var maxConcurrentStreams = 1_024
    /// Connections, used or idle; more wait in the operating system's backlog.
    package var maxConnections = 4_096
    /// What running requests get to finish after the server was told to stop.
    package var drainTimeout = Duration.seconds(30)
    /// How long one answer may take; nil sets no limit.
    package var requestTimeout: Duration?
    /// Connections without a request are closed after this.
    package var idleTimeout = Duration.seconds(60)
    /// How long a body may take to arrive.
    package var bodyTimeout = Duration.seconds(60)
    /// How long a client may leave a streamed answer unread.
    package var writeTimeout = Duration.seconds(60)
    /// Silence after which streams send a comment.
    package var heartbeat = Duration.seconds(10)
    /// Web pages that may use the server; "*" allows all. None by default.
    package var allowedOrigins: [String] = []
    package var defaults = SamplingDefaults()
    package var toolParsing = ToolParsing.auto
    /// Split the text between think tags off into `reasoning_content`, as Qwen3's parser does.
    package var splitsReasoning = false
    /// A chat template in place of the model's own.
    package var chatTemplate: String?
    /// Whether requests may bring a chat template. Templates are programs, so only trusted clients should.
    package var trustsRequestTemplates = false
    /// Whether requests may load and unload adapters by a path of this machine.
    package var allowsAdapterLoading = true
    /// Told by /version.
    package var version = "0.0.0"
    /// Where the model lies, told by /v1/models as `root`; nil tells its name.
    package var modelRoot: String?
    package var logLevel = LogLevel.notice

    package init() {}
}
