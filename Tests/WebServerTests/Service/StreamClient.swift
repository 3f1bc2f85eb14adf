// A client of one stream, as a test is one: it waits for what it wants to hear, and leaves when it has heard enough.

import Controller
import Synchronization
import Testing

@testable import WebServer

/// What was heard so far, and the connection it came by. Nothing here waits for a time: whoever waits is woken by what is
/// written, and by the end.
final class StreamClient: Sendable {
    private struct Waiter {
        var isEnough: @Sendable (String) -> Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var bytes: [UInt8] = []
        var isOver = false
        var nextKey = 0
        var waiters: [Int: Waiter] = [:]
    }

    let connection = ConnectionWatch()
    private let state = Mutex(State())

    /// All that was written.
    var text: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }

    /// Waits until what was heard is enough, or until the stream has ended, and gives all of it.
    func heard(_ isEnough: @escaping @Sendable (String) -> Bool) async -> String {
        let key = state.withLock { state in
            state.nextKey += 1
            return state.nextKey
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state -> Bool in
                    if state.isOver || Task.isCancelled
                        || isEnough(String(decoding: state.bytes, as: UTF8.self))
                    {
                        return true
                    }
                    state.waiters[key] = Waiter(isEnough: isEnough, continuation: continuation)
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: key) }
            waiter?.continuation.resume()
        }
        return text
    }

    /// The client goes away.
    func leave() { connection.markGone() }

    fileprivate func take(_ more: [UInt8]) {
        let due = state.withLock { state -> [Waiter] in
            state.bytes += more
            let text = String(decoding: state.bytes, as: UTF8.self)
            let keys = state.waiters.filter { $0.value.isEnough(text) }.map(\.key)
            return keys.compactMap { state.waiters.removeValue(forKey: $0) }
        }
        for waiter in due { waiter.continuation.resume() }
    }

    fileprivate func end() {
        let due = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in due { waiter.continuation.resume() }
    }
}

/// Hands on what a stream writes.
private final class ClientSink: ReplySink {
    private let client: StreamClient

    init(_ client: StreamClient) { self.client = client }

    func write(_ bytes: [UInt8]) async throws { client.take(bytes) }

    func writeFile(
        _ descriptor: Int32, from offset: Int, count: Int, sent: @Sendable (Int) -> Void
    ) async throws { throw FileEnded() }
}

/// The answer was no stream.
struct NoStream: Error {
    var status: Int
}

extension ServiceHarness {
    /// Opens a stream and hands its client to `body`. When that returns the client leaves, and the stream must end.
    func listen<Value: Sendable>(
        _ target: String, headers: [String: String] = [:], token: String? = nil,
        _ body: @Sendable (StreamClient) async throws -> Value
    ) async throws -> Value {
        let client = StreamClient()
        let reply = try await responder.respond(
            to: request("GET", target, headers: headers, token: token, connection: client.connection))
        guard case .stream(let write) = reply.body else { throw NoStream(status: reply.status) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { client.end() }
                try await write(ClientSink(client))
            }
            defer { client.leave() }
            let value = try await body(client)
            client.leave()
            try await group.waitForAll()
            return value
        }
    }

    /// Answers whether the service is ready, and tells streams of changes, for as long as `body` goes on.
    func running<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.readiness.run() }
            group.addTask { try await self.feed.run() }
            defer { group.cancelAll() }
            return try await body()
        }
    }
}
