// Values of ConfigMaps and Secrets for a pod's containers and volumes. What is missing keeps the pod waiting, as a node
// does: it may still come.

import Kubernetes
import Text
import WorkflowLanguage

/// What a node waits for, in its words.
struct NotReady: Error {
    var reason: String
    var message: String
}

struct NodeValues: Sendable {
    let client: KubernetesClient
    let namespace: String

    /// The members of an object by their keys, as text; empty for one that is optional and not there.
    func all(of reference: Fields, isSecret: Bool) async throws -> [(String, String)] {
        guard let object = try await object(reference, isSecret: isSecret) else { return [] }
        return Fields(object["data"]).textMapSorted.map {
            ($0.0, String(decoding: Self.bytes($0.1, isSecret), as: UTF8.self))
        }
    }

    /// One member as text; nil for one that is optional and not there.
    func one(of reference: Fields, isSecret: Bool) async throws -> String? {
        guard let object = try await object(reference, isSecret: isSecret) else { return nil }
        let key = reference.text("key") ?? ""
        if let value = object["data"]?[key]?.stringValue {
            return String(decoding: Self.bytes(value, isSecret), as: UTF8.self)
        }
        if reference.bool("optional") == true { return nil }
        let kind = isSecret ? "Secret" : "ConfigMap"
        throw NotReady(
            reason: "CreateContainerConfigError",
            message: "couldn't find key \(key) in \(kind) \(namespace)/\(reference.text("name") ?? "")")
    }

    /// - Returns: nil for one that is optional and not there.
    func object(_ reference: Fields, isSecret: Bool) async throws -> JSONValue? {
        let name = reference.text("name") ?? reference.text("secretName") ?? ""
        let path = "/api/v1/namespaces/\(namespace)/\(isSecret ? "secrets" : "configmaps")/\(name)"
        do {
            return try await client.get(path)
        } catch let error as KubernetesError where error.isNotFound {
            if reference.bool("optional") == true { return nil }
            throw NotReady(
                reason: "CreateContainerConfigError",
                message: "\(isSecret ? "secret" : "configmap") \"\(name)\" not found")
        }
    }

    static func bytes(_ text: String, _ isSecret: Bool) -> [UInt8] {
        isSecret ? Base64Text.bytes(text) ?? [] : Array(text.utf8)
    }
}
