// Hands requests for a deployment to one of its replicas, or to the Service of one in a cluster. A request whose answer
// has not begun is tried again, on another replica where there is one, so that a replacement, or a replica that dies,
// fails none.

import Controller
import Executors
import Scheduling
import Text

struct DeploymentProxy: Sendable {
    /// How long a request waits for a replica that can take it.
    var patience = Duration.seconds(60)
    private static let pause = Duration.milliseconds(50)
    /// Between two tries of a Service, which chooses among its pods by itself.
    private static let servicePause = Duration.milliseconds(500)
    /// Replicas that one request is tried on, those tried again included.
    private static let attemptLimit = 20
    /// Longer answers of known length are passed on piece by piece.
    private static let gatheredBytes = 4 << 20

    /// What concerns one connection only, and what is not the replica's business.
    private static let ownHeaders: Set = [
        "authorization", "connection", "content-length", "cookie", "date", "expect", "host", "keep-alive",
        "origin",
        "proxy-authorization", "proxy-connection", "referer", "te", "trailer", "transfer-encoding", "upgrade",
        "x-martlet-csrf", "x-request-id",
    ]

    let table: DeploymentTable
    let surroundings: ServerSurroundings

    /// - Parameter target: the path at the replica, with the query.
    /// - Throws: `ServiceError`; `ClientGone`.
    func answer(_ call: HTTPCall, _ name: String, target: String, body: [UInt8]) async throws -> HTTPReply {
        let request = Self.request(call, target, body)
        do {
            return try await call.connection.whileConnected { try await answer(request, name) }
        } catch let error as ServiceError {
            table.count(name, failed: true)
            throw error
        }
    }

    /// - Parameter deployment: of a cluster.
    /// - Throws: `ServiceError`; `ClientGone`.
    func answer(
        _ call: HTTPCall, _ deployment: ClusterDeployment, target: String, body: [UInt8]
    ) async throws -> HTTPReply {
        let request = Self.request(call, target, body)
        return try await call.connection.whileConnected {
            let deadline = surroundings.now() + patience
            var attempts = 0
            while true {
                let door = deployment.door
                if let reply = try await exchange(request, host: door.host, port: door.port) { return reply }
                attempts += 1
                guard attempts < Self.attemptLimit, surroundings.now() < deadline else {
                    throw Self.unavailable(
                        deployment.name, place: " at \(door.host):\(door.port), as seen from here,")
                }
                try await surroundings.sleep(Self.servicePause)
            }
        }
    }

    private static func request(_ call: HTTPCall, _ target: String, _ body: [UInt8]) -> UpstreamRequest {
        let headers = call.headers.filter { !ownHeaders.contains($0.key) }.map {
            (name: $0.key, value: $0.value)
        }
        return UpstreamRequest(method: call.method, target: target, headers: headers, body: body)
    }

    private func answer(_ request: UpstreamRequest, _ name: String) async throws -> HTTPReply {
        let deadline = surroundings.now() + patience
        var silent: Set<ReplicaID> = []
        var attempts = 0
        while true {
            switch table.choose(name, excluding: silent) {
            // The caller knows that there is one: the table has not got it yet.
            case .noneReady, .unknown:
                // One that did not answer a moment ago may do so now.
                silent = []
                guard surroundings.now() < deadline else { throw Self.unavailable(name) }
                try await surroundings.sleep(Self.pause)
            case .replica(let lease):
                attempts += 1
                let reply = try await exchange(
                    request, host: "127.0.0.1", port: lease.port, holding: lease
                ) { [table] isWhole in table.count(name, failed: !isWhole) }
                if let reply { return reply }
                guard attempts < Self.attemptLimit, surroundings.now() < deadline else {
                    throw Self.unavailable(name)
                }
                silent.insert(lease.id)
                if attempts > 1 { try await surroundings.sleep(Self.pause) }
            }
        }
    }

    private static func unavailable(_ name: String, place: String = "") -> ServiceError {
        var error = ServiceError.unavailable(
            "no replica of deployment \"\(name.shortened)\"\(place) can answer; `martlet deployments get \(name.shortened)` "
                + "tells how they are")
        error.headers = [("Retry-After", "2")]
        return error
    }

