// `martlet watch` and `martlet wait`: runs that another process drives.

import ArgumentParser
import Controller
import Glibc
import Persistence
import Scheduling
import Text

struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Show a run as it goes, until it ends.",
        discussion: """
            On a terminal the tree is drawn again at every change; otherwise there is a line for each.
            Examples:
              martlet watch @latest
              martlet watch pipeline-x7k2q --node-field-selector phase=Running
            """)

    @Argument(help: "Name of a run, or @latest.")
    var name: String

    @Option(help: "Only nodes of this status: Pending, Running, Succeeded, Skipped, Failed, Error.")
    var status: String?

    @Option(
        help: ArgumentHelp("Only nodes that match: phase=Failed,displayName=train.", valueName: "SELECTOR"))
    var nodeFieldSelector: String?

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector, status: status)
        let access = try RunAccess(data)
        try await RunWatch(access: access, selector: selector).watch(try await access.reference(name))
    }
}

/// Showing a run that another process drives.
struct RunWatch {
    let access: RunAccess
    var selector: NodeSelector?
    /// What is shown at the end; only the tree is also shown on the way.
    var output = RunOutput.tree
    /// Whether a run that waits for a person is waited for.
    var waits = true

    /// - Returns: the run as it ended, or as it waits for a person if that is not waited for.
    @discardableResult
    func watch(_ run: RunReference) async throws -> WorkflowState {
        let isTerminal = isatty(STDERR_FILENO) == 1
        var screen = LiveScreen(isOn: isTerminal && output == .tree)
        var progress = ProgressLines()
        var last: WorkflowState?
        for await _ in access.backend.changes(of: run) {
            let state = try await access.state(run)
            if last == nil { access.noteMissingDriver(of: state) }
            last = state
            if output == .tree {
                if isTerminal {
                    screen.draw(state)
                } else {
                    for line in progress.lines(for: state, selector: selector) { Output.note(line) }
                }
            }
            if state.isFinished || (!waits && RunHeader.isSuspended(state)) { break }
        }
        screen.clear()
        try Task.checkCancellation()
        guard let last else { throw CommandError("workflow \(run.name) cannot be watched", status: 2) }
        show(last)
        return last
    }

    private func show(_ state: WorkflowState) {
        switch output {
        case .json: Output.line(state.documentJSON.prettyText)
        case .tree:
            var options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
            options.selector = selector
            Output.text(TreeRenderer.render(state: state, options: options))
        case .quiet: break
        }
    }
}

/// A line for each node that has come further, for output that is not a terminal.
struct ProgressLines {
    private var phases: [NodeID: Phase] = [:]

    mutating func lines(for state: WorkflowState, selector: NodeSelector?) -> [String] {
        var lines: [String] = []
        for node in state.nodes.values.sorted(by: { $0.sequence < $1.sequence }) {
            guard phases[node.id] != node.phase else { continue }
            phases[node.id] = node.phase
            guard node.type != .stepGroup, node.type != .taskGroup, node.phase != .omitted,
                selector?.matches(node) ?? true
            else { continue }
            var line = "\(NodeIcon(node).symbol) \(node.name.printable) \(node.phase.rawValue)"
            if !node.message.isEmpty { line += ": \(node.message.printable)" }
            lines.append(line)
        }
        return lines
    }
}

struct WaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until runs have ended.",
        discussion: """
            Examples:
              martlet wait pipeline-x7k2q
              martlet wait @latest && echo done
            Exit status: 0 if all Succeeded, else 1.
            """)

    @Argument(help: "Names of runs, or @latest.")
    var names: [String]

    @Flag(help: "A run that is not there is no error.")
    var ignoreNotFound = false

    @OptionGroup var data: ClientOptions

    func run() async throws {
        let access = try RunAccess(data)
        var runs: [RunReference] = []
        for name in names {
            do {
                runs.append(try await access.reference(name))
            } catch let error as OperationError where error.reason == .notFound {
                guard ignoreNotFound else { throw error }
            }
        }
        if try await !RunWait.allSucceeded(runs, access) { throw ExitCode(1) }
    }
}

enum RunWait {
    /// Waits for runs one after the other and prints how each ended.
    static func allSucceeded(_ runs: [RunReference], _ access: RunAccess) async throws -> Bool {
        var succeeded = true
        for run in runs {
            var isFirst = true
            for await _ in access.backend.changes(of: run) {
                let state = try await access.state(run)
                if isFirst { access.noteMissingDriver(of: state) }
                isFirst = false
                guard let finished = state.finishedAt else { continue }
                Output.line("\(state.name) \(state.phase?.rawValue ?? "") at \(finished.rfc3339)")
                succeeded = succeeded && state.phase == .succeeded
                break
            }
            try Task.checkCancellation()
        }
        return succeeded
    }
}
