// Strategic merge patches by the rules of Kubernetes' own types, written for the tests alone: what the product does to
// pods by its own hand must not be what it is judged by.

import Text

struct StrategicPatch {
    let place: ObjectPlace

    /// By what elements of lists are told apart; other lists are replaced.
    private func key(of list: String) -> String? {
        switch list {
        case "ports": place.resource == "services" ? "port" : "containerPort"
        case "containers", "initContainers", "ephemeralContainers", "volumes", "env", "imagePullSecrets",
            "resourceClaims", "schedulingGates", "podIPs":
            list == "podIPs" ? "ip" : "name"
        case "volumeMounts": "mountPath"
        case "volumeDevices": "devicePath"
        case "conditions": "type"
        case "ownerReferences": "uid"
        case "hostAliases", "hostIPs": "ip"
        case "topologySpreadConstraints": "topologyKey"
        case "taints": "key"
        case "addresses": "type"
        default: nil
        }
    }

    /// Lists of plain values that are one set.
    private static let sets: Set = ["finalizers"]

    func apply(_ patch: JSONValue, to object: JSONValue) throws(Refusal) -> JSONValue {
        try merged(patch, into: object)
    }

    private func merged(_ patch: JSONValue, into value: JSONValue?) throws(Refusal) -> JSONValue {
        guard var changes = patch.objectValue else { return patch }
        switch changes.removeValue(forKey: "$patch")?.stringValue {
        case nil, "merge": break
        case "replace": return .object(changes)
        case let word?: throw Refusal(400, "BadRequest", "$patch: \(word) is no directive for an object here")
        }
        var members = value?.objectValue ?? [:]
        if let kept = changes.removeValue(forKey: "$retainKeys")?.arrayValue?.compactMap(\.stringValue) {
            members = members.filter { kept.contains($0.key) }
        }
        for (name, change) in changes {
            if name.hasPrefix("$setElementOrder/") { continue }
            if name.hasPrefix("$deleteFromPrimitiveList/") {
                let list = String(name.dropFirst("$deleteFromPrimitiveList/".count))
                let gone = change.arrayValue ?? []
                members[list] = .array((members[list]?.arrayValue ?? []).filter { !gone.contains($0) })
                continue
            }
            let before = members.removeValue(forKey: name)
            if change == .null || change["$patch"] == "delete" { continue }
            members[name] = try element(change, into: before, name)
        }
        return .object(members)
    }

    private func element(_ change: JSONValue, into before: JSONValue?, _ name: String) throws(Refusal)
        -> JSONValue
    {
        guard let changes = change.arrayValue else { return try merged(change, into: before) }
        let kept = before?.arrayValue ?? []
        if Self.sets.contains(name) { return .array(kept + changes.filter { !kept.contains($0) }) }
        guard let key = key(of: name) else { return change }
        if changes.contains(["$patch": "replace"]) {
            return .array(changes.filter { $0 != ["$patch": "replace"] })
        }
        var result = kept
        for change in changes {
            guard let value = change[key] else {
                throw Refusal(
                    400, "BadRequest",
                    "map: \(change.compactText) does not contain declared merge key: \(key)")
            }
            let index = result.firstIndex { $0[key] == value }
            if change["$patch"] == "delete" {
                if let index { result.remove(at: index) }
            } else if let index {
                result[index] = try merged(change, into: result[index])
            } else {
                result.append(try merged(change, into: nil))
            }
        }
        return .array(result)
    }
}
