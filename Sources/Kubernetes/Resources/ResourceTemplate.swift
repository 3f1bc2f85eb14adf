// A `resource` template as it is to be carried out: which action, on which object, and when it is over.

package import Text
import WorkflowLanguage

package struct ResourceTemplate: Sendable {
    package enum Action: String, Sendable, CaseIterable {
        case get, create, apply, delete, replace, patch
    }

    /// How a patch is merged: `mergeStrategy`.
    static let patchKinds: [String: KubernetesClient.PatchKind] = [
        "strategic": .strategic, "merge": .merge, "json": .json,
    ]

    package let action: Action
    /// The object, or for a JSON patch the list of its operations; nil where only flags name the object.
    package let manifest: JSONValue?
    let flags: ResourceFlags
    let patchKind: KubernetesClient.PatchKind
    package let setsOwner: Bool
    package let success: ResourceCondition?
    package let failure: ResourceCondition?

    /// - Parameter text: the manifest, from wherever the template takes it.
    /// - Throws: `PodProblem` with the field that is wrong.
    package init(_ json: JSONValue, manifest text: String?) throws(PodProblem) {
        let fields = Fields(json)
        guard let action = fields.string("action").flatMap(Action.init) else {
            throw PodProblem(
                "resource.action must be one of \(Action.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.action = action
        flags = try ResourceFlags(fields.strings("flags"))
        let strategy = fields.string("mergeStrategy") ?? ""
        guard let kind = Self.patchKinds[strategy.isEmpty ? "strategic" : strategy] else {
            throw PodProblem("resource.mergeStrategy is strategic, merge or json, not \"\(strategy)\"")
        }
        patchKind = kind
        setsOwner = fields.bool("setOwnerReference") ?? false
        success = try Self.condition(fields, "successCondition")
        failure = try Self.condition(fields, "failureCondition")
        manifest = try Self.parsed(text)
        try check()
    }

    private static func condition(_ fields: Fields, _ name: String) throws(PodProblem) -> ResourceCondition? {
        guard let text = fields.string(name), !text.trimmed.isEmpty else { return nil }
        return try ResourceCondition(text, named: "resource.\(name)")
    }

    private static func parsed(_ text: String?) throws(PodProblem) -> JSONValue? {
        guard let text, !text.trimmed.isEmpty else { return nil }
        // A list of operations is no document of a kind.
        if text.trimmed.hasPrefix("["), let json = try? JSONValue(parsingUTF8: Array(text.utf8)) {
            return json
        }
        let (documents, diagnostics) = ManifestReader.read(Array(text.utf8), file: "manifest")
        guard let document = documents.first else {
            throw PodProblem(
                "resource.manifest cannot be read: \(diagnostics.first?.description ?? "it is empty")")
        }
        guard documents.count == 1 else {
            throw PodProblem(
                "resource.manifest has \(documents.count) documents, and one step makes one object; write a step for "
                    + "each")
        }
        if let problem = diagnostics.first(where: { $0.severity == .error }) {
            throw PodProblem("resource.manifest cannot be read: \(problem.message)")
        }
        return document.json
    }

    private func check() throws(PodProblem) {
        let isObject = manifest?["kind"]?.stringValue != nil
        switch action {
        case .create, .apply, .replace:
            guard isObject else {
                throw PodProblem("resource.manifest must be one object with apiVersion, kind and metadata")
            }
        case .patch:
            guard manifest != nil else { throw PodProblem("a patch needs resource.manifest") }
            guard isObject || flags.words.count >= 2 || flags.words.first?.contains("/") == true else {
                throw PodProblem(
                    "the patch does not say of which object; give it kind and metadata.name, or write them into "
                        + "resource.flags: [KIND, NAME]")
            }
        case .get, .delete:
            guard isObject || !flags.words.isEmpty else {
                throw PodProblem(
                    "resource.action \(action.rawValue) does not say of which object; give resource.manifest, or "
                        + "resource.flags: [KIND, NAME]")
            }
        }
        if action == .create, flags.selector != nil {
            throw PodProblem("resource.flags: a selector chooses among objects that are there; create makes one")
        }
    }

    /// The body of a patch: identity is in the address, and may stay in it.
    var patch: JSONValue { manifest ?? .null }
}
