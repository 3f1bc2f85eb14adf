// Deployments as the verbs see them: of a server by its API, or of a data directory, where the verb itself does the
// work if no server looks after them.

import Controller
import Persistence
import Scheduling
import Text

struct DeploymentAccess: Sendable {
    /// How long a verb works on what nobody else does.
    private static let workLimit = Duration.seconds(1_800)

    private enum Place {
        case server(ServerConnection)
        case directory(DataLocation, Store, DeploymentRunner)
    }

    private let place: Place

    init(_ client: ClientOptions) throws {
        if let endpoint = try client.endpoint() {
            place = .server(ServerConnection(endpoint))
            return
        }
        let location = client.location
        // A server on the directory knows what its processes do; it is asked where that needs no token.
        if ServerLock.isHeld(location.path), let address = ServingAddress.current(location.path),
            let endpoint = try? ServerEndpoint(address: address, token: nil), endpoint.token == nil,
            address.hasPrefix("http://127.0.0.1:")
        {
            place = .server(ServerConnection(endpoint))
            return
        }
        let store = try location.openStore()
        let runner = try ExecutorFactory.deployments(store, ExecutorFactory.artifactStore(location), location)
        place = .directory(location, store, runner)
    }

    private static func path(_ rest: [String]) -> [String] { ["api", "martlet", "v1", "deployments"] + rest }

    private static func operations(_ store: Store, _ runner: DeploymentRunner) -> DeploymentOperations {
        DeploymentOperations(store: store, runner: runner, now: Environment.now)
    }

    // MARK: Looking

    /// - Parameter namespace: nil for all.
    func list(_ namespace: String?) async throws -> [JSONValue] {
        switch place {
        case .server(let connection):
            let query = namespace.map { [("namespace", $0)] } ?? []
            let answer = try await connection.ask("GET", Self.path([]), query)
            return (answer["items"]?.arrayValue ?? []).map { Self.complete($0, connection) }
        case .directory(let location, let store, let runner):
            try await runner.look()
            let found = try await Self.operations(store, runner).list(namespace.map { [$0] })
            return found.map { Self.complete(DeploymentOperations.json($0, runner.table), location) }
        }
    }

    func get(_ name: String) async throws -> JSONValue {
        switch place {
        case .server(let connection):
            return Self.complete(try await connection.ask("GET", Self.path([name])), connection)
        case .directory(let location, let store, let runner):
            try await runner.look()
            let found = try await Self.operations(store, runner).get(name)
            return Self.complete(DeploymentOperations.json(found, runner.table), location)
        }
    }

    private static func complete(_ item: JSONValue, _ connection: ServerConnection) -> JSONValue {
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
        case .directory(_, let store, let runner):
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
        case .directory(_, let store, let runner):
            _ = try await change(Self.operations(store, runner))
            try await work(runner, name)
        }
    }

    func delete(_ name: String) async throws {
        switch place {
        case .server(let connection): _ = try await connection.ask("DELETE", Self.path([name]))
        case .directory(_, let store, let runner):
            _ = try await Self.operations(store, runner).delete(name)
            try await work(runner, name)
        }
    }

    /// Looks after deployments until nothing is left to be done for one, or another process does it.
    private func work(_ runner: DeploymentRunner, _ name: String) async throws {
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
