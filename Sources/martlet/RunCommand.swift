// `martlet run`: a manifest, in this process, to its end.

import ArgumentParser
import Controller
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum RunOutput: String, ExpressibleByArgument, CaseIterable {
    case tree, json, quiet
}

/// Options that say what a new run is given; `run` and `submit` share them.
struct SubmissionFlags: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("An argument of the workflow.", valueName: "NAME=VALUE"))
    var parameter: [String] = []

    @Option(
        name: [.customShort("f"), .long], help: "YAML or JSON file with arguments: a map of names to values.")
    var parameterFile: String?

    @Option(help: "Name of the run, instead of the manifest's.")
    var name: String?

    @Option(help: "Prefix of the run's name, instead of the manifest's.")
    var generateName: String?

    @Option(help: "Template to begin with, instead of the manifest's.")
    var entrypoint: String?

    @Option(name: [.customShort("l"), .long], help: "Labels of the run: a=b,c=d.")
    var labels: String?

    @Option(help: "Fixtures that are loaded first (templates, ConfigMaps, Secrets).")
    var load: [String] = []

    @Flag(inversion: .prefixedNo, help: "Unknown fields are errors; otherwise warnings.")
    var strict = true

    func options(namespace: String) throws -> SubmissionOptions {
        var options = SubmissionOptions()
        options.name = name
        options.generateName = generateName
        options.entrypoint = entrypoint
        if namespace != "default" { options.namespace = namespace }
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

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a manifest in this process to its end.",
        discussion: """
            FILE may hold several documents: templates, ConfigMaps and Secrets, then the Workflow.
            Examples:
              martlet run pipeline.yaml -p epochs=3
              martlet run pipeline.yaml --load templates.yaml -o json > result.json
              martlet run --resume pipeline-x7k2q        go on with a run whose process was killed
            The first Ctrl-C ends the steps; `martlet retry NAME` goes on from there.
            Exit status: 0 Succeeded, 1 Failed, 2 Error or refused, 3 waits with --no-wait, 64 wrong usage, 130 interrupted.
            """)

    @Argument(help: "The manifest, or - for standard input.")
    var file: String?

    @Option(help: ArgumentHelp("Go on with a stored run whose process ended.", valueName: "NAME"))
    var resume: String?

    @Option(name: .shortAndLong, help: "tree, json or quiet.")
    var output: RunOutput = .tree

    @Flag(name: .customLong("no-wait"), help: "When only suspended nodes are left, print and exit with 3.")
    var noWait = false

    @OptionGroup var submission: SubmissionFlags
    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        guard (file == nil) != (resume == nil) else {
            throw ValidationError("give a manifest, or --resume with the name of a run")
        }
    }

    func run() async throws {
        let uid: String
        let store: Store
        if let resume {
            store = try data.openStore()
            uid = try await RunLookup.uid(of: resume, in: store, namespace: data.namespace)
        } else {
            (uid, store) = try await submit(file ?? "-")
        }
        var driver = try RunDriver(store: store, data: data, execution: execution)
        driver.output = output
        driver.waits = !noWait
        let status = try await driver.drive(uid)
        if status != 0 { throw ExitCode(status) }
    }

    private func submit(_ file: String) async throws -> (String, Store) {
        let manifests = try Manifests.read(submission.load + [file])
        let workflows = manifests.documents(of: ["Workflow"])
        let exists = Environment.exists(data.path + "/martlet.db")
        let store = exists ? try data.openStore() : nil
        let stored = try await store?.catalog(namespace: data.namespace) ?? TemplateCatalog()
        let catalog = manifests.catalog(over: stored)
        var options = ValidationOptions()
        options.strict = submission.strict
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
        try Self.checkArguments(of: definition)
        let opened = try store ?? data.openStore()
        do {
            try await Submission.keepSecrets(
                of: manifests.documents.map(\.json), namespace: definition.namespace, in: opened,
                at: Environment.now())
            try await Submission.store(definition, in: opened)
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
        return (definition.uid, opened)
    }
}

extension RunCommand {
    /// Every argument of the workflow needs a value now, and one of its enum if it has one.
    static func checkArguments(of definition: RunDefinition) throws {
        for parameter in definition.spec.arguments.parameters {
            guard let value = parameter.valueOrDefault else {
                if parameter.valueFrom != nil { continue }
                throw CommandError(
                    "spec.arguments.parameters: \(parameter.name) has no value; give it with -p \(parameter.name)=VALUE",
                    status: 2)
            }
            if let allowed = parameter.enum, !allowed.contains(value) {
                throw CommandError(
                    "spec.arguments.parameters: \(parameter.name) is \"\(value)\"; it must be one of "
                        + allowed.joined(separator: ", "), status: 2)
            }
        }
    }
}

/// Finding stored runs by what people call them.
enum RunLookup {
    /// The uid of a run by name, uid or `@latest`.
    static func uid(of name: String, in store: Store, namespace: String) async throws -> String {
        if name == "@latest" {
            guard let latest = try await store.latestWorkflow(namespace: namespace) else {
                throw CommandError("no workflows found in namespace \"\(namespace)\"")
            }
            return latest.uid
        }
        if let row = try await store.workflow(namespace: namespace, name: name) { return row.uid }
        if let row = try await store.workflow(uid: name) { return row.uid }
        throw CommandError(
            "no workflow is named \"\(name)\" in namespace \"\(namespace)\"; see `martlet list`")
    }
}
