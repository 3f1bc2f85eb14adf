// Server-side apply: each manager owns the fields that it applied; another's are a conflict unless it is forced;
// what a manager no longer applies goes, unless another owns it, too.

import Text
import WorkflowLanguage

struct ServerSideApply {
    let place: ObjectPlace
    let manager: String
    let isForced: Bool
    let moment: Timestamp

    /// What names the elements of lists that are merged; other lists are taken as a whole.
    private static let keys: [String: [String]] = [
        "containers": ["name"], "initContainers": ["name"], "ephemeralContainers": ["name"],
        "volumes": ["name"], "env": ["name"], "imagePullSecrets": ["name"], "volumeMounts": ["mountPath"],
        "volumeDevices": ["devicePath"], "conditions": ["type"], "ownerReferences": ["uid"],
        "hostAliases": ["ip"], "resourceClaims": ["name"], "topologySpreadConstraints": ["topologyKey"],
    ]
    /// Lists whose elements are members of a set.
    private static let sets: Set = ["finalizers"]

    // MARK: Applying

    /// - Parameter current: nil where there is no such object yet.
    func apply(_ wanted: JSONValue, to current: JSONValue?) throws(Refusal) -> JSONValue {
        guard !manager.isEmpty else {
            throw Refusal(
                400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        }
        guard wanted["metadata"]?["managedFields"] == nil else {
            throw Refusal(400, "BadRequest", "metadata.managedFields must be nil")
        }
        let mine = tree(of: configuration(wanted), key: "")
        guard let current else { return noting(mine, others: [], in: wanted) }
        var owners = managers(of: current)
        let before = owners.removeValue(forKey: manager) ?? .object([:])
        var conflicts: [String] = []
        for (name, theirs) in owners.sorted(by: { $0.key < $1.key }) {
            let disputed = self.disputed(mine, theirs, wanted, current, path: "")
            conflicts += disputed.map { "conflict with \"\(name)\": \($0.path)" }
            if isForced {
                for field in disputed {
                    owners[name] = Self.without(field.steps[...], in: owners[name] ?? [:])
                }
            }
        }
        guard conflicts.isEmpty || isForced else {
            throw Refusal(
                409, "Conflict",
                "Apply failed with \(conflicts.count) conflict\(conflicts.count == 1 ? "" : "s"): "
                    + conflicts.joined(separator: ", "))
        }
        var result = merged(wanted, into: current, key: "")
        var abandoned = Self.subtract(before, mine)
        for theirs in owners.values { abandoned = Self.subtract(abandoned, theirs) }
        result = removing(abandoned, from: result, key: "")
        return noting(mine, others: owners.filter { $0.value != [:] }.map { ($0.key, $0.value) }, in: result)
    }

    /// The fields that can be owned: identity cannot.
    private func configuration(_ object: JSONValue) -> JSONValue {
        var members = object.objectValue ?? [:]
        members["apiVersion"] = nil
        members["kind"] = nil
        var metadata = members["metadata"]?.objectValue ?? [:]
        for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation"] {
            metadata[key] = nil
        }
        members["metadata"] = Optional.none
        if !metadata.isEmpty { members["metadata"] = .object(metadata) }
        return .object(members)
    }

    private func managers(of object: JSONValue) -> [String: JSONValue] {
        let entries = object["metadata"]?["managedFields"]?.arrayValue ?? []
        if entries.isEmpty {
            // Nobody applied it yet: who made it in other ways owns all of it.
            let bare = object.setting(["metadata", "managedFields"], to: nil).setting(["status"], to: nil)
            return ["before-first-apply": tree(of: configuration(bare), key: "")]
        }
        let pairs = entries.map { ($0["manager"]?.stringValue ?? "", $0["fieldsV1"] ?? [:]) }
        return Dictionary(pairs, uniquingKeysWith: { $1 })
    }

    private func noting(
        _ mine: JSONValue, others: [(String, JSONValue)], in object: JSONValue
    ) -> JSONValue {
        let old = object["metadata"]?["managedFields"]?.arrayValue ?? []
        let all = (others + [(manager, mine)]).sorted { $0.0 < $1.0 }
        let entries = all.map { name, fields -> JSONValue in
            let same = old.first { $0["manager"]?.stringValue == name && $0["fieldsV1"] == fields }
            return same ?? [
                "manager": .string(name), "operation": name == manager ? "Apply" : "Update",
                "apiVersion": object["apiVersion"] ?? "v1", "time": .string(moment.rfc3339),
                "fieldsType": "FieldsV1", "fieldsV1": fields,
            ]
        }
        return object.setting(["metadata", "managedFields"], to: .array(entries))
    }

    // MARK: Trees of fields

    private func listKeys(_ key: String) -> [String]? {
        if key == "ports" && place.isBuiltIn {
            return place.resource == "services" ? ["port", "protocol"] : ["containerPort", "protocol"]
        }
        return place.isBuiltIn || key == "ownerReferences" ? Self.keys[key] : nil
    }

    private func identity(_ element: JSONValue, _ keys: [String]) -> String {
        let parts = keys.map { ($0, $0 == "protocol" ? element[$0] ?? "TCP" : element[$0] ?? .null) }
        return "k:" + JSONValue.object(Dictionary(parts, uniquingKeysWith: { $1 })).compactText
    }

