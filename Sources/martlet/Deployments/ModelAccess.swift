// The registry of models as the verbs see it: a server's by its API, or that of a data directory.

import Controller
import Persistence
import Text

/// The registry of a data directory, or a server's.
struct ModelAccess: Sendable {
    private enum Place {
        case server(ServerConnection)
        case directory(ModelOperations)
    }

    private let place: Place
    private let namespace: String

    init(_ client: ClientOptions) throws {
        namespace = client.namespace
        if let endpoint = try client.endpoint() {
            place = .server(ServerConnection(endpoint))
        } else {
            let store = try client.location.openStore()
            place = .directory(
                ExecutorFactory.models(
                    store, try ExecutorFactory.artifactStore(client.location), client.location))
        }
    }

    private static func path(_ rest: [String]) -> [String] { ["api", "martlet", "v1", "models"] + rest }

    private func name(_ text: String) throws -> ModelName {
        guard let name = ModelName(text, namespace: namespace) else {
            throw CommandError(
                "\"\(text)\" is no name of a model; write NAME, NAME:TAG or NAMESPACE/NAME", status: 64)
        }
        return name
    }

    func list(_ name: String?, everywhere: Bool) async throws -> [JSONValue] {
        switch place {
        case .server(let connection):
            var query = everywhere ? [] : [("namespace", namespace)]
            if let name { query.append(("name", name)) }
            return try await connection.ask("GET", Self.path([]), query)["items"]?.arrayValue ?? []
        case .directory(let models):
            return try await models.list(everywhere ? nil : [namespace], name: name).map(\.json)
        }
    }

    func show(_ text: String) async throws -> JSONValue {
        let name = try name(text)
        switch place {
        case .server(let connection):
            return try await connection.ask(
                "GET", Self.path([name.namespace, name.name]),
                name.reference.map { [("reference", $0)] } ?? [])
        case .directory(let models):
            let row = try await models.model(text, namespace: namespace, mayBeDeleted: true)
            return try await models.detail(of: row)
        }
    }

    func tag(_ text: String, _ tag: String) async throws {
        let name = try name(text)
        switch place {
        case .server(let connection):
            var body: [String: JSONValue] = ["tag": .string(tag)]
            if let reference = name.reference { body["reference"] = .string(reference) }
            _ = try await connection.ask(
                "POST", Self.path([name.namespace, name.name, "tags"]), body: .object(body))
        case .directory(let models):
            try await models.tag(try await models.model(text, namespace: namespace), tag)
        }
    }

    func untag(_ text: String) async throws {
        let name = try name(text)
        guard let tag = name.reference else { throw CommandError("write NAME:TAG", status: 64) }
        switch place {
        case .server(let connection):
            _ = try await connection.ask("DELETE", Self.path([name.namespace, name.name, "tags", tag]))
        case .directory(let models): try await models.untag(text, namespace: namespace)
        }
    }

    func export(_ text: String, to path: String) async throws {
        switch place {
        case .server(let connection):
            let name = try name(text)
            throw CommandError(
                "a server's models are fetched as from a hub: martlet download --model \(name.name) --endpoint "
                    + "\(connection.endpoint.root)/hf", status: 64)
        case .directory(let models):
            try await models.export(try await models.model(text, namespace: namespace), to: path)
        }
    }

    func collect(_ rule: ModelOperations.Collection) async throws -> (models: [JSONValue], bytes: Int) {
        switch place {
        case .server(let connection):
            let answer = try await connection.ask(
                "POST", Self.path(["gc"]),
                body: [
                    "keep": .int(rule.keep), "ageSeconds": .double(rule.age.inSeconds),
                    "dryRun": .bool(rule.isDryRun),
                ])
            return (answer["items"]?.arrayValue ?? [], answer["bytes"]?.intValue ?? 0)
        case .directory(let models):
            let done = try await models.collect(rule)
            return (done.models.map(\.json), done.bytes)
        }
    }
}
