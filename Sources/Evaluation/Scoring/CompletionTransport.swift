// The way to a server with OpenAI's API. Who owns the network implements it; here are the retries and what
// errors say.

import Text

/// A server's answer, whatever its status.
package struct CompletionReply: Sendable {
    package var status: Int
    package var body: [UInt8]
    /// How long the server asked to wait.
    package var retryAfter: Duration?

    package init(status: Int, body: [UInt8], retryAfter: Duration? = nil) {
        self.status = status
        self.body = body
        self.retryAfter = retryAfter
    }
}

/// Sends requests to one server.
package protocol CompletionTransport: Sendable {
    /// - Parameters:
    ///   - path: below the API's root, such as `chat/completions`.
    ///   - body: JSON to post; nil asks with GET.
    /// - Throws: if there was no complete answer; the same request may be sent again.
    func send(_ path: String, body: [UInt8]?) async throws -> CompletionReply
}

/// The server's answer is an error that sending again does not mend.
struct CompletionRefusal: Error, CustomStringConvertible {
    var path: String
    var status: Int
    var message: String

    var description: String {
        "\(path): the server answered \(status)\(message.isEmpty ? "" : ": \(message)"); \(remedy)"
    }

    private var remedy: String {
        switch status {
        case 401, 403: "give the key that it wants with --api_key"
        case 404: "check --api_url, which ends before /completions, and the name given with --model"
        default: "check the model's name and what the server can do"
        }
    }
}

/// How often, and after what pauses, a request is sent again.
package struct CompletionRetries: Sendable {
    /// How often a request is sent at most.
    package var attempts = 6
    /// The first pause; each one after it is twice as long, up to the longest.
    package var firstPause = Duration.milliseconds(500)
    package var longestPause = Duration.seconds(30)
    /// A server that asks for more than this is taken to be gone.
    package var longestRetryAfter = Duration.seconds(300)
    package var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    package init() {}

    /// 408 and 429 ask to come again, and a server that fails may be starting or restarting.
    static func mayMend(_ status: Int) -> Bool {
        [408, 429, 500, 502, 503, 504, 529].contains(status)
    }
}

/// A server, asked until it answers or has refused often enough.
struct CompletionServer: Sendable {
    let transport: any CompletionTransport
    let retries: CompletionRetries

    /// - Throws: `CompletionRefusal` for an answer that stays an error, `ScoringError` for none or one that
    ///   is not JSON.
    func ask(_ path: String, _ body: OrderedJSON?) async throws -> OrderedJSON {
        let bytes = body.map { Array($0.compactText.utf8) }
        var pause = retries.firstPause
        var attempt = 1
        while true {
            let problem: String
            var wanted: Duration?
            do {
                let reply = try await transport.send(path, body: bytes)
                if (200..<300).contains(reply.status) { return try Self.parsed(reply.body, path) }
                let refusal = CompletionRefusal(
                    path: path, status: reply.status, message: Self.message(reply.body))
                guard CompletionRetries.mayMend(reply.status) else { throw refusal }
                problem = "answered \(reply.status)\(refusal.message.isEmpty ? "" : ": \(refusal.message)")"
                wanted = reply.retryAfter
            } catch let error as CompletionRefusal {
                throw error
            } catch let error as ScoringError {
                throw error
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                problem = "gave no answer: \(error)"
            }
            guard attempt < retries.attempts, wanted ?? .zero <= retries.longestRetryAfter else {
                throw ScoringError(
                    "\(path): the server \(problem); asked \(attempt) times",
                    remedy: "see what the server says, and start again: what is done is kept")
            }
            try await retries.sleep(max(pause, wanted ?? .zero))
            pause = min(pause * 2, retries.longestPause)
            attempt += 1
        }
    }

    private static func parsed(_ body: [UInt8], _ path: String) throws -> OrderedJSON {
        do {
            return try OrderedJSON(parsingUTF8: body)
        } catch {
            throw ScoringError(
                "\(path): the answer is not JSON: \(error)",
                remedy: "check that --api_url is the root of an OpenAI API, such as http://HOST:8000/v1")
        }
    }

    /// What an error's body says, in OpenAI's form or a flat one.
    private static func message(_ body: [UInt8]) -> String {
        let text = String(decoding: body.prefix(4096), as: UTF8.self)
        guard let json = try? OrderedJSON(parsingUTF8: body) else {
            return String(text.prefix(200))
        }
        let message =
            json["error"]?["message"]?.stringValue ?? json["message"]?.stringValue
            ?? json["detail"]?.stringValue ?? json["error"]?.stringValue ?? text
        return String(message.prefix(400))
    }
}
