// `martlet resubmit`: a new run of an old run's definition.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct ResubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resubmit",
        abstract: "Run the definition of an earlier run anew, here or under the server.",
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
    @OptionGroup var data: ClientOptions

    func run() async throws {
        let access = try RunAccess(data)
        let new = try await access.backend.resubmit(
            try await access.reference(name), memoized: memoized,
            parameters: try ParameterOption.pairs(parameter), priority: priority)
        let status = try await access.follow(new, execution.settings, output: output, waits: !noWait)
        if status != 0 { throw ExitCode(status) }
    }
}
