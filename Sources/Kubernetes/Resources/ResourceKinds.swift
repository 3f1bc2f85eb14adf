// Where in the API objects of a kind are: asked of the cluster, which knows kinds that were installed later.

import Synchronization
import Text
import WorkflowLanguage

/// One kind of objects, as paths of the API have it.
struct ResourceKind: Sendable, Hashable {
    var group: String
    var version: String
    var plural: String
    var isNamespaced: Bool

    /// - Parameter name: nil for all of them.
    func path(namespace: String, name: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced { path += "/namespaces/\(URLText.encoded(namespace))" }
        path += "/\(plural)"
        if let name { path += "/\(URLText.encoded(name))" }
        return path
    }

    /// As roles name it.
    var roleName: String { group.isEmpty ? plural : "\(plural).\(group)" }
}

final class ResourceKinds: Sendable {
    /// Where kinds that flags name without a group are looked for, in this order.
    private static let usualGroups = [
        "v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1", "autoscaling/v2",
        "rbac.authorization.k8s.io/v1", "storage.k8s.io/v1", "argoproj.io/v1alpha1",
    ]
    /// The words most used, for where the API does not list its kinds.
    private static let usualKinds: [String: (kind: String, apiVersion: String)] = {
        let kinds: [(kind: String, apiVersion: String, short: String)] = [
            ("ConfigMap", "v1", "cm"), ("Secret", "v1", "secret"), ("Pod", "v1", "po"),
            ("Service", "v1", "svc"),
            ("PersistentVolumeClaim", "v1", "pvc"), ("Job", "batch/v1", "job"),
            ("Deployment", "apps/v1", "deploy"),
        ]
        var words: [String: (kind: String, apiVersion: String)] = [:]
        for (kind, apiVersion, short) in kinds {
            for word in [kind.lowercased(), guess(kind, apiVersion).plural, short] {
                words[word] = (kind, apiVersion)
            }
        }
        return words
    }()
    /// What of the kinds that each cluster has belongs to no namespace.
    private static let clusterKinds: Set<String> = [
        "Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass",
        "CustomResourceDefinition", "PriorityClass", "IngressClass", "RuntimeClass",
    ]

    private let client: KubernetesClient
    /// By group and version.
    private let lists = Mutex<[String: [JSONValue]]>([:])

    init(client: KubernetesClient) { self.client = client }

    /// - Throws: `PodProblem` for a kind that the cluster does not have; `KubernetesError`.
    func kind(_ kind: String, apiVersion: String) async throws -> ResourceKind {
        // What is not in the list that is kept may have been installed since.
        for isFresh in [false, true] {
            guard let list = try await list(apiVersion, isFresh: isFresh) else {
                return Self.guess(kind, apiVersion)
            }
            if let found = list.first(where: { $0["kind"]?.stringValue == kind }) {
                return Self.read(found, apiVersion)
            }
        }
        throw PodProblem(
            "the cluster has no kind \(kind) in \(apiVersion); install what brings it, or see `kubectl api-resources`"
        )
    }

    /// A kind as flags name it: `configmap`, `cm`, `jobsets.jobset.x-k8s.io`.
    func kind(word: String) async throws -> ResourceKind {
        let word = word.lowercased()
        if let dot = word.firstIndex(of: ".") {
            let group = String(word[word.index(after: dot)...])
            let name = String(word[..<dot])
            let about = try await client.get("/apis/\(group)")
            guard let version = about["preferredVersion"]?["groupVersion"]?.stringValue else {
                throw PodProblem("the cluster has no group \(group)")
            }
            for isFresh in [false, true] {
                if let found = Self.named(name, in: try await list(version, isFresh: isFresh) ?? []) {
                    return Self.read(found, version)
                }
            }
            throw PodProblem("the cluster has no \(name) in \(version)")
        }
        for version in Self.usualGroups {
            guard let list = try await list(version, isFresh: false) else { continue }
            if let found = Self.named(word, in: list) { return Self.read(found, version) }
        }
        if let known = Self.usualKinds[word] { return Self.guess(known.kind, known.apiVersion) }
        throw PodProblem(
            "the cluster has no kind \"\(word)\" in its usual groups; write it with its group, such as "
                + "jobsets.jobset.x-k8s.io")
    }

    private static func named(_ word: String, in list: [JSONValue]) -> JSONValue? {
        list.first { one in
            let fields = Fields(one)
            return [
                fields.string("name"), fields.string("singularName"), fields.string("kind")?.lowercased(),
            ]
            .contains(word) || fields.strings("shortNames").contains(word)
        }
    }

    /// What a group has; nil where the API gives no list. A list that was read is kept.
    /// - Parameter isFresh: whether it is read anew even so.
    private func list(_ apiVersion: String, isFresh: Bool) async throws -> [JSONValue]? {
        if !isFresh, let known = lists.withLock({ $0[apiVersion] }) { return known }
        let path = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        do {
            let answer = try await client.get(path)
            let list = (answer["resources"]?.arrayValue ?? []).filter {
                $0["name"]?.stringValue?.contains("/") == false
            }
            lists.withLock { $0[apiVersion] = list }
            return list
        } catch let error as KubernetesError where error.isNotFound || error.status == 403 {
            // Lists may be kept from us; the usual names are right for nearly all kinds.
            return nil
        }
    }

    private static func read(_ found: JSONValue, _ apiVersion: String) -> ResourceKind {
        let fields = Fields(found)
        var kind = guess("", apiVersion)
        kind.plural = fields.string("name") ?? ""
        kind.isNamespaced = fields.bool("namespaced") ?? true
        return kind
    }

    /// The plural by the rule that generators of such kinds follow.
    static func guess(_ kind: String, _ apiVersion: String) -> ResourceKind {
        let parts = apiVersion.split(separator: "/", maxSplits: 1).map(String.init)
        var plural = kind.lowercased()
        if plural.hasSuffix("s") || plural.hasSuffix("x") || plural.hasSuffix("ch") || plural.hasSuffix("sh")
        {
            plural += "es"
        } else if plural.hasSuffix("y"), let before = plural.dropLast().last, !"aeiou".contains(before) {
            plural = String(plural.dropLast()) + "ies"
        } else if !plural.isEmpty {
            plural += "s"
        }
        return ResourceKind(
            group: parts.count > 1 ? parts[0] : "", version: parts.last ?? "v1", plural: plural,
            isNamespaced: !clusterKinds.contains(kind))
    }
}
