// The service without sockets: a real store in a directory of its own, and requests as plain calls.

import Artifacts
import Controller
import Glibc
import Logging
import Persistence
import Synchronization
import Testing
import Text

@testable import WebServer

/// A clock that stands until it is moved.
final class StandingClock: Sendable {
    private let moment: Mutex<Timestamp>

    /// 2026-11-21T12:00:00Z, if nothing else is said.
    init(_ start: Timestamp = Timestamp(seconds: 1_795_262_400)) { moment = Mutex(start) }

    var now: Timestamp { moment.withLock { $0 } }
    func advance(_ span: Duration) { moment.withLock { $0 = $0 + span } }
}

/// What a call was answered with.
struct HarnessAnswer: Sendable {
    var status: Int
    /// By lowercase name; of a name that comes twice, the last.
    var headers: [String: String]
    /// The whole body; of a stream what was written until it ended.
    var bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }
    /// The body as JSON; null if it is none.
    var json: JSONValue { (try? JSONValue(parsingUTF8: bytes)) ?? .null }
    /// The payloads of an event stream's data lines.
    var events: [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
    }
}

/// A service over a fresh data directory, which goes when the harness does.
///
///     let service = try ServiceHarness()
///     let answer = try await service.get("/api/v1/workflows/default")
///     #expect(answer.status == 200)
final class ServiceHarness: Sendable {
    let folder: HubFolder
    let store: Store
    let operations: WorkflowOperations
    let feed: RunFeed
    let context: ServiceContext
    let responder: ServiceResponder
    let readiness: ReadinessWatch
    let clock: StandingClock

    /// - Parameters:
    ///   - earlier: whose data directory it takes over; a fresh one when nil.
    ///   - configure: changes the settings; the defaults are those of a loopback address, where no token is asked for.
    ///   - groups: the routes; all of the service when nil.
    init(
        from earlier: ServiceHarness? = nil, clock: StandingClock = StandingClock(),
        checks: [ReadinessCheck] = [],
        configure: (inout ServiceSettings) -> Void = { _ in },
        groups: ((ServiceContext) -> [any RouteGroup])? = nil
    ) throws {
        folder = try earlier?.folder ?? HubFolder()
        // A key of its own: tests leave nothing in the settings of whoever runs them.
        let key = SecretKeySource.text(String(repeating: "A", count: 43) + "=")
        store = try earlier?.store ?? Store.open(dataDirectory: folder.path, secretKey: key)
        let artifacts = try LocalArtifactStore(directory: folder.path + "/artifacts", isDurable: false)
        operations = WorkflowOperations(
            store: store, artifacts: artifacts, dataDirectory: folder.path, controller: nil,
            now: { clock.now })
        feed = RunFeed(store: store)
        // Nothing sleeps in tests; what waits for a span goes on at once, or when it is cancelled.
        var surroundings = ServerSurroundings.system
        // Spans are cut short: a stream whose heartbeat came at once, again and again, would leave others no time.
        surroundings.sleep = { try await Task.sleep(for: min($0, .milliseconds(5))) }
        var logger = Logger(label: "martlet.test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        context = ServiceContext(
            store: store, operations: operations, feed: feed, artifacts: artifacts,
            dataDirectory: folder.path, version: "0.0.0-test", surroundings: surroundings, logger: logger)
        self.clock = clock
        readiness = ReadinessWatch(checks: checks, surroundings: .system)
        var settings = ServiceSettings()
        configure(&settings)
        responder = ServiceServer.responder(
            settings, context, readiness: readiness, groups: groups?(context))
    }

    /// A new server on the same data directory.
    func restarted(configure: (inout ServiceSettings) -> Void = { _ in }) throws -> ServiceHarness {
        try ServiceHarness(from: self, clock: clock, configure: configure)
    }

    /// Makes a token and returns its text.
    func token(_ roles: [String: Role], name: String = "test", ttl: Duration? = nil) async throws -> String {
        let order = try TokenOrder(
            name: name, roles: roles, expiresAt: ttl.map { clock.now + $0 }, now: clock.now)
        return try await order.create(in: store, now: clock.now).text
    }

    // MARK: Calls

