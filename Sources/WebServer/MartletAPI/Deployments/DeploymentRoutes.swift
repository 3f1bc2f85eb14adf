// Deployments as the own API has them: how they are, what they wrote, and the verbs.

import Controller
import Executors
import Persistence
import Scheduling
import Text

extension MartletRoutes {
    var deploymentRoutes: [ServiceRoute] {
        let path = "/deployments/{name}"
        return [
            route(
                "GET", "/deployments", "MartletAPI_ListDeployments", .signedIn,
                summary: "Models that are being served, with their revisions and processes."
            ) { reader in
                let found = try await deployments.list(try namespaces(reader))
                return .json(.page(found.map(json)))
            },
            route(
                "GET", path, "MartletAPI_GetDeployment", .run(.viewer), summary: "One deployment."
            ) { reader in .json(json(try await deployment(reader, .viewer))) },
            route(
                "GET", path + "/log", "MartletAPI_GetDeploymentLog", .run(.viewer),
                summary: "The last lines of what a deployment's processes wrote."
            ) { try await deploymentLog($0) },
            route(
                "POST", path + "/scale", "MartletAPI_ScaleDeployment", .run(.editor),
                summary: "Sets how many processes serve."
            ) { reader in
                let found = try await deployment(reader, .editor)
                let count = try await reader.body()["replicas"]?.intValue ?? 1
                return .json(json(try await deployments.scale(found.name, to: count)))
            },
            route(
                "POST", path + "/rollback", "MartletAPI_RollBackDeployment", .run(.editor),
                summary: "Rolls an earlier revision out again; without a number the one before."
            ) { reader in
                let found = try await deployment(reader, .editor)
                let number = try await reader.body()["revision"]?.intValue
                return .json(json(try await deployments.rollBack(found.name, to: number)))
            },
            route(
                "DELETE", path, "MartletAPI_DeleteDeployment", .run(.editor),
                summary: "Takes a deployment down; running requests are finished."
            ) { reader in
                let found = try await deployment(reader, .editor)
                return .json(json(try await deployments.delete(found.name)))
            },
        ]
    }

    private var runner: DeploymentRunner? { context.operations.controller?.settings.deployments }

    private var deployments: DeploymentOperations {
        DeploymentOperations(store: context.store, runner: runner, now: context.now)
    }

    private func json(_ deployment: Deployment) -> JSONValue {
        DeploymentOperations.json(deployment, runner?.table ?? DeploymentTable())
    }

    /// The deployment of the path, if the principal has the role in its namespace.
    private func deployment(_ reader: APIReader, _ role: Role) async throws -> Deployment {
        let name = reader.request["name"]
        guard let found = try await context.store.deployment(name),
            reader.request.principal.may(.viewer, in: found.namespace)
        else { throw ServiceError.notFound("there is no deployment \"\(name.shortened)\"") }
        try reader.request.require(role, in: found.namespace)
        return found
    }

    private func deploymentLog(_ reader: APIReader) async throws -> HTTPReply {
        let found = try await deployment(reader, .viewer)
        guard let host = runner?.host else { return .json(["lines": []]) }
        let lines = try await deployments.logs(
            found.name, revision: try reader.integer("revision"), tail: try reader.integer("tail", or: 200),
            in: host)
        return .json(["lines": .array(lines)])
    }
}
