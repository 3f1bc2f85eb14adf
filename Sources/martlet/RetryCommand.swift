// `martlet retry`: the same run again, keeping what succeeded.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct RetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Run the failed part of runs again, in this process.",
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
    @OptionGroup var data: DataOptions

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
            let uid = try await access.uid(of: name)
            try await Self.prepare(uid, request, access)
            var driver = try RunDriver(
                store: access.store, data: data.location, execution: execution.settings)
            driver.output = output
            driver.waits = !noWait
            worst = max(worst, try await driver.drive(uid))
        }
        if worst != 0 { throw ExitCode(worst) }
    }

    /// Saves the run as it is before it goes on. The lock is given back at the end: the driver takes it anew.
    private static func prepare(_ uid: String, _ request: RetryRequest, _ access: RunAccess) async throws {
        guard let lock = try DriverLock.take(runDirectory: access.runDirectory(uid)) else {
            throw CommandError(
                "another process drives this run; `martlet watch` shows it, `martlet stop` ends it", status: 2
            )
        }
        defer { withExtendedLifetime(lock) {} }
        let state = try await access.state(uid: uid)
        var retried: WorkflowState
        do {
            retried = try state.retried(request, at: Environment.now())
        } catch {
            throw CommandError(error.message)
        }
        let epoch = try await access.store.claimRun(uid)
        var change = retried.wholeChange(epoch: epoch)
        if !request.parameters.isEmpty { change.manifest = retried.definition.json }
        try await access.store.apply([change])
    }
}

extension WorkflowState {
    /// Everything that is not saved yet, as one change.
    mutating func wholeChange(epoch: Int?) -> WorkflowChange {
        let (changed, removed, _) = takeChanges()
        return WorkflowChange(
            uid: uid, driverEpoch: epoch,
            header: HeaderUpdate(
                phase: phase?.rawValue ?? Phase.pending.rawValue, message: message, startedAt: startedAt,
                finishedAt: finishedAt, state: headerJSON, labels: metadata.labels,
                annotations: metadata.annotations),
            nodes: changed, deletedNodes: removed)
    }
}
