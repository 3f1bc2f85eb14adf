// What every request to the hub passes: host, token, faults, route, and counting behind it.
import Logging
import Synchronization
import Text

/// The routes of one hub and what they share.
final class HubRoutes: Sendable {
    let settings: HubServingSettings
    let surroundings: ServerSurroundings
    let library: HubLibrary
    let statistics = HubStatistics()
    let logger: Logger
    private let judge: FaultJudge?
    private let keys: APIKeys
    private let origins: OriginPolicy
    private let gate: RequestGate
    /// Where redirects lead; 0 before the second port is open.
    let secondPort = Atomic(0)

    init(
        settings: HubServingSettings, surroundings: ServerSurroundings, library: HubLibrary, logger: Logger
    ) {
        self.settings = settings
        self.surroundings = surroundings
        self.library = library
        self.logger = logger
        judge = settings.faults.map(FaultJudge.init)
        keys = APIKeys(settings.tokens)
        origins = OriginPolicy(allowedOrigins: [], host: settings.host, hasKeys: !keys.isEmpty)
        gate = RequestGate(limit: settings.maxRequests)
    }

    /// Answers a request. Throws only when nobody is left to answer.
    /// - Parameter isBehindRedirect: whether it came to the second port, where no token is asked for.
    func respond(to call: HTTPCall, isBehindRedirect: Bool) async throws -> HTTPReply {
        var subject = FaultSubject(
            key: call.path, names: [], isContent: false, isHead: call.method == "HEAD")
        let dialect: HubDialect = call.path.hasPrefix("/api/v1/") ? .modelScope : .huggingFace
        let requestID = surroundings.randomHex()
        var reply: HTTPReply
        do {
            guard let slot = gate.enter() else {
                throw HubError.unavailable("this hub is answering as many requests as it can")
            }
            reply = try await dispatch(call, isBehindRedirect, requestID, &subject)
            if case .stream(let write) = reply.body {
                // A place is taken until the last byte is sent.
                reply.body = .stream { sink in
                    try await write(sink)
                    withExtendedLifetime(slot) {}
                }
            }
        } catch is ClientGone {
            throw ClientGone()
        } catch let error where Task.isCancelled {
            throw error
        } catch {
            reply = translated(error, path: call.path).reply(dialect, requestID: requestID)
        }
        reply.headers.append(("X-Request-Id", requestID))
        statistics.answered(subject.key, isHead: subject.isHead, status: reply.status)
        if case .bytes(let bytes) = reply.body, !subject.isHead {
            statistics.sent(bytes.count, of: subject.key)
        }
        logger.debug(
            "request answered",
            metadata: [
                "method": .string(call.method.shortened), "path": .string(call.path.shortened),
                "status": .stringConvertible(reply.status),
            ])
        return reply
    }

    private func dispatch(
        _ call: HTTPCall, _ isBehindRedirect: Bool, _ requestID: String, _ subject: inout FaultSubject
    ) async throws -> HTTPReply {
        if !settings.isMounted,
            let refusal = origins.refusal(origin: call.headers["origin"], host: call.headers["host"])
        {
            throw refusal
        }
        let route = try HubRoute.find(call.path)
        if route == .health { return HTTPReply() }
        let token = Self.token(of: call)
        if isBehindRedirect {
            statistics.redirected(withToken: token != nil)
        } else {
            guard keys.accept(authorization: token) else {
                throw HubError.unauthorized(hasToken: token != nil)
            }
        }
        guard call.method == "GET" || call.method == "HEAD" || route.takesBody && call.method == "POST" else {
            throw HubError.methodNotAllowed(call.method)
        }
        let query = URLQuery(call.query)
        let content = try content(route, query)
        if let content {
            subject.key = "\(content.name.kind.rawValue)/\(content.name.id)/\(content.path)"
            subject.names = [call.path, content.path]
            subject.isContent = true
        }
        let verdict = judge?.judge(subject, isBehindRedirect: isBehindRedirect) ?? FaultVerdict()
        if let refusal = verdict.refusal { throw Self.error(refusal, content?.name.id ?? call.path) }
        if let content {
            return try await contentReply(call, content, verdict, key: subject.key)
        }
        if verdict.redirects { return HTTPReply(status: 302, headers: [("Location", redirectTarget(call))]) }
        return try await description(route, call, query, hasToken: token != nil, requestID)
    }

