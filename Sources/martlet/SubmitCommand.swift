// `martlet submit`: stores a run for another process to drive.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum SubmitOutput: String, ExpressibleByArgument, CaseIterable {
    case name, wide, json, yaml
}

struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Store runs as Pending, for another process to drive.",
        discussion: """
            No run begins by this alone: `martlet run --resume NAME` drives it. To run a manifest at once, use
            `martlet run FILE`.
            Examples:
              martlet submit pipeline.yaml -p epochs=3
              martlet submit --from workflowtemplate/finetune -p model=Qwen/Qwen3-0.6B -o name
              martlet submit --from cronwf/nightly
              martlet submit pipeline.yaml --dry-run -o yaml
            Exit status: 0 stored, 2 refused; with --wait or --watch 1 if a run did not succeed.
            """)

    @Argument(help: "Manifests, or - for standard input.")
    var files: [String] = []

    @Option(
        help: ArgumentHelp(
            "A stored definition: workflowtemplate/NAME, clusterworkflowtemplate/NAME or cronwf/NAME.",
            valueName: "KIND/NAME"))
    var from: String?

    @Flag(name: .shortAndLong, help: "Wait until the runs have ended.")
    var wait = false

    @Flag(help: "Show the run until it ends.")
    var watch = false

    @Flag(help: "Print what would be stored, and store nothing.")
    var dryRun = false

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: SubmitOutput?

    @Option(help: "Service account of the run; kept for Kubernetes.")
    var serviceaccount: String?

    @Option(help: "Priority of the run; higher goes first.")
    var priority: Int?

    @OptionGroup var submission: SubmissionFlags
    @OptionGroup var data: DataOptions

    func validate() throws {
        guard files.isEmpty == (from != nil) else {
            throw ValidationError("give manifests, or --from KIND/NAME")
        }
        if wait, watch { throw ValidationError("give --wait or --watch, not both") }
    }

    func run() async throws {
        let access = try RunAccess(data)
        var options = try submission.request.options(namespace: data.namespace)
        options.serviceAccountName = serviceaccount
        options.priority = priority
        let (manifests, workflows) = try await workflows(access)
        let stored = try await access.store.catalog(namespace: data.namespace)
        let catalog = manifests.catalog(over: stored)
        var checks = ValidationOptions()
        checks.strict = submission.strict
        let diagnostics =
            manifests.diagnostics + Linter.lint(manifests.documents, catalog: catalog, options: checks)
        for diagnostic in diagnostics { Output.note(diagnostic.shown(colored: Output.colorsStandardError)) }
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(2) }
        // All are checked before the first is stored.
        let definitions = workflows.map {
            Submission.definition(of: $0.json, catalog: catalog, options: options, at: Environment.now())
        }
        for definition in definitions { try RunRequest.checkArguments(of: definition) }
        if !dryRun { try await store(definitions, manifests, access) }
        for definition in definitions { show(definition) }
        guard !dryRun else { return }
        try await followUp(definitions, access)
    }

    /// The documents to check, and those of them to submit.
    private func workflows(_ access: RunAccess) async throws -> (Manifests, [ManifestDocument]) {
        var manifests = try Manifests.read(submission.load + files)
        if let from {
            let manifest = try await StoredSource(from, namespace: data.namespace).manifest(in: access.store)
            let (documents, diagnostics) = ManifestReader.read(Array(manifest.compactText.utf8), file: from)
            manifests.documents += documents
            manifests.diagnostics += diagnostics
        }
        let workflows = manifests.documents(of: ["Workflow"])
        guard !workflows.isEmpty || !manifests.diagnostics.isEmpty else {
            throw CommandError(
                "nothing to submit: no document of kind Workflow; `martlet template create` stores templates",
                status: 2)
        }
        return (manifests, workflows)
    }

    private func store(_ definitions: [RunDefinition], _ manifests: Manifests, _ access: RunAccess)
        async throws
    {
        do {
            for definition in definitions {
                try await Submission.keepSecrets(
                    of: manifests.documents.map(\.json), namespace: definition.namespace, in: access.store,
                    at: Environment.now())
                try await Submission.store(definition, in: access.store)
            }
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    private func show(_ definition: RunDefinition) {
        let state = WorkflowState(definition: definition, at: definition.createdAt)
        switch output {
        case .name: Output.line(definition.name)
        case .json: Output.line(state.documentJSON.prettyText)
        case .yaml: Output.text(ManifestPrinter.yaml(state.documentJSON))
        case nil, .wide:
            let options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
            Output.text(TreeRenderer.render(state: state, options: options))
        }
        if !dryRun {
            Output.note(
                "stored; no process drives it yet: `martlet run --resume \(definition.name)"
                    + (definition.namespace == "default" ? "" : " -n \(definition.namespace)") + "` does")
        }
    }

    private func followUp(_ definitions: [RunDefinition], _ access: RunAccess) async throws {
        if wait, try await !RunWait.allSucceeded(definitions.map(\.uid), access) { throw ExitCode(1) }
        guard watch else { return }
        var succeeded = true
        for definition in definitions {
            let state = try await RunWatch(access: access).watch(definition.uid)
            succeeded = succeeded && state.phase == .succeeded
        }
        if !succeeded { throw ExitCode(1) }
    }
}

/// What `--from` names.
struct StoredSource: Hashable {
    let kind: DefinitionKind
    let name: String
    let namespace: String

    /// - Throws: `CommandError` for text that is not KIND/NAME.
    init(_ text: String, namespace: String) throws {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        self.namespace = namespace
        name = parts.count == 2 ? String(parts[1]) : ""
        switch parts[0].lowercased() {
        case "workflowtemplate", "workflowtemplates", "wftmpl": kind = .workflowTemplate
        case "clusterworkflowtemplate", "clusterworkflowtemplates", "cwft": kind = .clusterWorkflowTemplate
        case "cronworkflow", "cronworkflows", "cronwf", "cwf": kind = .cronWorkflow
        default:
            throw CommandError(
                "--from \(text): the kind is one of workflowtemplate, clusterworkflowtemplate, cronwf",
                status: 64)
        }
        if name.isEmpty { throw CommandError("--from \(text): write KIND/NAME", status: 64) }
    }

    /// A workflow that runs what is stored.
    func manifest(in store: Store) async throws -> JSONValue {
        guard let row = try await store.definition(kind, namespace: namespace, name: name) else {
            let known = try await store.definitions(kind, namespace: namespace).map(\.name)
            throw CommandError(
                "there is no \(kind.rawValue) \"\(name)\""
                    + (known.isEmpty ? "; none is stored" : "; there are \(known.joined(separator: ", "))"),
                status: 2)
        }
        return manifest(of: row.body)
    }

    func manifest(of body: JSONValue) -> JSONValue {
        var spec: JSONValue = ["workflowTemplateRef": ["name": .string(name)]]
        var metadata: [String: JSONValue] = ["generateName": .string(name + "-")]
        var labels: [String: JSONValue] = [:]
        switch kind {
        case .clusterWorkflowTemplate:
            spec = ["workflowTemplateRef": ["name": .string(name), "clusterScope": true]]
            labels["workflows.argoproj.io/cluster-workflow-template"] = .string(name)
        case .cronWorkflow:
            let own = body["spec"]?["workflowMetadata"]
            spec = body["spec"]?["workflowSpec"] ?? [:]
            labels = own?["labels"]?.objectValue ?? [:]
            labels["workflows.argoproj.io/cron-workflow"] = .string(name)
            metadata["annotations"] = own?["annotations"]
        default: labels["workflows.argoproj.io/workflow-template"] = .string(name)
        }
        metadata["labels"] = .object(labels)
        return [
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": .object(metadata),
            "spec": spec,
        ]
    }
}
