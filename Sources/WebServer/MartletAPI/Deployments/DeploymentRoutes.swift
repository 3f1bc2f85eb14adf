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
                let wanted = try namespaces(reader)
                let own = try await deployments.list(wanted).map(json)
                let others = try await cluster?.list(wanted) ?? []
                return .json(.page(own + others.map(ClusterDeploymentOperations.json)))
            },
            route(
                "GET", path, "MartletAPI_GetDeployment", .run(.viewer), summary: "One deployment."
            ) { reader in
                switch try await deployment(reader, .viewer) {
                case .own(let found): return .json(json(found))
                case .cluster(let found, _): return .json(ClusterDeploymentOperations.json(found))
                }
            },
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
                switch found {
                case .own(let found):
                    return .json(json(try await deployments.scale(found.name, to: count)))
                case .cluster(let found, let cluster):
                    return .json(
                        ClusterDeploymentOperations.json(try await cluster.scale(found, to: count)))
                }
            },
            route(
                "POST", path + "/rollback", "MartletAPI_RollBackDeployment", .run(.editor),
                summary: "Rolls an earlier revision out again; without a number the one before."
            ) { reader in
                let found = try await deployment(reader, .editor)
                let number = try await reader.body()["revision"]?.intValue
                switch found {
                case .own(let found):
                    return .json(json(try await deployments.rollBack(found.name, to: number)))
                case .cluster(let found, _):
                    throw ClusterDeploymentOperations.refusal("roll back", found, instead: "rollout undo")
                }
            },
            route(
                "DELETE", path, "MartletAPI_DeleteDeployment", .run(.editor),
                summary: "Takes a deployment down; running requests are finished."
            ) { reader in
                switch try await deployment(reader, .editor) {
                case .own(let found): return .json(json(try await deployments.delete(found.name)))
                case .cluster(let found, let cluster):
                    return .json(ClusterDeploymentOperations.json(try await cluster.delete(found)))
                }
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

    private enum Found {
        case own(Deployment)
        case cluster(ClusterDeployment, ClusterDeploymentOperations)
    }

    /// The deployment of the path, if the principal has the role in its namespace; this machine's come first.
    private func deployment(_ reader: APIReader, _ role: Role) async throws -> Found {
        let (name, principal) = (reader.request["name"], reader.request.principal)
        if let found = try await context.store.deployment(name), principal.may(.viewer, in: found.namespace) {
            try reader.request.require(role, in: found.namespace)
            return .own(found)
        }
        if let cluster,
            let found = try await cluster.named(name).first(where: {
                principal.may(.viewer, in: $0.namespace)
            })
        {
            try reader.request.require(role, in: found.namespace)
            return .cluster(found, cluster)
        }
        throw ServiceError.notFound("there is no deployment \"\(name.shortened)\"")
    }

    private func deploymentLog(_ reader: APIReader) async throws -> HTTPReply {
        let found: Deployment
        switch try await deployment(reader, .viewer) {
        case .own(let own): found = own
        case .cluster(let other, _):
            throw ClusterDeploymentOperations.refusal("keep logs of it", other, instead: "logs")
        }
        guard let host = runner?.host else { return .json(["lines": []]) }
        let lines = try await deployments.logs(
            found.name, revision: try reader.integer("revision"), tail: try reader.integer("tail", or: 200),
            in: host)
        return .json(["lines": .array(lines)])
    }
}
