// `martlet logs`: what the steps of a run wrote, in the order in which they wrote it.

import ArgumentParser
import Executors
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what the steps of a run wrote.",
        discussion: """
            Each line begins with the name of its pod. Without NODE all nodes are shown, merged by time.
            Examples:
              martlet logs @latest
              martlet logs pipeline-x7k2q train -f          one node, as it comes, until it ends
              martlet logs @latest --grep 'loss|error' --tail 100
              martlet logs @latest --since 10m --timestamps
            """)

    @Argument(help: "Name of a run, or @latest.")
    var name: String

    @Argument(help: "A node: its name in the tree, its full name, its id, or its pod's name.")
    var node: String?

    @Flag(name: .shortAndLong, help: "Go on until the run ends.")
    var follow = false

    @Option(name: .shortAndLong, help: "Container to show; default: main, and those of a container set.")
    var container: String?

    @Option(help: ArgumentHelp("Only lines that match this regular expression.", valueName: "PATTERN"))
    var grep: String?

    @Option(help: ArgumentHelp("Only the last lines of each log.", valueName: "N"))
    var tail: Int?

    @Option(help: ArgumentHelp("Only lines of the last 30s, 10m, 3h.", valueName: "SPAN"))
    var since: String?

    @Option(help: ArgumentHelp("Only lines since this moment: 2026-01-31T12:00:00Z.", valueName: "TIME"))
    var sinceTime: String?

    @Flag(help: "The time before each line.")
    var timestamps = false

    @Flag(help: "No colors.")
    var noColor = false

    @OptionGroup var data: ClientOptions

    func validate() throws {
        if let tail, tail < 0 { throw ValidationError("--tail must not be negative") }
        if since != nil, sinceTime != nil { throw ValidationError("give --since or --since-time, not both") }
    }

    func run() async throws {
        let access = try RunAccess(data)
        let run = try await access.reference(name)
        let state = try await access.state(run)
        let printer = LogPrinter(
            isColored: Output.colorsStandardOutput && !noColor, hasTimes: timestamps, pattern: try pattern(),
            earliest: try earliest())
        if node != nil, wanted(state).isEmpty {
            let names = state.nodes.values.filter { $0.type == .pod }.sorted { $0.sequence < $1.sequence }
            let some = names.prefix(10).map(\.displayName).joined(separator: ", ")
            throw CommandError(
                "workflow \(state.name) has no node \"\(node ?? "")\" with a log"
                    + (some.isEmpty ? "" : "; it has \(some)\(names.count > 10 ? ", ..." : "")"))
        }
        if let server = access.backend as? ServerBackend {
            try await showLogs(of: run, state, server, printer)
        } else if follow, let directory = access.directory {
            access.noteMissingDriver(of: state)
            try await followLogs(directory, state, printer)
        } else {
            show(state, printer)
        }
    }

    private func pattern() throws -> RegularExpression? {
        do {
            return try grep.map { text throws(RegularExpressionError) in try RegularExpression(text) }
        } catch {
            throw CommandError("--grep: \(error.description)", status: 64)
        }
    }

    private func earliest() throws -> String? {
        if let since {
            guard let span = HumanTime.parse(since) else {
                throw CommandError("--since \(since): write a span such as 30s, 10m or 3h", status: 64)
            }
            return (Environment.now() + (.zero - span)).rfc3339
        }
        guard let sinceTime else { return nil }
        guard let moment = Timestamp(rfc3339: sinceTime) else {
            throw CommandError(
                "--since-time \(sinceTime): write a moment such as 2026-01-31T12:00:00Z", status: 64)
        }
        return moment.rfc3339
    }

    /// The nodes to show, in the order in which they were made.
    private func wanted(_ state: WorkflowState) -> [Node] {
        var chosen = state.nodes.values.filter { $0.type == .pod }
        if let node {
            // A template's name in the tree stands for all that ran inside it.
            let named = state.nodes.values.filter { candidate in
                [
                    candidate.displayName, candidate.name, candidate.id,
                    Node.podName(
                        workflow: state.name, nodeName: candidate.name, template: candidate.templateName),
                ].contains(node)
            }
            let roots = Set(named.map(\.id))
            chosen = chosen.filter { isInside($0, roots, state) }
        }
        return chosen.sorted { $0.sequence < $1.sequence }
    }

    private func isInside(_ node: Node, _ roots: Set<NodeID>, _ state: WorkflowState) -> Bool {
        var current: Node? = node
        while let inner = current {
            if roots.contains(inner.id) { return true }
            let retry = inner.parents.first { state.nodes[$0]?.type == .retry }
            if let retry, roots.contains(retry) { return true }
            current = inner.boundaryID.flatMap { state.nodes[$0] }
        }
        return false
    }

    private func file(_ node: Node, _ state: WorkflowState) -> LogFile {
        var containers: Set<String> = [container ?? "main"]
        if container == nil {
            for inner in state.nodes.values where inner.type == .container && inner.boundaryID == node.id {
                containers.insert(inner.displayName)
            }
        }
        return LogFile(node: node, state: state, dataDirectory: data.path, containers: containers)
    }

    private func show(_ state: WorkflowState, _ printer: LogPrinter) {
        var merge = LogMerge()
        for node in wanted(state) {
            var log = file(node, state)
            if let tail {
                let lines = log.last(tail, isOver: true, where: printer.shows)
                merge.add(log, isOver: true, lines: lines, isRead: true)
            } else {
                merge.add(log, isOver: true)
            }
        }
        while let (pod, line) = merge.next() { printer.print(line, pod: pod) }
    }

    /// The server's log stream: what it holds, and with `--follow` what comes.
    private func showLogs(
        of run: RunReference, _ state: WorkflowState, _ server: ServerBackend, _ printer: LogPrinter
    ) async throws {
        var logs = ServerLogs(connection: server.connection, run: run, printer: printer)
        logs.follows = follow
        logs.container = container
        logs.tail = tail
        logs.grep = grep
        if node != nil {
            logs.pods = Set(
                wanted(state).map {
                    Node.podName(workflow: state.name, nodeName: $0.name, template: $0.templateName)
                })
        }
        try await logs.show()
    }

    private func followLogs(_ access: DirectoryBackend, _ first: WorkflowState, _ printer: LogPrinter)
        async throws
    {
        var state = first
        var merge = LogMerge()
        var places: [NodeID: Int] = [:]
        var version = -1
        // Only of what is there now the last lines are chosen; what begins later is shown whole.
        var tail = tail
        let run = RunReference(uid: state.uid, namespace: state.definition.namespace, name: state.name)
        while true {
            let newest = try await access.store.dataVersion()
            if newest != version {
                version = newest
                state = try await access.state(run)
            }
            let nodes = wanted(state)
            let isLast =
                state.isFinished || (node != nil && !nodes.isEmpty && nodes.allSatisfy(\.phase.isFulfilled))
            // Later lines wait for the next look, when no other log can get an earlier one any more.
            let horizon = isLast ? nil : LogPrinter.logTime(Environment.now())
            for node in nodes where node.phase != .pending || state.isFinished {
                // The phase was read before the log, so that an ended node's log is complete by now.
                let isOver = node.phase.isFulfilled || state.isFinished
                if let place = places[node.id] {
                    if isOver { merge.end(place) }
                    continue
                }
                var log = file(node, state)
                let lines = tail.map { log.last($0, isOver: false, where: printer.shows) } ?? []
                places[node.id] = merge.add(log, isOver: isOver, lines: lines)
            }
            tail = nil
            merge.refresh()
            while let (pod, line) = merge.next(notAfter: horizon) { printer.print(line, pod: pod) }
            if isLast { return }
            try await Task.sleep(for: DirectoryBackend.pollInterval)
        }
    }
}

