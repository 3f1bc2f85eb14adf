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
        options.strict = submission.strict
        let (manifests, workflows) = try await workflows(access)
        let lint = try await access.operations.lint(
            manifests.documents, namespace: data.namespace, strict: submission.strict)
        let diagnostics = manifests.diagnostics + lint.diagnostics
        for diagnostic in diagnostics { Output.note(diagnostic.shown(colored: Output.colorsStandardError)) }
        if diagnostics.contains(where: { $0.severity == .error }) { throw ExitCode(2) }
        let catalog = try await access.store.catalog(namespace: data.namespace)
            .including(manifests.documents)
        // All are checked before the first is stored.
        for dryRun in dryRun ? [true] : [true, false] {
            if !dryRun { try await keepSecrets(manifests, access) }
            var states: [WorkflowState] = []
            for workflow in workflows {
                states.append(
                    try await access.operations.create(
                        workflow.json, catalog: catalog,
                        namespace: options.namespace ?? namespace(of: workflow), options: options,
                        dryRun: dryRun))
            }
            guard dryRun == self.dryRun else { continue }
            for state in states { show(state) }
            if !dryRun { try await followUp(states.map(\.uid), access) }
        }
    }

    private func namespace(of document: ManifestDocument) -> String {
        let namespace = ObjectMetadata(document.json["metadata"]).namespace
        return namespace.isEmpty ? data.namespace : namespace
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

    private func keepSecrets(_ manifests: Manifests, _ access: RunAccess) async throws {
        try await OperationError.naming {
            try await Submission.keepSecrets(
                of: manifests.documents.map(\.json), namespace: data.namespace, in: access.store,
                at: Environment.now())
        }
    }

    private func show(_ state: WorkflowState) {
        switch output {
        case .name: Output.line(state.name)
        case .json: Output.line(state.documentJSON.prettyText)
        case .yaml: Output.text(ManifestPrinter.yaml(state.documentJSON))
        case nil, .wide:
            let options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
            Output.text(TreeRenderer.render(state: state, options: options))
        }
        if !dryRun {
            let namespace = state.definition.namespace
            Output.note(
                "stored; no process drives it yet: `martlet run --resume \(state.name)"
                    + (namespace == "default" ? "" : " -n \(namespace)") + "` does")
        }
    }

    private func followUp(_ uids: [String], _ access: RunAccess) async throws {
        if wait, try await !RunWait.allSucceeded(uids, access) { throw ExitCode(1) }
        guard watch else { return }
        var succeeded = true
        for uid in uids {
            let state = try await RunWatch(access: access).watch(uid)
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
