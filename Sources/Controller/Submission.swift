// From a manifest to a stored run.

import Glibc
package import Persistence
package import Scheduling
package import Text
package import WorkflowLanguage

/// What is asked for beside the manifest itself.
package struct SubmissionOptions: Sendable {
    package var name: String?
    package var generateName: String?
    package var namespace: String?
    package var entrypoint: String?
    package var parameters: [(name: String, value: String)] = []
    package var labels: [String: String] = [:]
    package var annotations: [String: String] = [:]
    package var serviceAccountName: String?
    package var priority: Int?
    /// Whoever asked for the run, for its `creator` label.
    package var creator: String?
    /// Whether unknown fields of the manifest are errors; otherwise they are left aside.
    package var strict = false

    package init() {}
}

package enum Submission {
    /// Letters and digits that names end with, without those that read alike.
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")

    /// The definition of a run of a manifest, with a name and an identity of its own. Nothing is stored yet.
    package static func definition(
        of manifest: JSONValue, catalog: TemplateCatalog, options: SubmissionOptions, at now: Timestamp,
        uid: String = newUID()
    ) -> RunDefinition {
        var manifest = manifest
        let metadata = ObjectMetadata(manifest["metadata"])
        let name =
            options.name
            ?? (options.generateName == nil && !metadata.name.isEmpty
                ? metadata.name
                : generated(options.generateName ?? metadata.generateName))
        manifest = decorated(manifest, options)
        let namespace = options.namespace ?? (metadata.namespace.isEmpty ? "default" : metadata.namespace)
        return RunDefinition(
            manifest: manifest, catalog: catalog, uid: uid, name: name, namespace: namespace,
            createdAt: now,
            seed: UInt64.random(in: 0 ... .max), parameters: options.parameters,
            entrypoint: options.entrypoint
        ).pruned()
    }

    private static func decorated(_ manifest: JSONValue, _ options: SubmissionOptions) -> JSONValue {
        guard var members = manifest.objectValue else { return manifest }
        var labels = options.labels
        if let creator = options.creator { labels[creatorLabel] = labelValue(creator) }
        var metadata = members["metadata"]?.objectValue ?? [:]
        for (field, texts) in [("labels", labels), ("annotations", options.annotations)] where !texts.isEmpty
        {
            let own = metadata[field]?.objectValue ?? [:]
            metadata[field] = .object(own.merging(texts.mapValues(JSONValue.string)) { $1 })
            members["metadata"] = .object(metadata)
        }
        var spec = members["spec"]?.objectValue ?? [:]
        if let account = options.serviceAccountName { spec["serviceAccountName"] = .string(account) }
        if let priority = options.priority { spec["priority"] = .int(priority) }
        members["spec"] = .object(spec)
        return .object(members)
    }

    /// The manifest with everything in it that was asked for beside it: for a server, which gets nothing else.
    package static func manifest(_ manifest: JSONValue, with options: SubmissionOptions) -> JSONValue {
        guard var members = decorated(manifest, options).objectValue else { return manifest }
        var metadata = members["metadata"]?.objectValue ?? [:]
        if let name = options.name {
            metadata["name"] = .string(name)
        } else if let prefix = options.generateName {
            metadata["name"] = nil
            metadata["generateName"] = .string(prefix)
        }
        if let namespace = options.namespace { metadata["namespace"] = .string(namespace) }
        members["metadata"] = .object(metadata)
        var spec = members["spec"]?.objectValue ?? [:]
        if let entrypoint = options.entrypoint { spec["entrypoint"] = .string(entrypoint) }
        if !options.parameters.isEmpty {
            var arguments = spec["arguments"]?.objectValue ?? [:]
            var list = arguments["parameters"]?.arrayValue ?? []
            for (name, value) in options.parameters {
                list.removeAll { $0["name"]?.stringValue == name && $0["enum"] == nil }
                if let index = list.firstIndex(where: { $0["name"]?.stringValue == name }) {
                    var parameter = list[index].objectValue ?? [:]
                    parameter["value"] = .string(value)
                    list[index] = .object(parameter)
                } else {
                    list.append(.object(["name": .string(name), "value": .string(value)]))
                }
            }
            arguments["parameters"] = .array(list)
            spec["arguments"] = .object(arguments)
        }
        members["spec"] = .object(spec)
        return .object(members)
    }

    /// The label that tells who asked for a run.
    package static let creatorLabel = "workflows.argoproj.io/creator"

    /// A text as Kubernetes allows it as value of a label: at most 63 letters, digits, `-`, `_` and `.`.
    package static func labelValue(_ text: String) -> String {
        func isWord(_ character: Character) -> Bool {
            character.isASCII && (character.isLetter || character.isNumber)
        }
        let legal = text.map { isWord($0) || "-_.".contains($0) ? $0 : "-" }.prefix(63)
        var trimmed = legal.drop { !isWord($0) }
        while let last = trimmed.last, !isWord(last) { trimmed.removeLast() }
        return String(trimmed)
    }

    /// A name from a prefix, as Kubernetes makes one: the prefix and five random letters.
    package static func generated(_ prefix: String) -> String {
        var name = prefix.isEmpty ? "workflow-" : prefix
        for _ in 0..<5 { name.append(alphabet.randomElement() ?? "x") }
        return name
    }

    /// A random UUID, version 4.
    package static func newUID() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Array("0123456789abcdef")
        var text = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { text.append("-") }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }

    /// Stores a run that has not begun. When this returns it is on disk.
    package static func store(_ definition: RunDefinition, in store: Store, phase: String = "Pending")
        async throws
    {
        try await store.insertWorkflow(row(of: definition, phase: phase))
    }

    static func row(of definition: RunDefinition, phase: String) -> WorkflowRow {
        let summary = WorkflowSummary(
            uid: definition.uid, namespace: definition.namespace, name: definition.name, phase: phase,
            createdAt: definition.createdAt, priority: definition.spec.priority ?? 0,
            labels: definition.metadata.labels, annotations: definition.metadata.annotations)
        return WorkflowRow(summary: summary, manifest: definition.json, state: .object([:]))
    }

    /// Keeps the Secrets among some documents, which must not become part of a run's stored definition.
    package static func keepSecrets(
        of documents: [JSONValue], namespace: String, in store: Store, at now: Timestamp
    ) async throws {
        for document in documents where document["kind"] == .string("Secret") {
            let name = ObjectMetadata(document["metadata"]).name
            _ = try await store.putDefinition(
                .secret, namespace: namespace, name: name, body: document, at: now)
        }
    }
}
