// What a run is made of before it begins: the manifest, what it refers to, and its identity. Never changes.

package import Text
package import WorkflowLanguage

/// The definition of one run, complete in itself: stored templates are copied into it when it is submitted.
package struct RunDefinition: Sendable {
    package let uid: String
    package let name: String
    package let namespace: String
    package let createdAt: Timestamp
    /// Seeds everything random in the run.
    package let seed: UInt64
    /// The manifest as submitted.
    package let manifest: JSONValue
    package let metadata: ObjectMetadata
    /// The specification in force: the stored template's with the manifest's over it, and the arguments
    /// given.
    package let spec: WorkflowSpec
    /// The stored templates and ConfigMaps that the run may use.
    package let catalog: TemplateCatalog
    /// Zones that expressions may name.
    package var zones: [String: TimeZoneRules] = [:]

    /// - Parameters:
    ///   - parameters: arguments from outside; they win over the manifest's.
    ///   - entrypoint: replaces the manifest's, if given.
    package init(
        manifest: JSONValue, catalog: TemplateCatalog, uid: String, name: String, namespace: String,
        createdAt: Timestamp, seed: UInt64, parameters: [(name: String, value: String)] = [],
        entrypoint: String? = nil
    ) {
        var json = manifest["spec"] ?? .object([:])
        if let reference = WorkflowSpec(json).workflowTemplateRef,
            let stored = catalog.workflowTemplate(reference.name, clusterScope: reference.clusterScope)
        {
            json = Self.merged(stored: stored.spec.raw, over: json)
        }
        json = Self.setting(parameters, in: json)
        if let entrypoint, var members = json.objectValue {
            members["entrypoint"] = .string(entrypoint)
            json = .object(members)
        }
        var metadata = ObjectMetadata(manifest["metadata"])
        metadata.name = name
        metadata.namespace = namespace
        metadata.uid = uid
        self.init(
            uid: uid, name: name, namespace: namespace, createdAt: createdAt, seed: seed, manifest: manifest,
            metadata: metadata, spec: WorkflowSpec(json), catalog: catalog)
    }

    private init(
        uid: String, name: String, namespace: String, createdAt: Timestamp, seed: UInt64, manifest: JSONValue,
        metadata: ObjectMetadata, spec: WorkflowSpec, catalog: TemplateCatalog
    ) {
        self.uid = uid
        self.name = name
        self.namespace = namespace
        self.createdAt = createdAt
        self.seed = seed
        self.manifest = manifest
        self.metadata = metadata
        self.spec = spec
        self.catalog = catalog
    }

    /// The definition as it is stored. Secrets are not in it.
    package var json: JSONValue {
        .object([
            "uid": .string(uid), "name": .string(name), "namespace": .string(namespace),
            "createdAt": .int(Int(createdAt.nanoseconds)), "seed": .string(String(seed)),
            "manifest": manifest,
            "metadata": metadata.json, "spec": spec.raw,
            "namespaced": .object(catalog.namespaced.mapValues(\.raw)),
            "cluster": .object(catalog.cluster.mapValues(\.raw)),
            "configMaps": .object(catalog.configMaps.mapValues(\.raw)),
        ])
    }

    /// A stored definition; nil if it is not one that `json` wrote.
    package init?(stored: JSONValue) {
        let fields = Fields(stored)
        guard let uid = fields.string("uid"), let name = fields.string("name"),
            let createdAt = fields.int("createdAt"), let seed = fields.string("seed").flatMap({ UInt64($0) }),
            let manifest = fields["manifest"], let spec = fields["spec"]
        else { return nil }
        let catalog = TemplateCatalog(
            namespaced: (fields["namespaced"]?.objectValue ?? [:]).mapValues(Workflow.init),
            cluster: (fields["cluster"]?.objectValue ?? [:]).mapValues(Workflow.init),
            configMaps: (fields["configMaps"]?.objectValue ?? [:]).mapValues(KeyedValues.init))
        self.init(
            uid: uid, name: name, namespace: fields.string("namespace") ?? "default",
            createdAt: Timestamp(nanoseconds: Int64(createdAt)), seed: seed, manifest: manifest,
            metadata: ObjectMetadata(fields["metadata"]), spec: WorkflowSpec(spec), catalog: catalog)
    }

    /// The same definition with other arguments, as `retry -p` gives them.
    package func with(parameters: [(name: String, value: String)]) -> RunDefinition {
        var copy = RunDefinition(
            uid: uid, name: name, namespace: namespace, createdAt: createdAt, seed: seed, manifest: manifest,
            metadata: metadata, spec: WorkflowSpec(Self.setting(parameters, in: spec.raw)), catalog: catalog)
        copy.zones = zones
        return copy
    }

    /// The same definition with only those stored definitions that it can reach.
    package func pruned() -> RunDefinition {
        var catalog = TemplateCatalog(configMaps: catalog.configMaps)
        var pending = [spec.raw]
        while let json = pending.popLast() {
            for (name, clusterScope) in Self.references(in: json) {
                let known = clusterScope ? catalog.cluster[name] : catalog.namespaced[name]
                guard known == nil,
                    let stored = self.catalog.workflowTemplate(name, clusterScope: clusterScope)
                else { continue }
                if clusterScope { catalog.cluster[name] = stored } else { catalog.namespaced[name] = stored }
                pending.append(stored.spec.raw)
            }
        }
        var copy = RunDefinition(
            uid: uid, name: name, namespace: namespace, createdAt: createdAt, seed: seed, manifest: manifest,
            metadata: metadata, spec: spec, catalog: catalog)
        copy.zones = zones
        return copy
    }

    private static func references(in json: JSONValue) -> [(String, Bool)] {
        switch json {
        case .array(let elements): return elements.flatMap(references)
        case .object(let members):
            var found = members.values.flatMap(references)
            for key in ["templateRef", "workflowTemplateRef"] {
                if let reference = members[key], let name = reference["name"]?.stringValue {
                    found.append((name, reference["clusterScope"]?.boolValue ?? false))
                }
            }
            return found
        default: return []
        }
    }
}

