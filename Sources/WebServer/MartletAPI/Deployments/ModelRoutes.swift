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
        return .json(try await models.detail(of: row) { principal.may(.viewer, in: $0) })
    }
}