    /// - Parameters:
    ///   - held: what must live until the answer has ended.
    ///   - onEnd: told once whether the answer came whole.
    /// - Returns: nil if there is no answer there now, and another try may have one.
    private func exchange(
        _ request: UpstreamRequest, host: String, port: Int, holding held: (any Sendable)? = nil,
        onEnd: @escaping @Sendable (Bool) -> Void = { _ in }
    ) async throws -> HTTPReply? {
        do {
            let upstream = try await Upstream.open(host: host, port: port, request)
            let head = try await upstream.head()
            // A replica that is about to end refuses what is new.
            if head.status == 503 { return nil }
            var reply = HTTPReply(
                status: head.status,
                headers: head.headers.filter { !Self.ownHeaders.contains($0.name.lowercased()) })
            if let length = head.value("content-length").flatMap({ Int($0) }), length <= Self.gatheredBytes {
                var bytes: [UInt8] = []
                bytes.reserveCapacity(length)
                while let piece = try await upstream.next() { bytes += piece }
                reply.body = .bytes(bytes)
                onEnd(true)
                return reply
            }
            reply.body = .stream { sink in
                // Both are held to the end: the connection by the first, the replica by the second.
                defer { withExtendedLifetime((upstream, held)) {} }
                var isWhole = false
                defer { onEnd(isWhole || Task.isCancelled) }
                while let piece = try await upstream.next() { try await sink.write(piece) }
                isWhole = true
            }
            return reply
        } catch is Upstream.Broken {
            return nil
        }
    }
}

/// `/deployments/NAME/v1/...`: OpenAI's routes of what is deployed.
struct DeploymentProxyRoutes: RouteGroup {
    private static let bodyLimitBytes = 32 << 20
    /// These would change one replica and not the others, and read files of this machine.
    private static let refused: Set = ["load_lora_adapter", "unload_lora_adapter"]

    let proxy: DeploymentProxy
    /// The namespace of a deployment that the table does not have: a server that has just begun has not
    /// looked yet.
    var lookUp: @Sendable (String) async throws -> String? = { _ in nil }
    /// Those of a cluster; nil where steps run on this machine.
    var doors: ClusterDoors?

    var routes: [ServiceRoute] {
        ["GET", "POST"].map { method in
            // Asking a model changes nothing that the audit log tells of; a program that only asks needs no
            // right to change anything, either.
            ServiceRoute(
                method, "/deployments/{name}/v1/{path...}", "Deployment_\(method == "GET" ? "Read" : "Ask")",
                .run(.viewer), isWrite: false, bodyLimitBytes: Self.bodyLimitBytes
            ) { try await answer($0) }
        }
    }

    private func answer(_ request: ServiceRequest) async throws -> HTTPReply {
        let (name, path) = (request["name"], request["path"])
        var known = proxy.table.namespace(of: name)
        if known == nil { known = try await lookUp(name) }
        var foreign: ClusterDeployment?
        if known.map({ request.principal.may(.viewer, in: $0) }) != true {
            let found = try await doors?.named(name) ?? []
            foreign = found.first { request.principal.may(.viewer, in: $0.namespace) }
            known = foreign?.namespace
        }
        guard let namespace = known else {
            throw ServiceError.notFound("there is no deployment \"\(name.shortened)\"")
        }
        try request.require(.viewer, in: namespace)
        guard !Self.refused.contains(path) else {
            throw ServiceError.forbidden("adapters of a deployment are those of its `deploy` step")
        }
        if let foreign, foreign.door.asksForKey {
            throw ServiceError.forbidden(
                "deployment \(foreign.name) asks clients for a key of its own, which is not the server's to give; ask it "
                    + "at \(foreign.revision.url)")
        }
        let body =
            request.call.method == "POST" ? try await request.call.readBody(request.bodyLimitBytes) : []
        let query = request.call.query.isEmpty ? "" : "?" + request.call.query
        let target = "/v1/" + PercentEncoding.encoded(path, keeping: "/") + query
        if let foreign { return try await proxy.answer(request.call, foreign, target: target, body: body) }
        return try await proxy.answer(request.call, name, target: target, body: body)
    }
}
