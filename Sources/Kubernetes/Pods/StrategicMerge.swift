// Kubernetes' strategic merge of a patch into a pod's specification: lists of things with a name are merged
// by it, where a plain merge patch would replace them. What `podSpecPatch` is applied with.

package import Text

package enum StrategicMerge {
    /// What names an element of each list that is merged; other lists are replaced. From the `patchMergeKey`
    /// marks of Kubernetes' API types.
    private static let mergeKeys: [String: [String]] = [
        "containers": ["name"], "initContainers": ["name"], "ephemeralContainers": ["name"],
        "volumes": ["name"], "env": ["name"], "imagePullSecrets": ["name"], "hostAliases": ["ip"],
        "volumeMounts": ["mountPath"], "volumeDevices": ["devicePath"], "ports": ["containerPort"],
        "resourceClaims": ["name"], "schedulingGates": ["name"], "topologySpreadConstraints": ["topologyKey"],
        "ownerReferences": ["uid"],
    ]

    /// Lists of scalars that a patch adds to.
    private static let unions: Set<String> = ["finalizers"]

    /// - Returns: `value` with `patch` merged in; a null removes, `$patch: delete` removes an element or
    /// object,   `$patch: replace` replaces instead of merging.
    package static func apply(_ patch: JSONValue, to value: JSONValue?) -> JSONValue {
        guard case .object(var members) = patch else { return patch }
        let directive = members.removeValue(forKey: "$patch")?.stringValue
        if directive == "replace" { return .object(clean(members)) }
        var result = value?.objectValue ?? [:]
        for (key, change) in members.sortedByKey where !key.hasPrefix("$") {
            if change == .null {
                result[key] = nil
            } else if case .array(let changes) = change {
                let kept = result[key]?.arrayValue ?? []
                result[key] = .array(merge(changes, into: kept, key: key))
            } else if change["$patch"]?.stringValue == "delete" {
                result[key] = nil
            } else {
                result[key] = apply(change, to: result[key])
            }
        }
        for (key, list) in members where key.hasPrefix("$deleteFromPrimitiveList/") {
            let name = String(key.dropFirst("$deleteFromPrimitiveList/".count))
            let gone = list.arrayValue ?? []
            result[name] = result[name]?.arrayValue.map { kept in .array(kept.filter { !gone.contains($0) }) }
        }
        return .object(result)
    }

    private static func merge(_ changes: [JSONValue], into kept: [JSONValue], key: String) -> [JSONValue] {
        if changes.contains(["$patch": "replace"]) { return changes.filter { $0 != ["$patch": "replace"] } }
        if unions.contains(key) { return kept + changes.filter { !kept.contains($0) } }
        guard let names = mergeKeys[key], changes.allSatisfy({ $0.objectValue != nil }) else {
            return changes
        }
        var result = kept
        for change in changes {
            let name = names.lazy.compactMap { change[$0] }.first
            let index = name.flatMap { name in
                result.firstIndex { element in names.contains { element[$0] == name } }
            }
            if change["$patch"]?.stringValue == "delete" {
                if let index { result.remove(at: index) }
            } else if let index {
                result[index] = apply(change, to: result[index])
            } else {
                result.append(apply(change, to: nil))
            }
        }
        return result
    }

    private static func clean(_ members: [String: JSONValue]) -> [String: JSONValue] {
        members.filter { !$0.key.hasPrefix("$") && $0.value != .null }
    }
}