extension RunDefinition {
    /// A stored template's specification with a workflow's over it: maps merge, arguments merge by name, all
    /// else is the workflow's where it says something.
    static func merged(stored: JSONValue, over own: JSONValue) -> JSONValue {
        var result = merge(under: stored, over: own)
        guard var members = result.objectValue else { return result }
        let arguments = merge(
            under: stored["arguments"] ?? .object([:]), over: own["arguments"] ?? .object([:]),
            listsByName: true)
        if arguments != .object([:]) { members["arguments"] = arguments }
        result = .object(members)
        return result
    }

    /// Maps are merged member by member; of other values the upper one counts.
    static func merge(under: JSONValue, over: JSONValue, listsByName: Bool = false) -> JSONValue {
        switch (under, over) {
        case (.object(let lower), .object(let upper)):
            return .object(lower.merging(upper) { merge(under: $0, over: $1, listsByName: listsByName) })
        case (.array(let lower), .array(let upper)) where listsByName:
            let names = upper.map { $0["name"] }
            let kept = lower.filter { !names.contains($0["name"]) }
            let replaced = upper.map { element in
                // An argument without a value, as a declaration has it, keeps the stored value.
                guard let under = lower.first(where: { $0["name"] == element["name"] }) else {
                    return element
                }
                return merge(under: under, over: element)
            }
            return .array(kept + replaced)
        default:
            return over
        }
    }

    /// The specification with arguments set: known ones replaced, new ones added.
    static func setting(_ parameters: [(name: String, value: String)], in spec: JSONValue) -> JSONValue {
        guard !parameters.isEmpty, var members = spec.objectValue else { return spec }
        var arguments = members["arguments"]?.objectValue ?? [:]
        var list = arguments["parameters"]?.arrayValue ?? []
        for (name, value) in parameters {
            if let index = list.firstIndex(where: { $0["name"]?.scalarText == name }) {
                var parameter = list[index].objectValue ?? [:]
                parameter["value"] = .string(value)
                parameter["valueFrom"] = nil
                list[index] = .object(parameter)
            } else {
                list.append(.object(["name": .string(name), "value": .string(value)]))
            }
        }
        arguments["parameters"] = .array(list)
        members["arguments"] = .object(arguments)
        return .object(members)
    }
}
