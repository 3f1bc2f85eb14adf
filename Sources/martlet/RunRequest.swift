// What `martlet run` is asked to do, and doing it.

import ArgumentParser
import Controller
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
        let uid: String
        let store: Store
        var lock: DriverLock?
        if let resume {
            store = try data.openStore()
            let operations = WorkflowOperations(
                store: store, artifacts: try ExecutorFactory.artifactStore(data), dataDirectory: data.path,
                controller: nil, now: Environment.now)
            uid = try await RunLookup.uid(of: resume, in: operations, namespace: data.namespace)
        } else {
            (uid, store, lock) = try await submit(file ?? "-")
        }
        var driver = try RunDriver(store: store, data: data, execution: execution)
        driver.output = output
        driver.waits = waits
        let status = try await driver.drive(uid, lock: lock)
        if status != 0 { throw ExitCode(status) }
    }

    private func submit(_ file: String) async throws -> (String, Store, DriverLock?) {
        let manifests = try Manifests.read(submission.load + [file])
        let workflows = manifests.documents(of: ["Workflow"])
        let exists = Environment.exists(data.path + "/martlet.db")
        let store = exists ? try data.openStore() : nil
        let stored = try await store?.catalog(namespace: data.namespace) ?? TemplateCatalog()
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
        let opened = try store ?? data.openStore()
        do {
            try await Submission.keepSecrets(
                of: manifests.documents.map(\.json), namespace: definition.namespace, in: opened,
                at: Environment.now())
            // Held before anybody can see the run: a server on this directory must not begin it.
            let lock = try DriverLock.take(runDirectory: "\(data.path)/runs/\(definition.uid)")
            try await Submission.store(definition, in: opened)
            return (definition.uid, opened, lock)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
    }
}
