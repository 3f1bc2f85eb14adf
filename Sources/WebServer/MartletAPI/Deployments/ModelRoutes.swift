// The registry of models in the own API: versions, families, evaluations, tags.

import Controller
import Persistence
import Scheduling
import Text

extension MartletRoutes {
    var modelRoutes: [ServiceRoute] {
        let path = "/models/{namespace}/{name}"
        return [
            route(
                "GET", "/models", "MartletAPI_ListModels", .signedIn,
                summary: "Versions of models that runs have made, newest first."
            ) { reader in
                let rows = try await models.list(
                    try namespaces(reader), name: try reader.text("name"),
                    limit: try reader.integer("limit", or: 500))
                return .json(.page(rows.map(\.json)))
            },
            route(
                "GET", path, "MartletAPI_GetModel", .namespaced(.viewer),
                summary: "A version with its family, evaluations and deployments."
            ) { try await getModel($0) },
            route(
                "POST", path + "/tags", "MartletAPI_TagModel", .namespaced(.editor),
                summary: "Puts a tag on a version, taking it from another one."
            ) { reader in
                let body = try await reader.body()
                let row = try await model(reader, body["reference"]?.stringValue)
                try await models.tag(row, body["tag"]?.stringValue ?? "")
                return .json(try await model(reader, "v\(row.version)").json)
            },
            route(
                "DELETE", path + "/tags/{tag}", "MartletAPI_UntagModel", .namespaced(.editor),
                summary: "Takes a tag away."
            ) { reader in
                let request = reader.request
                try await models.untag(
                    "\(request["name"]):\(request["tag"])", namespace: request["namespace"])
                return .json([:])
            },
            route(
                "POST", "/models/gc", "MartletAPI_CollectModels", .cluster(.admin),
                summary:
                    "Deletes the files of versions that are neither tagged, deployed, young nor the newest."
            ) { reader in
                let body = try await reader.body()
                var rule = ModelOperations.Collection()
                rule.keep = body["keep"]?.intValue ?? rule.keep
                if let age = body["ageSeconds"]?.doubleValue { rule.age = .milliseconds(Int64(age * 1_000)) }
                rule.isDryRun = body["dryRun"]?.boolValue ?? false
                let done = try await models.collect(rule)
                return .json(.page(done.models.map(\.json), ["bytes": .int(done.bytes)]))
            },
        ]
    }

    var models: ModelOperations {
        ModelOperations(
            store: context.store, artifacts: context.artifacts, dataDirectory: context.dataDirectory,
            version: context.version, now: context.now)
    }

    private func model(_ reader: APIReader, _ reference: String?) async throws -> ModelRow {
        let text = reader.request["name"] + (reference.map { ":" + $0 } ?? "")
        return try await models.model(text, namespace: reader.request["namespace"], mayBeDeleted: true)
    }

    private func getModel(_ reader: APIReader) async throws -> HTTPReply {
        let row = try await model(reader, try reader.text("reference"))
        let principal = reader.request.principal
        let family = try await models.family(of: row).filter { principal.may(.viewer, in: $0.namespace) }
        let evaluations = try await models.familyEvaluations(family)
        let served = try await models.deployments(of: row).filter { principal.may(.viewer, in: $0.namespace) }
        var members = row.json.objectValue ?? [:]
        members["family"] = .array(family.map(\.json))
        members["evaluations"] = .array(evaluations.map(\.json))
        members["deployments"] = .texts(served.map(\.name))
        return .json(.object(members))
    }
}

extension ModelOperations {
    /// The evaluations of all versions of a family, oldest first.
    func familyEvaluations(_ family: [ModelRow]) async throws -> [EvaluationRow] {
        var found: [EvaluationRow] = []
        var seen: Set<String> = []
        for row in family where seen.insert(row.sha256).inserted {
            for evaluation in try await evaluations(of: row) where !found.contains(evaluation) {
                found.append(evaluation)
            }
        }
        return found.sorted { $0.createdAt < $1.createdAt }
    }
}

extension EvaluationRow {
    var json: JSONValue {
        .object([
            "sha256": .string(sha256), "adapterSha256": .word(adapterSHA256), "template": .string(template),
            "run": ["uid": .string(workflowUID), "name": .string(workflow)], "node": .string(nodeID),
            "metrics": metrics, "createdAt": .moment(createdAt),
        ])
    }
}
