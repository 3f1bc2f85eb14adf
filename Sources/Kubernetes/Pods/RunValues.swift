// ConfigMaps and Secrets that documents beside a workflow define: laid into the cluster for the run, under
// names of their own, and its pods' references led there. What no document defines is the cluster's own.

package import Executors
package import Text
package import WorkflowLanguage

/// Which of a launch's values its pod refers to.
package struct RunValues: Sendable {
    /// A document and the name that it has in the cluster.
    package struct Entry: Sendable, Hashable {
        package var isSecret: Bool
        package var name: String
        package var clusterName: String
        package var values: KeyedValues
    }

    /// Members that name a ConfigMap or Secret, with the member that has the name.
    private static let references: [String: (isSecret: Bool, member: String)] = [
        "configMapKeyRef": (false, "name"), "configMapRef": (false, "name"), "configMap": (false, "name"),
        "secretKeyRef": (true, "name"), "secretRef": (true, "name"), "secret": (true, "secretName"),
    ]
    /// A list of Secrets by `name`.
    private static let pullSecrets = "imagePullSecrets"

    /// In order of their names.
    package private(set) var entries: [Entry] = []
    private var names: [String: String] = [:]

    /// - Parameters:
    ///   - pod: its containers and volumes say what it refers to; a Job is taken, too.
    ///   - mark: letters and digits that change with the run and the content, and tell nothing of them.
    package init(_ pod: JSONValue, _ values: LaunchValues, mark: (String) -> String) {
        var found: [String: Entry] = [:]
        Self.collect(from: pod["spec"] ?? .null) { isSecret, name in
            let known = isSecret ? values.secrets[name] : values.configMaps[name]
            guard let known else { return }
            let content = Self.content(known, isSecret: isSecret)
            let clusterName = PodNames.marked(name, mark(content.compactText))
            found[Self.key(isSecret, name)] = Entry(
                isSecret: isSecret, name: name, clusterName: clusterName, values: known)
        }
        entries = found.sortedByKey.map(\.value)
        names = found.mapValues(\.clusterName)
    }

    private static func key(_ isSecret: Bool, _ name: String) -> String {
        (isSecret ? "s/" : "c/") + name
    }

    private static func collect(from json: JSONValue, _ each: (_ isSecret: Bool, _ name: String) -> Void) {
        switch json {
        case .array(let elements): for element in elements { collect(from: element, each) }
        case .object(let members):
            for (key, value) in members {
                if let (isSecret, member) = references[key],
                    let name = value[member]?.stringValue
                        ?? value["name"]?.stringValue
                {
                    each(isSecret, name)
                }
                if key == pullSecrets {
                    for name in (value.arrayValue ?? []).compactMap({ $0["name"]?.stringValue }) {
                        each(true, name)
                    }
                }
                collect(from: value, each)
            }
        default: break
        }
    }

    /// The pod with its references led to the run's own objects.
    package func leading(_ pod: JSONValue) -> JSONValue {
        guard !names.isEmpty, var members = pod.objectValue else { return pod }
        members["spec"] = led(pod["spec"] ?? .null)
        return .object(members)
    }

    private func led(_ json: JSONValue) -> JSONValue {
        switch json {
        case .array(let elements): return .array(elements.map(led))
        case .object(let members):
            var result = members.mapValues(led)
            for (key, (isSecret, member)) in Self.references {
                guard var reference = result[key]?.objectValue else { continue }
                // A Secret among the sources of a projected volume has `name`, as volume it has `secretName`.
                for field in [member, "name"] {
                    if let name = reference[field]?.stringValue, let own = names[Self.key(isSecret, name)] {
                        reference[field] = .string(own)
                    }
                }
                result[key] = .object(reference)
            }
            if let list = result[Self.pullSecrets]?.arrayValue {
                result[Self.pullSecrets] = .array(list.map(ledPullSecret))
            }
            return .object(result)
        default: return json
        }
    }

    private func ledPullSecret(_ json: JSONValue) -> JSONValue {
        guard var reference = json.objectValue, let name = reference["name"]?.stringValue,
            let own = names[Self.key(true, name)]
        else { return json }
        reference["name"] = .string(own)
        return .object(reference)
    }

    private static func content(_ values: KeyedValues, isSecret: Bool) -> JSONValue {
        [
            isSecret ? "stringData" : "data": .object(values.values.mapValues(JSONValue.string)),
            isSecret ? "data" : "binaryData": .object(values.encodedValues.mapValues(JSONValue.string)),
        ]
    }

    /// The object of an entry; it never changes, since another content would have another name.
    package static func object(
        _ entry: Entry, workflow: String, uid: String, namespace: String, owner: RunOwner?,
        settings: PodSettings
    ) -> JSONValue {
        var object = content(entry.values, isSecret: entry.isSecret).objectValue ?? [:]
        object = object.filter { $0.value != [:] }
        object["apiVersion"] = "v1"
        object["kind"] = entry.isSecret ? "Secret" : "ConfigMap"
        object["immutable"] = true
        if entry.isSecret, let type = entry.values.raw["type"]?.stringValue { object["type"] = .string(type) }
        var metadata: [String: JSONValue] = [
            "name": .string(entry.clusterName), "namespace": .string(namespace),
            "labels": .object(
                PodRenderer.runLabels(workflow: workflow, uid: uid, settings).mapValues(JSONValue.string)),
            "annotations": ["martlet.dev/defined-as": .string(entry.name), PodMarks.runID: .string(uid)],
        ]
        if let owner { metadata["ownerReferences"] = [owner.reference] }
        object["metadata"] = .object(metadata)
        return .object(object)
    }
}