    /// One request, answered to its end. A stream's answer is whatever it writes until it ends, or until `stopWhen`
    /// says that what was written is enough: then its client goes away. `listen` is for tests that do something else
    /// meanwhile.
    /// - Parameter leavesAtOnce: the client of an endless stream goes away as soon as the stream has begun.
    func call(
        _ method: String, _ target: String, body: [UInt8]? = nil, headers: [String: String] = [:],
        token: String? = nil, peer: String = "127.0.0.1", leavesAtOnce: Bool = false,
        stopWhen: (@Sendable (String) -> Bool)? = nil
    ) async throws -> HarnessAnswer {
        let watch = ConnectionWatch()
        let call = request(
            method, target, body: body, headers: headers, token: token, peer: peer, connection: watch)
        return try await Self.answer(try await responder.respond(to: call), watch, leavesAtOnce, stopWhen)
    }

    /// A request as the sockets would hand it on.
    func request(
        _ method: String, _ target: String, body: [UInt8]? = nil, headers: [String: String] = [:],
        token: String? = nil, peer: String = "127.0.0.1", connection: ConnectionWatch
    ) -> HTTPCall {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var fields = ["host": "127.0.0.1:2746"]
        if let body {
            fields["content-length"] = "\(body.count)"
            fields["content-type"] = "application/json"
        }
        if let token { fields["authorization"] = "Bearer \(token)" }
        for (name, value) in headers { fields[name.lowercased()] = value }
        return HTTPCall(
            method: method, path: String(parts.first ?? "/"), query: parts.count > 1 ? String(parts[1]) : "",
            headers: fields,
            readBody: { limit in
                guard (body?.count ?? 0) <= limit else { throw APIError.tooLarge(limitBytes: limit) }
                return body ?? []
            }, connection: connection, peer: peer)
    }

    private static func answer(
        _ reply: HTTPReply, _ watch: ConnectionWatch, _ leavesAtOnce: Bool,
        _ stopWhen: (@Sendable (String) -> Bool)?
    ) async throws -> HarnessAnswer {
        let headers = Dictionary(
            reply.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
        switch reply.body {
        case .bytes(let bytes): return HarnessAnswer(status: reply.status, headers: headers, bytes: bytes)
        case .stream(let write):
            let sink = GatheringSink(watch, stopWhen)
            // Downloads end by themselves.
            let isEndless =
                headers["content-length"] == nil
                && ["text/event-stream", "application/json"].contains {
                    headers["content-type"]?.hasPrefix($0) == true
                }
            if leavesAtOnce && isEndless { watch.markGone() }
            do {
                try await write(sink)
            } catch  where sink.isStopped || leavesAtOnce {
                // The client went away, as the test wanted.
            }
            return HarnessAnswer(status: reply.status, headers: headers, bytes: sink.bytes)
        }
    }

    func get(_ target: String, token: String? = nil, headers: [String: String] = [:]) async throws
        -> HarnessAnswer
    {
        try await call("GET", target, headers: headers, token: token)
    }

    /// A write with a JSON body.
    func send(
        _ method: String, _ target: String, _ body: JSONValue = .object([:]), token: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> HarnessAnswer {
        try await call(method, target, body: Array(body.compactText.utf8), headers: headers, token: token)
    }
}

/// Keeps what a stream writes.
private final class GatheringSink: ReplySink {
    private(set) var bytes: [UInt8] = []
    private(set) var isStopped = false
    private let watch: ConnectionWatch
    private let stopWhen: (@Sendable (String) -> Bool)?

    init(_ watch: ConnectionWatch, _ stopWhen: (@Sendable (String) -> Bool)?) {
        self.watch = watch
        self.stopWhen = stopWhen
    }

    func write(_ more: [UInt8]) async throws {
        bytes += more
        guard !isStopped, let stopWhen, stopWhen(String(decoding: bytes, as: UTF8.self)) else { return }
        isStopped = true
        watch.markGone()
    }

    func writeFile(
        _ descriptor: Int32, from offset: Int, count: Int, sent: @Sendable (Int) -> Void
    ) async throws {
        var piece = [UInt8](repeating: 0, count: count)
        let length = piece.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, $0.count, off_t(offset))
        }
        guard length == count else { throw FileEnded() }
        sent(length)
        try await write(piece)
    }
}
