// `martlet resubmit`: a new run of an old run's definition.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct ResubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resubmit", abstract: "Run the definition of an earlier run anew, in this process.",
        discussion: """
            Examples:
              martlet resubmit pipeline-x7k2q
              martlet resubmit @latest -p epochs=5
              martlet resubmit @latest --memoized      take over what succeeded in a failed run
            Exit status: as `martlet run` has it.
            """)

    @Argument(help: "Name of a run, or @latest.")
    var name: String

    @Flag(help: "Take over what succeeded in a Failed or Error run.")
    var memoized = false

    @Option(name: .shortAndLong, help: ArgumentHelp("An argument of the workflow.", valueName: "NAME=VALUE"))
    var parameter: [String] = []

    @Option(help: "Priority of the new run.")
    var priority: Int?

    @Option(name: .shortAndLong, help: "tree, json or quiet.")
    var output: RunOutput = .tree

    @Flag(name: .customLong("no-wait"), help: "When only suspended nodes are left, print and exit with 3.")
    var noWait = false

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        let access = try RunAccess(data)
        let old = try await access.state(of: name)
        let definition = Resubmission.definition(
            of: old.definition, parameters: try ParameterOption.pairs(parameter), priority: priority,
            at: Environment.now())
        try RunRequest.checkArguments(of: definition)
        var resumed: WorkflowState?
        if memoized {
            do {
                resumed = try old.resubmitted(as: definition, at: Environment.now())
            } catch {
                throw CommandError(error.message)
            }
        }
        do {
            try await Submission.store(definition, in: access.store)
            if var resumed { try await access.store.apply([resumed.wholeChange(epoch: nil)]) }
        } catch let error as StoreError {
            throw CommandError(error.message, status: 2)
        }
        var driver = try RunDriver(store: access.store, data: data.location, execution: execution.settings)
        driver.output = output
        driver.waits = !noWait
        let status = try await driver.drive(definition.uid)
        if status != 0 { throw ExitCode(status) }
    }
}

enum Resubmission {
    /// The label that tells where a run came from.
    static let label = "workflows.argoproj.io/resubmitted-from-workflow"

    /// The definition of a new run like an old one, with the arguments that the old one was given and others
    /// over them.
    static func definition(
        of old: RunDefinition, parameters: [(name: String, value: String)], priority: Int? = nil,
        at now: Timestamp
    ) -> RunDefinition {
        let metadata = ObjectMetadata(old.manifest["metadata"])
        var options = SubmissionOptions()
        options.generateName = metadata.generateName.isEmpty ? old.name + "-" : metadata.generateName
        options.namespace = old.namespace
        options.entrypoint = old.spec.entrypoint.isEmpty ? nil : old.spec.entrypoint
        options.labels = [label: old.name]
        options.priority = priority
        options.parameters =
            old.spec.arguments.parameters.compactMap { parameter in
                parameter.value.map { (parameter.name, $0) }
            }
            + parameters
        return Submission.definition(of: old.manifest, catalog: old.catalog, options: options, at: now)
    }
}
