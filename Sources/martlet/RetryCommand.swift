// `martlet retry`: the same run again, keeping what succeeded.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct RetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Run the failed part of runs again, here or under the server.",
        discussion: """
            What succeeded keeps its outputs and does not run again.
            Examples:
              martlet retry pipeline-x7k2q
              martlet retry @latest --restart-successful --node-field-selector templateName=evaluate
            Exit status: as `martlet run` has it.
            """)

    @Argument(help: "Names of runs that failed, or @latest.")
    var names: [String]

    @Flag(help: "Nodes that match --node-field-selector run again although they succeeded.")
    var restartSuccessful = false

    @Option(help: ArgumentHelp("Nodes that run again as well.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("An argument of the workflow.", valueName: "NAME=VALUE"))
    var parameter: [String] = []

    @Option(name: .shortAndLong, help: "tree, json or quiet.")
    var output: RunOutput = .tree

    @Flag(name: .customLong("no-wait"), help: "When only suspended nodes are left, print and exit with 3.")
    var noWait = false

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func validate() throws {
        if restartSuccessful, nodeFieldSelector == nil {
            throw ValidationError(
                "--restart-successful needs --node-field-selector to say which nodes run again")
        }
    }

    func run() async throws {
        let request = RetryRequest(
            restartSuccessful: restartSuccessful, selector: try SelectorOption.selector(nodeFieldSelector),
            parameters: try parameter.map { text in
                guard let pair = SubmissionRequest.pair(text) else {
                    throw CommandError("parameter \"\(text)\" has no =; write -p name=value", status: 64)
                }
                return (name: pair.0, value: pair.1)
            })
        let access = try RunAccess(data)
        var worst: Int32 = 0
        for name in names {
            let run = try await access.reference(name)
            try await access.backend.retry(run, request)
            worst = max(
                worst,
                try await access.follow(run, execution.settings, output: output, waits: !noWait))
        }
        if worst != 0 { throw ExitCode(worst) }
    }
}
