// What every request to the service passes, in this order: a place, its origin, its route, who asks and whether they
// may, what the body may be. Then the route answers, and what was changed is noted.

import Controller
import Logging
import Persistence
import Text

/// The service without its sockets.
final class ServiceResponder: Sendable {
    /// Bounds of what is done at a time.
    struct Limits: Sendable {
        var requests = 1_024
        /// Event streams and downloads.
        var streams = 8_192
        var queryBytes = 64 << 10
    }

    let router: ServiceRouter
    let access: AccessControl
    let streams = StreamRegistry()
    private let limits: Limits
    private let requestGate: RequestGate
    private let streamGate: RequestGate
    private let metrics: ServiceMetrics
    private let surroundings: ServerSurroundings
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    init(
        router: ServiceRouter, access: AccessControl, limits: Limits = Limits(),
        metrics: ServiceMetrics, surroundings: ServerSurroundings,
        now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.router = router
        self.access = access
        self.limits = limits
        self.metrics = metrics
        self.surroundings = surroundings
        self.now = now
        self.logger = logger
        requestGate = RequestGate(limit: limits.requests)
        streamGate = RequestGate(limit: limits.streams)
    }

    /// What is known of a request, as far as it got.
    private struct Progress {
        var match: ServiceRouter.Match?
        var principal: Principal?
        let note = RequestNote()
    }

    /// Answers a request. Throws only when nobody is left to answer.
    func respond(to call: HTTPCall) async throws -> HTTPReply {
        let began = surroundings.now()
        let id = surroundings.randomHex()
        var progress = Progress()
        var reply: HTTPReply
        do {
            guard let slot = requestGate.enter() else {
                throw Self.busy("this server is answering as many requests as it can")
            }
            reply = try await answer(call, id, &progress)
            try await note(call, progress, status: reply.status)
            withExtendedLifetime(slot) {}
        } catch is ClientGone {
            try? await note(call, progress, status: Self.clientGone)
            throw ClientGone()
        } catch let error where Task.isCancelled {
            try? await note(call, progress, status: Self.clientGone)
            throw error
        } catch {
            let refusal = translated(error, call, id)
            try? await note(call, progress, status: refusal.status)
            reply = .json(refusal.json, status: refusal.status, headers: refusal.headers)
        }
        let operation = progress.match?.route.operation ?? ServiceMetrics.unknownOperation
        let span = surroundings.now() - began
        metrics.observe(
            operation: operation, method: call.method, status: reply.status, seconds: span.inSeconds)
        logger.debug(
            "request answered",
            metadata: [
                "request.id": .string(id), "method": .string(call.method.shortened),
                "path": .string(call.path.shortened), "operation": .string(operation),
                "status": .stringConvertible(reply.status), "seconds": .stringConvertible(span.inSeconds),
            ])
        return finished(reply, call, id, progress)
    }

    /// nginx's number for a client that did not wait for its answer.
    private static let clientGone = 499

    private func answer(_ call: HTTPCall, _ id: String, _ progress: inout Progress) async throws -> HTTPReply
    {
        guard call.query.utf8.count <= limits.queryBytes else {
            throw ServiceError(414, 3, "what stands behind the ? is longer than \(limits.queryBytes) bytes")
        }
        try access.checkOrigin(call)
        if call.method == "OPTIONS" {
            return HTTPReply(status: 204, headers: [("Allow", try router.allowed(path: call.path))])
        }
        let match = try router.match(method: call.method, path: call.path)
        let route = match.route
        progress.match = match
        let principal = try await access.admit(call, match) { progress.principal = $0 }
        progress.principal = principal
        try Self.checkBody(call, route)
        let request = ServiceRequest(
            call: call, parameters: match.parameters, query: URLQuery(call.query), principal: principal,
            id: id,
            bodyLimitBytes: route.bodyLimitBytes, note: progress.note)
        let reply = try await route.answer(request)
        if case .run(let role) = route.access, reply.status < 400, !progress.note.isChecked {
            // A route that forgot to look at the run's namespace must not answer those who may not see it.
            logger.error("route without a look at rights", metadata: ["operation": .string(route.operation)])
            guard principal.mayEverywhere(role) else { throw ServiceError.internalError }
        }
        return reply
    }