/// Writes log lines.
struct LogPrinter {
    private static let colors = ["31", "32", "33", "34", "35", "36"]

    let isColored: Bool
    let hasTimes: Bool
    let pattern: RegularExpression?
    /// Lines before this moment are left out; RFC 3339, so that texts compare as moments do.
    let earliest: String?

    /// A moment as log files have it: with nine digits always, so that texts compare as moments do.
    static func logTime(_ moment: Timestamp) -> String {
        let fraction = (moment.nanoseconds % 1_000_000_000 + 1_000_000_000) % 1_000_000_000
        let second = moment.rfc3339.prefix { $0 != "." && $0 != "Z" }
        return String(second) + "." + String(1_000_000_000 + fraction).dropFirst() + "Z"
    }

    func shows(_ line: LogLine) -> Bool {
        // The fraction of a line's time makes it later than the same second without one, as it should.
        if let earliest, line.time.prefix(19) < earliest.prefix(19) { return false }
        return pattern?.matches(line.text) ?? true
    }

    func text(_ line: LogLine, pod: String) -> String {
        let color = Self.colors[Int(FNV1a.hash32(pod)) % Self.colors.count]
        let name = isColored ? "\u{1B}[\(color)m\(pod)\u{1B}[0m" : pod
        return "\(name): \(hasTimes ? line.time + " " : "")\(line.text)"
    }

    func print(_ line: LogLine, pod: String) {
        if shows(line) { Output.line(text(line, pod: pod)) }
    }
}