    /// The file that a route asks for, if it asks for one.
    private func content(_ route: HubRoute, _ query: URLQuery) throws(HubError) -> ContentRequest? {
        switch route {
        case .resolve(let name, let revision, let path):
            return ContentRequest(name: name, revision: revision, path: path)
        case .scopeDownload(let name):
            guard let path = query["FilePath"], !path.isEmpty else {
                throw .badRequest("FilePath is missing: the path of a file in the repository")
            }
            return ContentRequest(name: name, revision: query["Revision"] ?? "master", path: path)
        default: return nil
        }
    }

    private func description(
        _ route: HubRoute, _ call: HTTPCall, _ query: URLQuery, hasToken: Bool, _ requestID: String
    ) async throws -> HTTPReply {
        switch route {
        case .list(let kind): return try await list(kind, call, query)
        case .info(let name, let revision): return try await info(name, revision, query)
        case .tree(let name, let revision, let path):
            return try await tree(name, revision, path, call, query)
        case .pathsInfo(let name, let revision): return try await pathsInfo(name, revision, call)
        case .references(let name): return try await references(name)
        case .authCheck(let name):
            _ = try await library.references(of: name)
            return Self.json(.object([]))
        case .whoAmI: return try whoAmI(hasToken: hasToken)
        case .scopeInfo(let name): return try await scopeInfo(name, query, requestID)
        case .scopeFiles(let name): return try await scopeFiles(name, query, requestID)
        case .scopeRevisions(let name): return try await scopeRevisions(name, requestID)
        case .statistics where settings.showsStatistics: return Self.json(statistics.json)
        case .statistics: throw HubError.nothingAt(call.path)
        case .resolve, .scopeDownload, .health: throw HubError.internalError
        }
    }

    // MARK: Parts

    /// `Bearer ...`, whether it came as a header or as ModelScope's cookie; nil without either.
    private static func token(of call: HTTPCall) -> String? {
        if let header = call.headers["authorization"], !header.isEmpty { return header }
        for cookie in (call.headers["cookie"] ?? "").split(separator: ";") {
            let parts = cookie.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if parts.count == 2, parts[0] == "m_session_id" { return "Bearer \(parts[1])" }
        }
        return nil
    }

    /// `http://host:port`, as the client called this server, so that links in answers lead back the same way.
    func origin(of call: HTTPCall) -> String {
        let scheme = call.headers["x-forwarded-proto"] == "https" ? "https" : "http"
        let host = Self.safe(host: call.headers["host"]) ?? "\(settings.host):\(settings.port)"
        return "\(scheme)://\(host)\(settings.pathPrefix)"
    }

    /// The same address at the second port.
    func redirectTarget(_ call: HTTPCall) -> String {
        let name = OriginPolicy.name(ofHost: Self.safe(host: call.headers["host"]) ?? settings.host)
        let host = name.contains(":") ? "[\(name)]" : name
        let query = call.query.isEmpty ? "" : "?\(call.query)"
        return "http://\(host):\(secondPort.load(ordering: .relaxed))\(call.path)\(query)"
    }

    private static func safe(host: String?) -> String? {
        guard let host, !host.isEmpty, host.utf8.count <= 300 else { return nil }
        let isSafe = host.utf8.allSatisfy { byte in
            PercentEncoding.isUnreserved(byte) || ":[]".utf8.contains(byte)
        }
        return isSafe ? host : nil
    }

    private static func error(_ refusal: FaultVerdict.Refusal, _ name: String) -> HubError {
        if refusal.isGated { return .gated(name) }
        if refusal.status == 401 { return .unauthorized(hasToken: true) }
        var error = HubError(
            refusal.status, refusal.status == 404 ? "EntryNotFound" : nil, "this fault was planned")
        error.retryAfterSeconds = refusal.retryAfterSeconds
        return error
    }

    /// What is nobody's mistake but ours is logged.
    private func translated(_ error: any Error, path: String) -> HubError {
        if let error = error as? HubError { return error }
        if let error = error as? APIError { return HubError(error.status, nil, error.message) }
        logger.error("request failed", metadata: ["path": .string(path.shortened), "cause": "\(error)"])
        return .internalError
    }

    static func json(_ value: OrderedJSON, headers: [(name: String, value: String)] = []) -> HTTPReply {
        HTTPReply(
            headers: [("Content-Type", "application/json; charset=utf-8")] + headers,
            body: .bytes(Array(value.compactText.utf8)))
    }
}
