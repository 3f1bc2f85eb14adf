// What `martlet run` is asked to do, and doing it.

import ArgumentParser
import Controller
import Dispatch
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// What a new run is given, with the defaults of `SubmissionFlags`.
struct SubmissionRequest: Sendable, Hashable {
    var parameter: [String] = []
    var parameterFile: String?
    var name: String?
    var generateName: String?
    var entrypoint: String?
    var labels: String?
    var load: [String] = []
    var strict = true
    var usesCache = true

    func options(namespace: String) throws -> SubmissionOptions {
        var options = SubmissionOptions()
        options.name = name
        options.generateName = generateName
        options.entrypoint = entrypoint
        if namespace != "default" { options.namespace = namespace }
        if !usesCache { options.annotations[WorkflowState.cacheAnnotation] = "false" }
        for pair in (labels ?? "").split(separator: ",") {
            guard let (key, value) = Self.pair(String(pair)) else {
                throw CommandError("label \"\(pair)\" has no =; write name=value", status: 64)
            }
            options.labels[key] = value
        }
        if let parameterFile { options.parameters += try Self.parameters(in: parameterFile) }
        for text in parameter {
            guard let (key, value) = Self.pair(text) else {
                throw CommandError("parameter \"\(text)\" has no =; write -p name=value", status: 64)
            }
            options.parameters.append((key, value))
        }
        return options
    }

    static func pair(_ text: String) -> (String, String)? {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    private static func parameters(in path: String) throws -> [(name: String, value: String)] {
        let (documents, diagnostics) = ManifestReader.read(try Environment.read(path), file: path)
        if let problem = diagnostics.first { throw CommandError(problem.description, status: 2) }
        let members = documents.first?.json.objectValue ?? [:]
        return members.sorted { $0.key < $1.key }.map {
            ($0.key, $0.value.scalarText ?? $0.value.compactText)
        }
    }
}

/// A manifest that is run to its end, or a stored run that is gone on with.
struct RunRequest: Sendable, Hashable {
    var file: String?
    var resume: String?
    var output = RunOutput.tree
    var waits = true
    var submission = SubmissionRequest()
    var execution = ExecutionSettings()
    var data = DataLocation()

    func run() async throws {
        let status = try await status()
        if status != 0 { throw ExitCode(status) }
    }

    private func status() async throws -> Int32 {
        guard let resume else { return try await runNew(file ?? "-") }
        let store = try data.openStore()
        let operations = WorkflowOperations(
            store: store, artifacts: try ExecutorFactory.artifactStore(data), dataDirectory: data.path,
            controller: nil, now: Environment.now)
        let uid = try await RunLookup.uid(of: resume, in: operations, namespace: data.namespace)
        return try await driver(store, nil).drive(uid)
    }

    private func driver(_ store: Store, _ parts: LocalParts?) throws -> RunDriver {
        var driver = try RunDriver(store: store, data: data, execution: execution, parts: parts)
        driver.output = output
        driver.waits = waits
        return driver
    }

    /// Reads, checks, stores and drives a manifest. The database is opened meanwhile if there is one; otherwise it is
    /// made when the manifest has been found to be right.
    private func runNew(_ file: String) async throws -> Int32 {
        let exists = Environment.exists(data.path + "/martlet.db")
        async let opening = exists ? OpenedStore.open(data) : nil
        let manifests = try Manifests.read(submission.load + [file])
        let parts = Result { exists ? try ExecutorFactory.localParts(execution, data) : nil }
        let early = try await opening
        let definition = try definition(manifests, early?.catalog ?? TemplateCatalog(), file)
        let store = try early?.store ?? data.openStore()
        do {
            try await Submission.keepSecrets(
                of: manifests.documents.map(\.json), namespace: definition.namespace, in: store,
                at: Environment.now())
            guard let lock = try DriverLock.take(runDirectory: "\(data.path)/runs/\(definition.uid)") else {
                throw CommandError("another process drives the run \(definition.name)", status: 2)
            }
            let run = try NewRun(definition, lock: lock)
            async let storing: Void = run.store(in: store)
            let driver = try driver(store, parts.get())
            try await storing
            return try await driver.drive(run)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }

    /// What is to be run, if nothing is wrong with it.
    private func definition(_ manifests: Manifests, _ stored: TemplateCatalog, _ file: String) throws
        -> RunDefinition
    {
        let workflows = manifests.documents(of: ["Workflow"])
        let catalog = stored.including(manifests.documents)
        var options = ValidationOptions()
        options.strict = submission.strict
        options.readHead = FileHead.read
        options.target = execution.executor == .kubernetes ? .kubernetes : .local
        let diagnostics =
            manifests.diagnostics + Linter.lint(manifests.documents, catalog: catalog, options: options)
        for diagnostic in diagnostics where diagnostic.severity == .warning || output != .quiet {
            Output.note(diagnostic.shown(colored: Output.colorsStandardError))
        }
        if diagnostics.contains(where: { $0.severity == .error }) {
            if output == .quiet {
                for diagnostic in diagnostics { Output.note(diagnostic.description) }
            }
            throw ExitCode(2)
        }
        guard let workflow = workflows.first, workflows.count == 1 else {
            throw CommandError(
                workflows.isEmpty
                    ? "\(file): nothing to run: no document of kind Workflow; "
                        + "`martlet template create` and `martlet cron create` store the other kinds"
                    : "\(file): \(workflows.count) Workflows in one file; run them one by one", status: 2)
        }
        let definition = Submission.definition(
            of: workflow.json, catalog: catalog, options: try submission.options(namespace: data.namespace),
            at: Environment.now())
        try ArgumentCheck.check(definition)
        return definition
    }
}

/// A database with the definitions that a run may refer to.
struct OpenedStore: Sendable {
    var store: Store
    var catalog: TemplateCatalog

    /// Opens on a thread of its own.
    static func open(_ data: DataLocation) async throws -> OpenedStore {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .userInitiated).async {
                continuation.resume(
                    with: Result {
                        let store = try data.openStore()
                        return OpenedStore(
                            store: store, catalog: try store.catalogAtOpening(namespace: data.namespace))
                    })
            }
        }
    }
}
