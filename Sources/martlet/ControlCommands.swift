// `martlet stop`, `terminate`, `suspend` and `resume`: what people ask of a run that has not ended.

import ArgumentParser
import Controller
import Scheduling
import Text
import WorkflowLanguage

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End runs; their exit handlers still run.",
        discussion: """
            Examples:
              martlet stop pipeline-x7k2q
              martlet stop @latest --message "wrong data"
              martlet stop @latest --node-field-selector displayName=approve     fails that suspend node only
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @Option(help: "Message for the nodes that end.")
    var message: String?

    @Option(
        help: ArgumentHelp(
            "Fail the suspend nodes that match, instead of ending the run.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector)
        let command = Scheduling.Command.stop(message: message ?? "", selector: selector)
        try await RunControl(data: data, execution: execution).apply(command, to: names, word: "stopped")
    }
}

struct TerminateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "terminate", abstract: "End runs at once; no exit handlers run.",
        discussion: """
            Examples:
              martlet terminate pipeline-x7k2q
              martlet terminate @latest
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func run() async throws {
        try await RunControl(data: data, execution: execution).apply(
            .terminate, to: names, word: "terminated")
    }
}

struct SuspendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend", abstract: "Start nothing new in runs; what runs goes on.",
        discussion: """
            Examples:
              martlet suspend pipeline-x7k2q
              martlet resume pipeline-x7k2q
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func run() async throws {
        try await RunControl(data: data, execution: execution)
            .apply(.suspend, to: names, word: "suspended", goesOn: false)
    }
}

struct ResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Go on with suspended runs or suspend nodes.",
        discussion: """
            Where no process drives the run, this one drives it to its end.
            Examples:
              martlet resume pipeline-x7k2q
              martlet resume @latest --node-field-selector displayName=approve
              martlet resume @latest --no-wait      leave again when it waits for the next approval
            Exit status: 0 resumed, or the outcome of a run that was driven here, as `martlet run` has it.
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @Option(help: ArgumentHelp("Only the suspend nodes that match.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @Option(name: .shortAndLong, help: "tree, json or quiet; for a run that is driven here.")
    var output: RunOutput = .tree

    @Flag(name: .customLong("no-wait"), help: "When only suspended nodes are left, print and exit with 3.")
    var noWait = false

    @OptionGroup var execution: ExecutionOptions
    @OptionGroup var data: ClientOptions

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector)
        var control = RunControl(data: data, execution: execution)
        control.output = output
        control.waits = !noWait
        try await control.apply(.resume(selector: selector), to: names, word: "resumed", reportsOutcome: true)
    }
}

/// Applies one verb to some runs.
struct RunControl {
    let data: ClientOptions
    let execution: ExecutionOptions
    var output = RunOutput.quiet
    /// Whether a run that is driven here is waited for while it waits for a person.
    var waits = false

    init(data: ClientOptions, execution: ExecutionOptions) {
        self.data = data
        self.execution = execution
    }

    /// - Parameters:
    ///   - word: what has been done, for the line `workflow NAME stopped`.
    ///   - goesOn: whether a run without a driver is driven on in this process.
    ///   - reportsOutcome: whether this process exits as the run does.
    func apply(
        _ command: Scheduling.Command, to names: [String], word: String, goesOn: Bool = true,
        reportsOutcome: Bool = false
    ) async throws {
        let access = try RunAccess(data, execution: execution.settings)
        var worst: Int32 = 0
        for name in names {
            let run = try await access.reference(name)
            let state = try await access.state(run)
            let delivery = try await access.backend.control(run, command)
            let line = "workflow \(state.name) \(word)"
            // Standard output belongs to the run's own JSON.
            if output == .json { Output.note(line) } else { Output.line(line) }
            guard goesOn, delivery == .here else { continue }
            let status = try await access.follow(run, execution.settings, output: output, waits: waits)
            if reportsOutcome { worst = max(worst, status) }
        }
        if worst != 0 { throw ExitCode(worst) }
    }
}
