// The sizes of semaphores: those of the database, and those in ConfigMaps.

import Persistence
import Text

extension WorkflowRoutes {
    /// How often a ConfigMap is written again that was changed in between.
    private static let changeLimit = 5

    var syncRoutes: [ServiceRoute] {
        [
            ServiceRoute(
                "POST", "/api/v1/sync/{namespace}", "SyncService_CreateSyncLimit", .namespaced(.editor)
            ) { request in
                let limit = try SyncLimit(
                    try await request.json(), namespace: request["namespace"], needsSize: true)
                guard try await size(of: limit) == nil else {
                    throw ServiceError.conflict(
                        "there is a limit \"\(limit.key.shortened)\" already; PUT changes it")
                }
                try await write(limit)
                return .json(limit.json)
            },
            ServiceRoute(
                "GET", "/api/v1/sync/{namespace}/{key}", "SyncService_GetSyncLimit", .namespaced(.viewer)
            ) { request in
                var limit = try SyncLimit(request)
                limit.size = try await size(of: limit)
                guard limit.size != nil else { throw limit.missing }
                return .json(limit.json)
            },
            ServiceRoute(
                "PUT", "/api/v1/sync/{namespace}/{key}", "SyncService_UpdateSyncLimit", .namespaced(.editor)
            ) { request in
                let body = try await request.json().with(["key"], .string(request["key"]))
                let limit = try SyncLimit(body, namespace: request["namespace"], needsSize: true)
                guard try await size(of: limit) != nil else { throw limit.missing }
                try await write(limit)
                return .json(limit.json)
            },
            ServiceRoute(
                "DELETE", "/api/v1/sync/{namespace}/{key}", "SyncService_DeleteSyncLimit",
                .namespaced(.editor)
            ) { request in
                var limit = try SyncLimit(request)
                guard try await size(of: limit) != nil else { throw limit.missing }
                limit.size = nil
                try await write(limit)
                return .json([:])
            },
        ]
    }

    private func size(of limit: SyncLimit) async throws -> Int? {
        guard let map = limit.configMap else {
            return try await context.store.syncLimit(namespace: limit.namespace, key: limit.key)
        }
        let row = try await context.store.definition(.configMap, namespace: limit.namespace, name: map)
        return row?.body["data"]?[limit.key]?.scalarText.flatMap { Int($0) }
    }

    /// Writes the size; without one the limit is deleted.
    private func write(_ limit: SyncLimit) async throws {
        guard let map = limit.configMap else {
            guard let size = limit.size else {
                try await context.store.deleteSyncLimit(namespace: limit.namespace, key: limit.key)
                return
            }
            return try await context.store.setSyncLimit(
                namespace: limit.namespace, key: limit.key, limit: size)
        }
        for attempt in 1... {
            let row = try await context.store.definition(.configMap, namespace: limit.namespace, name: map)
            let empty: JSONValue = .object([
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": .object(["name": .string(map), "namespace": .string(limit.namespace)]),
            ])
            let body = (row?.body ?? empty).with(
                ["data", limit.key], limit.size.map { .string("\($0)") })
            do {
                try await context.store.putDefinition(
                    .configMap, namespace: limit.namespace, name: map, body: body, at: context.now(),
                    if: row.map { .version($0.resourceVersion) } ?? .absent)
                return
            } catch {
                guard ServiceError(error)?.status == 409, attempt < Self.changeLimit else { throw error }
            }
        }
    }
}

/// A semaphore's size, as the requests name it.
private struct SyncLimit {
    var namespace: String
    var key: String
    var size: Int?
    /// The ConfigMap that has it; nil for the database.
    var configMap: String?

    init(_ body: JSONValue, namespace: String, needsSize: Bool) throws(ServiceError) {
        try self.init(
            namespace: namespace, key: body["key"]?.stringValue ?? "", type: body["type"]?.scalarText,
            map: body["cmName"]?.stringValue)
        size = body["limit"]?.intValue ?? body["limit"]?.stringValue.flatMap { Int($0) }
        guard needsSize else { return }
        guard let size, size >= 1 else {
            throw .invalid("limit is missing or below 1: how many may hold the lock?")
        }
    }

    init(_ request: ServiceRequest) throws(ServiceError) {
        try self.init(
            namespace: request["namespace"], key: request["key"], type: request.query["type"],
            map: request.query["cmName"])
    }

    private init(namespace: String, key: String, type: String?, map: String?) throws(ServiceError) {
        guard !namespace.isEmpty else { throw .invalid("the path names no namespace") }
        guard !key.isEmpty, key.utf8.count <= 253 else { throw .invalid("key is missing or too long") }
        self.namespace = namespace
        self.key = key
        let map = map.flatMap { $0.isEmpty ? nil : $0 }
        switch (type ?? "").uppercased() {
        // Clients leave out what is the first word of the list, whichever they mean.
        case "": configMap = map
        case "DATABASE", "1": configMap = nil
        case "CONFIGMAP", "CONFIG_MAP", "0":
            guard let map else { throw .invalid("cmName is missing: which ConfigMap has the limit?") }
            configMap = map
        default: throw .invalid("type is \"\(type?.shortened ?? "")\"; it is CONFIGMAP or DATABASE")
        }
    }

    var missing: ServiceError {
        .notFound(
            "there is no limit \"\(key.shortened)\" in "
                + (configMap.map { "ConfigMap \"\($0.shortened)\" of " } ?? "")
                + "namespace \"\(namespace.shortened)\"")
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "namespace": .string(namespace), "key": .string(key),
            "type": configMap == nil ? "DATABASE" : "CONFIGMAP",
        ]
        members["cmName"] = configMap.map(JSONValue.string)
        members["limit"] = size.map(JSONValue.int)
        return .object(members)
    }
}
