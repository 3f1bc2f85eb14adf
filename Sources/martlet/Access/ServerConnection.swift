// Requests to a Martlet server: JSON in, JSON out, refusals as operations have them.

import Artifacts
import Controller
import Foundation
import Synchronization
import Text

/// One server. Each request runs on a thread of its own for as long as the server takes.
struct ServerConnection: Sendable {
    /// The longest answer: a run of 100,000 nodes is some hundred megabytes.
    private static let answerLimitBytes = 1 << 30
    /// The longest line of an event stream.
    private static let lineLimitBytes = 256 << 20
    private static let readRetries = 2

    let endpoint: ServerEndpoint
    private let downloader: Downloader

    init(_ endpoint: ServerEndpoint) {
        self.endpoint = endpoint
        var settings = DownloadSettings(environment: ProcessInfo.processInfo.environment)
        settings.usesNetrc = false
        settings.usesProxy = !Self.isLoopback(endpoint.root)
        settings.maxConnections = 4
        settings.userAgent = "martlet/\(BuildInfo.version)"
        downloader = Downloader(settings)
    }

    private static func isLoopback(_ root: String) -> Bool {
        let host = root.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true).last ?? ""
        return host.hasPrefix("/127.") || host.hasPrefix("127.") || host.hasPrefix("localhost")
            || host.hasPrefix("/localhost") || host.hasPrefix("[::1]") || host.hasPrefix("/[::1]")
    }

    /// The address of a path.
    /// - Parameter path: its segments, as they are; each is encoded.
    func url(_ path: [String], _ query: [(String, String)] = []) -> String {
        var text = endpoint.root + path.map { "/" + Self.encoded($0) }.joined()
        for (index, (name, value)) in query.enumerated() {
            text += (index == 0 ? "?" : "&") + Self.encoded(name) + "=" + Self.encoded(value)
        }
        return text
    }

    static func encoded(_ text: String) -> String {
        var encoded = ""
        let digits = Array("0123456789ABCDEF")
        for byte in text.utf8 {
            let scalar = Character(UnicodeScalar(byte))
            if byte < 128, scalar.isLetter || scalar.isNumber || "-_.~@".contains(scalar) {
                encoded.append(scalar)
            } else {
                encoded += "%" + String(digits[Int(byte >> 4)]) + String(digits[Int(byte & 15)])
            }
        }
        return encoded
    }

    private func headers(_ accept: String, hasBody: Bool) -> [String] {
        var headers = ["Accept: \(accept)"]
        if hasBody { headers.append("Content-Type: application/json") }
        if let token = endpoint.token { headers.append("Authorization: Bearer \(token)") }
        return headers
    }

    /// A flag that another task raises.
    private final class Flag: Sendable {
        let isRaised = Mutex(false)
    }

    /// Asks and gives the answer's JSON.
    /// - Throws: `OperationError` for what the server refuses; `CommandError` where it cannot be reached or asks who
    ///   we are.
    func ask(
        _ method: String = "GET", _ path: [String], _ query: [(String, String)] = [], body: JSONValue? = nil
    ) async throws -> JSONValue {
        let isRead = method == "GET"
        let sent = isRead ? nil : Array((body ?? .object([:])).compactText.utf8)
        let request = HubRequest(
            method, url: url(path, query), headers: headers("application/json", hasBody: !isRead),
            body: sent.map { .bytes($0) } ?? .none, redirects: .relativeOnly,
            outputLimitBytes: Self.answerLimitBytes, retries: isRead ? Self.readRetries : 0)
        let flag = Flag()
        let reply: HubReply
        do {
            reply = try await withTaskCancellationHandler {
                try await SystemThread.run { [downloader] in
                    try downloader.exchange(request, isCancelled: { flag.isRaised.withLock { $0 } })
                }
            } onCancel: {
                flag.isRaised.withLock { $0 = true }
            }
        } catch let error as DownloadError {
            throw unreachable(error)
        }
        try Task.checkCancellation()
        guard (200..<300).contains(reply.status) else { throw refusal(reply) }
        if reply.body.isEmpty { return .object([:]) }
        do {
            return try JSONValue(parsingUTF8: reply.body)
        } catch {
            throw CommandError(
                "\(endpoint.root) does not answer as a martlet server does: its answer is no JSON", status: 2)
        }
    }

    /// Hands on the lines of an endless answer until it ends, or `take` answers false. Blocks the calling thread.
    /// - Throws: as `ask`; also when the connection breaks.
    func lines(
        _ path: [String], _ query: [(String, String)], accept: String,
        isCancelled: @escaping @Sendable () -> Bool = { false }, take: @escaping (String) -> Bool
    ) throws {
        let request = HubRequest(
            "GET", url: url(path, query), headers: headers(accept, hasBody: false), redirects: .relativeOnly,
            outputLimitBytes: Self.lineLimitBytes, retries: 0)
        do {
            guard let reply = try downloader.lines(request, isCancelled: isCancelled, take: take) else {
                return
            }
            guard (200..<300).contains(reply.status) else { throw refusal(reply) }
        } catch let error as DownloadError {
            throw unreachable(error)
        }
    }

    private func unreachable(_ error: DownloadError) -> CommandError {
        CommandError(
            "cannot reach the server at \(endpoint.root): \(error); see --server and $MARTLET_SERVER",
            status: 2)
    }

    /// What the server said, as the verbs say it.
    private func refusal(_ reply: HubReply) -> any Error {
        let body = try? JSONValue(parsingUTF8: reply.body)
        let message = body?["message"]?.stringValue ?? "the server answered with status \(reply.status)"
        let code = body?["code"]?.intValue
        switch reply.status {
        case 400 where code == 9: return OperationError(.precondition, message)
        case 400, 413, 415, 422: return OperationError(.invalid, message)
        case 404: return OperationError(.notFound, message)
        case 409: return OperationError(.conflict, message)
        case 429: return OperationError(.exhausted, message)
        case 401:
            return CommandError(
                "\(endpoint.root): \(message); give a token by $MARTLET_TOKEN or in ~/.config/martlet/token",
                status: 2)
        case 403: return CommandError("\(endpoint.root): \(message)", status: 2)
        default: return OperationError(.unavailable, "\(endpoint.root): \(message)")
        }
    }
}
