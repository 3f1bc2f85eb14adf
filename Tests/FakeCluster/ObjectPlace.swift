// Where an object stands in a cluster's API, what its path says of it, and refusals in the API's words.

package import Text

/// A kind as paths name it.
package struct ObjectKind: Sendable, Hashable {
    package var group: String
    package var resource: String

    package init(group: String, resource: String) {
        self.group = group
        self.resource = resource
    }
}

/// Which objects are meant: `pods` of a namespace, or one of them.
package struct ObjectPlace: Sendable, Hashable {
    package var group: String
    package var resource: String
    package var namespace: String
    package var name: String
    package var subresource: String

    package init(
        group: String = "", resource: String, namespace: String, name: String = "", subresource: String = ""
    ) {
        self.group = group
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// Of `/api/v1/namespaces/NS/pods/NAME/log` and its like; nil for other paths.
    package init?(path: String) {
        var parts = path.split(separator: "/").map(String.init)[...]
        guard let root = parts.popFirst() else { return nil }
        switch root {
        case "api" where !parts.isEmpty: group = ""
        case "apis" where parts.count >= 2: group = parts.removeFirst()
        default: return nil
        }
        parts.removeFirst()
        namespace = ""
        if parts.first == "namespaces", parts.count > 2 {
            namespace = parts[parts.startIndex + 1]
            parts = parts.dropFirst(2)
        }
        guard let resource = parts.popFirst() else { return nil }
        self.resource = resource
        name = parts.popFirst() ?? ""
        subresource = parts.popFirst() ?? ""
    }

    package var kind: ObjectKind { ObjectKind(group: group, resource: resource) }

    var withoutSubresource: ObjectPlace {
        var place = self
        place.subresource = ""
        return place
    }

    /// Whether the kind comes with Kubernetes, whose types say how lists merge; others' lists are replaced.
    var isBuiltIn: Bool {
        group.isEmpty || ["apps", "batch", "autoscaling", "policy"].contains(group)
            || (group.hasSuffix(".k8s.io") && !group.contains("x-k8s")
                && group != "gateway.networking.k8s.io")
    }

    /// Kinds that say all in their data and have no status of their own.
    var hasStatus: Bool {
        let without: Set = ["configmaps", "secrets", "leases", "events", "serviceaccounts", "endpoints"]
        return !without.contains(resource) && group != "rbac.authorization.k8s.io"
    }

    /// Kinds that must not be replaced without saying which version is replaced.
    var needsVersion: Bool { resource == "leases" || resource == "poddisruptionbudgets" || !isBuiltIn }
}

/// A refusal in the API's words.
package struct Refusal: Error, Sendable, Hashable {
    package var status: Int
    package var reason: String
    package var message: String

    package init(_ status: Int, _ reason: String, _ message: String) {
        self.status = status
        self.reason = reason
        self.message = message
    }

    static func notFound(_ place: ObjectPlace) -> Refusal {
        Refusal(404, "NotFound", "\(place.resource) \"\(place.name)\" not found")
    }

    static func conflict(_ place: ObjectPlace) -> Refusal {
        Refusal(
            409, "Conflict",
            "Operation cannot be fulfilled on \(place.resource) \"\(place.name)\": the object has been "
                + "modified; please apply your changes to the latest version and try again")
    }

    static func invalid(_ place: ObjectPlace, _ why: String) -> Refusal {
        Refusal(422, "Invalid", "\(place.resource) \"\(place.name)\" is invalid: \(why)")
    }

    static let otherNamespace = Refusal(
        400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request")

    package var json: JSONValue {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "code": .int(status),
            "reason": .string(reason), "message": .string(message),
        ]
    }
}

extension JSONValue {
    /// The same with one member set, however deep; nil removes it.
    package func setting(_ path: [String], to value: JSONValue?) -> JSONValue {
        guard let key = path.first else { return value ?? .null }
        var members = objectValue ?? [:]
        if path.count == 1 {
            members[key] = value
        } else if value != nil || members[key] != nil {
            members[key] = (members[key] ?? [:]).setting(Array(path.dropFirst()), to: value)
        }
        return .object(members)
    }

    /// What stands at the end of a path of members.
    package func at(_ path: [String]) -> JSONValue? {
        path.reduce(self as JSONValue?) { $0?[$1] }
    }

    var uid: String { self["metadata"]?["uid"]?.stringValue ?? "" }
    var ownerUIDs: [String] {
        (self["metadata"]?["ownerReferences"]?.arrayValue ?? []).compactMap { $0["uid"]?.stringValue }
    }
    var finalizers: [String] {
        (self["metadata"]?["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
    var isLeaving: Bool { self["metadata"]?["deletionTimestamp"] != nil }
}
