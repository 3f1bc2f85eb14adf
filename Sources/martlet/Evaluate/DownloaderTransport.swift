// Requests to an OpenAI server over the program's own HTTP client, each on a thread of its own for as long
// as the server takes.

import Artifacts
import Evaluation
import Synchronization

/// One server and the key for it.
struct DownloaderTransport: CompletionTransport {
    private let downloader: Downloader
    /// Without a slash at the end; `/completions` and the like come behind.
    let root: String
    private let key: String?

    /// As long as a server may think before its answer begins.
    private static let stallTimeout = Duration.seconds(1800)
    private static let answerLimitBytes = 256 << 20

    /// A flag that another task raises.
    private final class Flag: Sendable {
        let isRaised = Mutex(false)
    }

    /// - Parameters:
    ///   - address: as people and other programs write it: with or without `/v1`, or a route of the API.
    ///   - connections: requests at once.
    init(address: String, key: String?, connections: Int) {
        root = Self.root(of: address)
        self.key = key
        var settings = DownloadSettings()
        settings.maxConnections = max(1, connections)
        settings.stallTimeout = Self.stallTimeout
        downloader = Downloader(settings)
    }

    /// `http://host:8000/v1` of `http://host:8000`, `http://host:8000/v1/` and
    /// `http://host:8000/v1/chat/completions`.
    static func root(of address: String) -> String {
        var text = address[...]
        func dropSlashes() { while text.hasSuffix("/") { text = text.dropLast() } }
        dropSlashes()
        for route in ["/chat/completions", "/completions", "/models"] where text.hasSuffix(route) {
            text = text.dropLast(route.count)
            break
        }
        dropSlashes()
        let host = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text
        return host.contains("/") ? String(text) : text + "/v1"
    }

    func send(_ path: String, body: [UInt8]?) async throws -> CompletionReply {
        var headers = ["Accept: application/json"]
        if body != nil { headers.append("Content-Type: application/json") }
        if let key { headers.append("Authorization: Bearer \(key)") }
        let request = HubRequest(
            body == nil ? "GET" : "POST", url: "\(root)/\(path)", headers: headers,
            body: body.map { .bytes($0) } ?? .none, redirects: .relativeOnly,
            outputLimitBytes: Self.answerLimitBytes, retries: 0)
        let flag = Flag()
        let reply = try await withTaskCancellationHandler {
            try await SystemThread.run { [downloader] in
                try downloader.exchange(request, isCancelled: { flag.isRaised.withLock { $0 } })
            }
        } onCancel: {
            flag.isRaised.withLock { $0 = true }
        }
        try Task.checkCancellation()
        return CompletionReply(
            status: reply.status, body: reply.body,
            retryAfter: reply.headers["Retry-After"].flatMap { Int($0) }.map { .seconds(max(0, $0)) })
    }
}
