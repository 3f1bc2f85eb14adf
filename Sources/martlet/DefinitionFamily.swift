// The kinds of stored definitions that have verbs of their own: `template`, `cluster-template` and `cron`.

import Controller
import Persistence
import Text
import WorkflowLanguage

/// One kind of definition on the command line.
protocol DefinitionFamily {
    static var kind: DefinitionKind { get }
    /// The verb that the kind's verbs stand under.
    static var command: String { get }
    /// What one of them is called.
    static var noun: String { get }
}

enum TemplateFamily: DefinitionFamily {
    static let kind = DefinitionKind.workflowTemplate
    static let command = "template"
    static let noun = "workflow template"
}

enum ClusterTemplateFamily: DefinitionFamily {
    static let kind = DefinitionKind.clusterWorkflowTemplate
    static let command = "cluster-template"
    static let noun = "cluster workflow template"
}

enum CronFamily: DefinitionFamily {
    static let kind = DefinitionKind.cronWorkflow
    static let command = "cron"
    static let noun = "cron workflow"
}

/// Stored definitions of one kind.
struct DefinitionShelf<Family: DefinitionFamily> {
    let access: RunAccess
    let data: ClientOptions

    init(_ data: ClientOptions) throws {
        self.data = data
        access = try RunAccess(data)
    }

    /// Checks manifests and stores those of the family.
    ///
    /// - Returns: the definitions as they are now; the command exits with 1 if a manifest has errors.
    func put(_ files: [String], strict: Bool, replaces: Bool) async throws -> [ShownDefinition] {
        let manifests = try Manifests.read(files)
        let found = try await diagnostics(manifests, strict: strict)
        for diagnostic in found { Output.note(diagnostic.shown(colored: Output.colorsStandardError)) }
        if found.contains(where: { $0.severity == .error }) { throw CommandError("nothing was stored") }
        let documents = manifests.documents(of: [Family.kind.rawValue])
        guard !documents.isEmpty else {
            throw CommandError("nothing to store: no document of kind \(Family.kind.rawValue)", status: 2)
        }
        var stored: [ShownDefinition] = []
        for document in documents {
            let metadata = ObjectMetadata(document.json["metadata"])
            let namespace =
                data.namespace == "default" && !metadata.namespace.isEmpty
                ? metadata.namespace : data.namespace
            stored.append(
                try await told {
                    try await access.backend.put(
                        Family.kind, document.json, namespace: namespace, replaces: replaces)
                })
        }
        return stored
    }

    func diagnostics(_ manifests: Manifests, strict: Bool) async throws -> [Diagnostic] {
        let catalog = try await access.backend.catalog(namespace: data.namespace)
            .including(manifests.documents)
        var options = ValidationOptions()
        options.strict = strict
        return manifests.diagnostics + Linter.lint(manifests.documents, catalog: catalog, options: options)
    }

    func definition(_ name: String) async throws -> ShownDefinition {
        do {
            return try await access.backend.definition(Family.kind, name: name, namespace: data.namespace)
        } catch let error as OperationError where error.reason == .notFound {
            throw CommandError("there is no \(Family.noun) \"\(name)\"; see `martlet \(Family.command) list`")
        }
    }

    /// Refusals as the command line shows them.
    func told<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as OperationError {
            throw CommandError(error.message)
        }
    }
}

extension ShownDefinition {
    /// Name, namespace and age, as `argo template get` begins.
    func header(now: Timestamp, zone: TimeZoneRules = LocalZone.rules) -> String {
        var facts = [("Name:", name)]
        if !namespace.isEmpty { facts.append(("Namespace:", namespace)) }
        facts.append(("Created:", HumanTime.stamp(createdAt, now: now, zone: zone)))
        let spec = document["spec"]
        if kind == .cronWorkflow {
            let cron = CronWorkflow(document)
            facts.append(("Schedules:", cron.schedules.joined(separator: ", ")))
            facts.append(("Suspended:", cron.suspend ? "true" : "false"))
            if let zone = cron.timezone { facts.append(("Timezone:", zone)) }
            if let policy = cron.concurrencyPolicy { facts.append(("ConcurrencyPolicy:", policy)) }
        } else if let entrypoint = spec?["entrypoint"]?.scalarText {
            facts.append(("Entrypoint:", entrypoint))
        }
        return facts.map { "\($0.padded(toWidth: 20)) \($1.printable)\n" }.joined()
    }
}