    /// `f:NAME` for members, `k:{...}` for elements with a name, `v:...` for elements of sets; an empty object
    /// is a field that is owned as a whole.
    private func tree(of value: JSONValue, key: String) -> JSONValue {
        switch value {
        case .object(let members) where !members.isEmpty:
            let pairs = members.map { ("f:\($0.key)", tree(of: $0.value, key: $0.key)) }
            return .object(Dictionary(pairs, uniquingKeysWith: { $1 }))
        case .array(let elements):
            if Self.sets.contains(key) {
                let pairs = elements.map { ("v:\($0.compactText)", JSONValue.object([:])) }
                return .object(Dictionary(pairs, uniquingKeysWith: { $1 }))
            }
            guard let keys = listKeys(key), !elements.isEmpty else { return [:] }
            let pairs = elements.map { (identity($0, keys), tree(of: $0, key: "")) }
            return .object(Dictionary(pairs, uniquingKeysWith: { $1 }))
        default: return [:]
        }
    }

    private func child(_ value: JSONValue?, _ step: String, key: String) -> JSONValue? {
        if step.hasPrefix("f:") { return value?[String(step.dropFirst(2))] }
        let elements = value?.arrayValue ?? []
        if step.hasPrefix("v:") { return elements.first { "v:\($0.compactText)" == step } }
        guard let keys = listKeys(key) else { return nil }
        return elements.first { identity($0, keys) == step }
    }

    private struct Disputed {
        var steps: [String]
        var path: String
    }

    /// Fields that both own and that are to become something else.
    private func disputed(
        _ mine: JSONValue, _ theirs: JSONValue, _ wanted: JSONValue?, _ current: JSONValue?, path: String,
        key: String = "", steps: [String] = []
    ) -> [Disputed] {
        guard let members = mine.objectValue, let other = theirs.objectValue else { return [] }
        if members.isEmpty || other.isEmpty {
            return wanted == current ? [] : [Disputed(steps: steps, path: path)]
        }
        return members.sorted { $0.key < $1.key }.flatMap { step, tree -> [Disputed] in
            guard let theirs = other[step] else { return [] }
            let name = String(step.dropFirst(2))
            let inner = step.hasPrefix("f:") ? "\(path).\(name)" : "\(path)[\(name)]"
            return disputed(
                tree, theirs, child(wanted, step, key: key), child(current, step, key: key), path: inner,
                key: step.hasPrefix("f:") ? name : "", steps: steps + [step])
        }
    }

    private static func without(_ steps: ArraySlice<String>, in tree: JSONValue) -> JSONValue {
        guard let step = steps.first, var members = tree.objectValue else { return tree }
        if steps.count == 1 {
            members[step] = nil
        } else if let inner = members[step] {
            let rest = without(steps.dropFirst(), in: inner)
            members[step] = Optional.none
            if rest != [:] { members[step] = rest }
        }
        return .object(members)
    }

    private static func subtract(_ tree: JSONValue, _ other: JSONValue) -> JSONValue {
        guard let members = tree.objectValue, let gone = other.objectValue else { return tree }
        var rest: [String: JSONValue] = [:]
        for (step, inner) in members {
            guard let theirs = gone[step] else {
                rest[step] = inner
                continue
            }
            if inner == [:] || theirs == [:] { continue }
            let kept = subtract(inner, theirs)
            if kept != [:] { rest[step] = kept }
        }
        return .object(rest)
    }

    // MARK: Values

    private func merged(_ wanted: JSONValue, into current: JSONValue?, key: String) -> JSONValue {
        switch wanted {
        case .object(let changes):
            var members = current?.objectValue ?? [:]
            for (name, change) in changes { members[name] = merged(change, into: members[name], key: name) }
            return .object(members)
        case .array(let changes):
            guard let kept = current?.arrayValue else { return wanted }
            if Self.sets.contains(key) { return .array(kept + changes.filter { !kept.contains($0) }) }
            guard let keys = listKeys(key) else { return wanted }
            var result = kept
            for change in changes {
                let name = identity(change, keys)
                if let index = result.firstIndex(where: { identity($0, keys) == name }) {
                    result[index] = merged(change, into: result[index], key: "")
                } else {
                    result.append(change)
                }
            }
            return .array(result)
        default: return wanted
        }
    }

    private func removing(_ tree: JSONValue, from value: JSONValue, key: String) -> JSONValue {
        guard let steps = tree.objectValue, !steps.isEmpty else { return value }
        switch value {
        case .object(var members):
            for (step, inner) in steps where step.hasPrefix("f:") {
                let name = String(step.dropFirst(2))
                if inner == [:] {
                    members[name] = nil
                } else if let old = members[name] {
                    members[name] = removing(inner, from: old, key: name)
                }
            }
            return .object(members)
        case .array(let elements):
            return .array(
                elements.compactMap { element in
                    let names = [listKeys(key).map { identity(element, $0) }, "v:\(element.compactText)"]
                    guard let step = names.compactMap({ $0 }).first(where: { steps[$0] != nil }),
                        let inner = steps[step]
                    else { return element }
                    // An element whose name is abandoned goes as a whole.
                    let isWhole =
                        inner == [:] || listKeys(key)?.allSatisfy { inner["f:\($0)"] != nil } == true
                    if isWhole { return Optional.none }
                    return removing(inner, from: element, key: "")
                })
        default: return value
        }
    }
}
