// `martlet watch` and `martlet wait`: runs that another process drives.

import ArgumentParser
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

    @OptionGroup var data: DataOptions

    func run() async throws {
        let selector = try SelectorOption.selector(nodeFieldSelector, status: status)
        let access = try RunAccess(data)
        try await RunWatch(access: access, selector: selector).watch(try await access.uid(of: name))
    }
}

/// Showing a run that another process drives.
struct RunWatch {
    let access: RunAccess
    var selector: NodeSelector?

    /// - Returns: the run as it ended.
    @discardableResult
    func watch(_ uid: String) async throws -> WorkflowState {
        let isTerminal = isatty(STDERR_FILENO) == 1
        var screen = LiveScreen(isOn: isTerminal)
        var progress = ProgressLines()
        var last = try await access.state(uid: uid)
        access.noteMissingDriver(of: last)
        while true {
            if isTerminal {
                screen.draw(last)
            } else {
                for line in progress.lines(for: last, selector: selector) { Output.note(line) }
            }
            if last.isFinished { break }
            try await Task.sleep(for: RunAccess.pollInterval)
            last = try await access.state(uid: uid)
        }
        screen.clear()
        var options = TreeOptions(isColored: Output.colorsStandardOutput, now: Environment.now())
        options.selector = selector
        Output.text(TreeRenderer.render(state: last, options: options))
        return last
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

    @OptionGroup var data: DataOptions

    func run() async throws {
        let access = try RunAccess(data)
        var uids: [String] = []
        for name in names {
            do {
                uids.append(try await access.uid(of: name))
            } catch let error as CommandError {
                guard ignoreNotFound else { throw error }
            }
        }
        if try await !RunWait.allSucceeded(uids, access) { throw ExitCode(1) }
    }
}

enum RunWait {
    /// Waits for runs one after the other and prints how each ended.
    static func allSucceeded(_ uids: [String], _ access: RunAccess) async throws -> Bool {
        var succeeded = true
        for uid in uids {
            access.noteMissingDriver(of: try await access.state(uid: uid))
            while true {
                guard let row = try await access.store.workflow(uid: uid) else {
                    throw CommandError("workflow \(uid) was deleted meanwhile")
                }
                if let finished = row.finishedAt {
                    Output.line("\(row.name) \(row.phase) at \(finished.rfc3339)")
                    succeeded = succeeded && row.phase == Phase.succeeded.rawValue
                    break
                }
                try await Task.sleep(for: RunAccess.pollInterval)
            }
        }
        return succeeded
    }
}
