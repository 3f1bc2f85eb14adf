// Deployments as the verbs see them: of a server by its API, or of a data directory, where the verb itself
// does the work if no server looks after them.

import Controller
import Persistence
import Scheduling
import Text

struct DeploymentAccess: Sendable {
    /// How long a verb works on what nobody else does.
    private static let workLimit = Duration.seconds(1_800)

    private enum Place {
        case server(ServerConnection)
        /// With the server that serves the directory, which knows what its replicas do.
        case directory(DataLocation, Store, DeploymentRunner, served: ServerConnection?)
    }

    private let place: Place

    init(_ client: ClientOptions) throws {
        if let endpoint = try client.endpoint() {
            place = .server(ServerConnection(endpoint))
            return
        }
        let location = client.location
        let store = try location.openStore()
        let runner = try ExecutorFactory.deployments(store, ExecutorFactory.artifactStore(location), location)
        let address = ServingAddress.current(location.path)
        let served = try address.map { ServerConnection(try ServerEndpoint(address: $0, token: nil)) }
        place = .directory(location, store, runner, served: served)
    }

    private static func path(_ rest: [String]) -> [String] { ["api", "martlet", "v1", "deployments"] + rest }

    private static func operations(_ store: Store, _ runner: DeploymentRunner) -> DeploymentOperations {
        DeploymentOperations(store: store, runner: runner, now: Environment.now)
    }

    // MARK: Looking

    /// - Parameter namespace: nil for all.
    func list(_ namespace: String?) async throws -> [JSONValue] {
        switch place {
        case .server(let connection): return try await Self.list(namespace, connection)
        case .directory(let location, let store, let runner, let served):
            // One that asks for a token that is not here is done without: only its counts are missing.
            if let served, let items = try? await Self.list(namespace, served) { return items }
            try await runner.look()
            let found = try await Self.operations(store, runner).list(namespace.map { [$0] })
            return found.map { Self.complete(DeploymentOperations.json($0, runner.table), location) }
        }
    }

    private static func list(_ namespace: String?, _ connection: ServerConnection) async throws -> [JSONValue]
    {
        let query = namespace.map { [("namespace", $0)] } ?? []
        let answer = try await connection.ask("GET", path([]), query)
        return (answer["items"]?.arrayValue ?? []).map { complete($0, connection) }
    }

    func get(_ name: String) async throws -> JSONValue {
        switch place {
        case .server(let connection):
            return Self.complete(try await connection.ask("GET", Self.path([name])), connection)
        case .directory(let location, let store, let runner, let served):
            if let served, let found = try? await served.ask("GET", Self.path([name])) {
                return Self.complete(found, served)
            }
            try await runner.look()
            let found = try await Self.operations(store, runner).get(name)
            return Self.complete(DeploymentOperations.json(found, runner.table), location)
        }
    }

    private static func complete(_ item: JSONValue, _ connection: ServerConnection) -> JSONValue {
        // What is in a cluster has an address of its own.
        guard item["place"] != "cluster" else { return item }
        var members = item.objectValue ?? [:]
        members["url"] = .string(connection.endpoint.root + (item["url"]?.stringValue ?? ""))
        return .object(members)
    }

    /// Where no server serves, a process that is ready is asked straight.
    private static func complete(_ item: JSONValue, _ location: DataLocation) -> JSONValue {
        var members = item.objectValue ?? [:]
        if let root = ServingAddress.current(location.path) {
            members["url"] = .string(root + (item["url"]?.stringValue ?? ""))
        } else {
            let ready = item["processes"]?.arrayValue?.first {
                $0["state"] == "ready" && $0["revision"] == item["active"]
            }
            members["url"] = ready?["port"]?.intValue.map { .string("http://127.0.0.1:\($0)/v1") } ?? .null
        }
        return .object(members)
    }

    func logs(_ name: String, revision: Int?, tail: Int) async throws -> [JSONValue] {
        switch place {
        case .server(let connection):
            var query = [("tail", String(tail))]
            if let revision { query.append(("revision", String(revision))) }
            return try await connection.ask("GET", Self.path([name, "log"]), query)["lines"]?.arrayValue ?? []
        case .directory(_, let store, let runner, _):
            return try await Self.operations(store, runner).logs(
                name, revision: revision, tail: tail, in: runner.host)
        }
    }

    // MARK: Changing

    /// Asks the server, or writes down what is wanted and makes it so.
    func change(
        _ name: String, _ verb: String, _ body: [String: JSONValue],
        _ change: (DeploymentOperations) async throws -> Deployment
    ) async throws {
        switch place {
        case .server(let connection):
            _ = try await connection.ask("POST", Self.path([name, verb]), body: .object(body))
        case .directory(let location, let store, let runner, _):
            _ = try await change(Self.operations(store, runner))
            try await work(runner, name, location)
        }
    }

    func delete(_ name: String) async throws {
        switch place {
        case .server(let connection):
            _ = try await connection.ask("DELETE", Self.path([name]))
            try await Self.wait {
                do {
                    _ = try await connection.ask("GET", Self.path([name]))
                    return false
                } catch let error as OperationError where error.reason == .notFound {
                    return true
                }
            }
        case .directory(let location, let store, let runner, _):
            _ = try await Self.operations(store, runner).delete(name)
            try await work(runner, name, location)
            try await Self.wait { try await store.deployment(name) == nil }
        }
    }

    /// Returns when what the server does by itself is done: whoever stops it then leaves nothing running.
    private static func wait(until isDone: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + workLimit
        while try await !isDone(), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(100)) }
    }

    /// Looks after deployments until nothing is left to be done for one; a server does it by itself.
    private func work(_ runner: DeploymentRunner, _ name: String, _ location: DataLocation) async throws {
        if ServerLock.isHeld(location.path) { return }
        let end = ContinuousClock.now + Self.workLimit
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await runner.run() }
            group.addTask {
                while ContinuousClock.now < end {
                    if try await runner.isSettled(name) { return }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
            defer { runner.stop() }
            try await group.next()
            runner.stop()
            try await group.waitForAll()
        }
    }
}
