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
        commandName: "submit", abstract: "Store runs for a server or another process to drive.",
        discussion: """
            A server drives it (`martlet server`); without one, `martlet run --resume NAME` does. To run a
            manifest at once, use `martlet run FILE`.
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
    @OptionGroup var data: ClientOptions

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
        options.strict = submission.strict
        let (manifests, workflows) = try await workflows(access)
        let catalog = try await access.backend.catalog(namespace: data.namespace)
            .including(manifests.documents)
        var checks = ValidationOptions()
        checks.strict = submission.strict
        checks.readHead = FileHead.read
        // Whoever serves the data directory checks again, and knows where steps run.
        checks.mayHaveCluster = access.backend.isServed
        let diagnostics =
            manifests.diagnostics + Linter.lint(manifests.documents, catalog: catalog, options: checks)
        for diagnostic in diagnostics { Output.note(diagnostic.shown(colored: Output.colorsStandardError)) }
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(2) }
        let made: (Bool) async throws -> [WorkflowState] = { dryRun in
            var states: [WorkflowState] = []
            for workflow in workflows {
                let namespace = options.namespace ?? namespace(of: workflow)
                if !dryRun { try await keepSecrets(manifests, namespace, access) }
                states.append(
                    try await access.backend.create(
                        workflow.json, catalog, namespace: namespace, options, dryRun: dryRun))
            }
            return states
        }
        // All are checked before the first is stored.
        let checked = try await made(true)
        let states = dryRun ? checked : try await made(false)
        for state in states { show(state, access) }
        guard !dryRun else { return }
        try await followUp(
            states.map {
                RunReference(uid: $0.uid, namespace: $0.definition.namespace, name: $0.name)
            }, access)
    }

    private func namespace(of document: ManifestDocument) -> String {
        let namespace = ObjectMetadata(document.json["metadata"]).namespace
        return namespace.isEmpty ? data.namespace : namespace
    }

    /// The documents to check, and those of them to submit.
    private func workflows(_ access: RunAccess) async throws -> (Manifests, [ManifestDocument]) {
        var manifests = try Manifests.read(submission.load + files)
        if let from {
            let source = try StoredSource(from, namespace: data.namespace)
            let stored: ShownDefinition
            do {
                stored = try await access.backend.definition(
                    source.kind, name: source.name, namespace: source.namespace)
            } catch let error as OperationError {
                throw CommandError(error.message, status: 2)
            }
            let manifest = source.manifest(of: stored.document)
            let (documents, diagnostics) = ManifestReader.read(Array(manifest.compactText.utf8), file: from)
            manifests.documents += documents
            manifests.diagnostics += diagnostics
        }
        if access.directory == nil, let other = manifests.documents.first(where: { $0.kind != "Workflow" }) {
            throw CommandError(
                "\(other.file): a server takes Workflows here, no \(other.kind); "
                    + "`martlet template create` and its kin store the others there", status: 2)
        }
        let workflows = manifests.documents(of: ["Workflow"])
        guard !workflows.isEmpty || !manifests.diagnostics.isEmpty else {
            throw CommandError(
                "nothing to submit: no document of kind Workflow; `martlet template create` stores templates",
                status: 2)
        }
        return (manifests, workflows)
    }

    /// Secrets among the documents are kept apart from the run; templates among them become part of it, which a
    /// server elsewhere does not do for us.
    private func keepSecrets(_ manifests: Manifests, _ namespace: String, _ access: RunAccess) async throws {
        guard let directory = access.directory else { return }
        try await OperationError.naming {
            try await Submission.keepSecrets(
                of: manifests.documents.map(\.json), namespace: namespace, in: directory.store,
                at: Environment.now())
        }
    }

    private func show(_ state: WorkflowState, _ access: RunAccess) {
        switch output {
        case .name: Output.line(state.name)
        case .json: Output.line(state.documentJSON.prettyText)
        case .yaml: Output.text(ManifestPrinter.yaml(state.documentJSON))
        case nil, .wide:
            let options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
            Output.text(TreeRenderer.render(state: state, options: options))
        }
        if !dryRun, !access.backend.isServed {
            let namespace = state.definition.namespace
            Output.note(
                "stored; no process drives it yet: `martlet run --resume \(state.name)"
                    + (namespace == "default" ? "" : " -n \(namespace)") + "` does")
        }
    }

    private func followUp(_ runs: [RunReference], _ access: RunAccess) async throws {
        if wait, try await !RunWait.allSucceeded(runs, access) { throw ExitCode(1) }
        guard watch else { return }
        var succeeded = true
        for run in runs {
            let state = try await RunWatch(access: access).watch(run)
            succeeded = succeeded && state.phase == .succeeded
        }
        if !succeeded { throw ExitCode(1) }
    }
}

extension StoredSource {
    /// What `--from` names.
    /// - Throws: `CommandError` for text that is not KIND/NAME.
    init(_ text: String, namespace: String) throws {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let kind = Self.kind(named: String(parts[0])) else {
            throw CommandError(
                "--from \(text): the kind is one of workflowtemplate, clusterworkflowtemplate, cronwf",
                status: 64)
        }
        guard parts.count == 2, !parts[1].isEmpty else {
            throw CommandError("--from \(text): write KIND/NAME", status: 64)
        }
        self.init(kind, name: String(parts[1]), namespace: namespace)
    }
}