    /// Refuses bodies that are too long, before a byte of them is read, and those that are no JSON.
    private static func checkBody(_ call: HTTPCall, _ route: ServiceRoute) throws(ServiceError) {
        if let text = call.headers["content-length"] {
            guard let length = Int(text), length >= 0 else { throw .invalid("Content-Length is no number") }
            guard length <= route.bodyLimitBytes else {
                throw .tooLarge(
                    "the body is longer than \(route.bodyLimitBytes) bytes, which is the limit here; send less"
                )
            }
        }
        if AccessControl.isSafe(call.method) { return }
        guard let type = call.headers["content-type"] else {
            // A form that another site's page sends always has a type; DELETE cannot be sent by one.
            if !call.announcesBody && (call.method == "DELETE" || call.headers["authorization"] != nil) {
                return
            }
            throw .unsupportedMediaType("the body must be JSON; send `Content-Type: application/json`")
        }
        let kind = type.prefix { $0 != ";" }.lowercased().trimmedOfBlanks
        guard kind == "application/json" else {
            throw .unsupportedMediaType(
                "the body must be JSON, not \(kind.shortened); send `Content-Type: application/json`")
        }
    }

    // MARK: Behind the route

    /// Writes the audit log for what changes something, refused or not.
    private func note(_ call: HTTPCall, _ progress: Progress, status: Int) async throws {
        // Floods of wrong tokens are refused with 429, and need no line each.
        guard let match = progress.match, match.route.isWrite, status != 429 else { return }
        let parameters = match.parameters
        let target =
            progress.note.target
            ?? ["name", "uid", "id", "key", "discriminator", "path"].lazy.compactMap { parameters[$0] }.first
        let entry = AuditRow(
            at: now(), who: progress.principal?.name ?? Principal.nobody.name, what: match.route.operation,
            namespace: parameters["namespace"] ?? progress.note.namespace ?? "", target: target ?? "",
            source: call.peer, status: status)
        do {
            try await access.store.appendAudit([entry])
        } catch {
            logger.error(
                "audit entry not written",
                metadata: [
                    "operation": .string(entry.what), "status": .stringConvertible(status),
                    "cause": "\(error)",
                ])
        }
    }

    private func finished(
        _ reply: HTTPReply, _ call: HTTPCall, _ id: String, _ progress: Progress
    ) -> HTTPReply {
        var reply = reply
        reply.headers.append(("X-Request-Id", id))
        reply.headers += SecurityHeaders.missing(in: reply.headers)
        guard case .stream(let write) = reply.body else { return reply }
        if call.method == "HEAD" {
            reply.body = .bytes([])
            return reply
        }
        guard let slot = streamGate.enter() else {
            let refusal = Self.busy("this server is sending as many streams as it can")
            return .json(refusal.json, status: refusal.status, headers: refusal.headers)
        }
        let (streams, metrics, principal) = (streams, metrics, progress.principal)
        let isEndless = Self.isEndless(reply)
        let needsRights = progress.match?.route.access != .open && principal?.proof != Principal.Proof.none
        reply.body = .stream { sink in
            let kind = isEndless ? "events" : "bytes"
            metrics.streamBegan(kind)
            defer { metrics.streamEnded(kind) }
            try await streams.run(
                sink, isEndless: isEndless, principal: needsRights ? principal : nil,
                connection: call.connection, write)
            withExtendedLifetime(slot) {}
        }
        return reply
    }

    /// Whether a stream goes on until somebody ends it: event streams, and Argo's lines of JSON.
    private static func isEndless(_ reply: HTTPReply) -> Bool {
        func value(_ name: String) -> String? {
            reply.headers.first { $0.name.lowercased() == name }?.value.lowercased()
        }
        guard value("content-length") == nil, let type = value("content-type") else { return false }
        return type.hasPrefix("text/event-stream") || type.hasPrefix("application/json")
    }

    private static func busy(_ message: String) -> ServiceError {
        var error = ServiceError.unavailable(message)
        error.headers = [("Retry-After", "1")]
        return error
    }

    /// What is nobody's mistake but ours is logged, and told without its details.
    private func translated(_ error: any Error, _ call: HTTPCall, _ id: String) -> ServiceError {
        if let known = ServiceError(error) { return known }
        logger.error(
            "request failed",
            metadata: [
                "request.id": .string(id), "method": .string(call.method.shortened),
                "path": .string(call.path.shortened), "cause": "\(error)",
            ])
        return .internalError
    }
}
