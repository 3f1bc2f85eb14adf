// `martlet list`: what has run and what runs.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

enum ListOutput: String, ExpressibleByArgument, CaseIterable {
    case name, wide, json, yaml
}

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show what has run and what runs, newest first.",
        discussion: """
            Examples:
              martlet list
              martlet list --running
              martlet list --status Failed,Error --since 1d
              martlet list -A --older 7d -o name
              martlet list -l team=nlp -o json
            """)

    @Flag(name: [.customShort("A"), .long], help: "Runs of all namespaces.")
    var allNamespaces = false

    @OptionGroup var filter: RunFilter

    @Option(help: ArgumentHelp("At most so many runs.", valueName: "N"))
    var limit: Int?

    @Option(name: .shortAndLong, help: "name, wide, json or yaml.")
    var output: ListOutput?

    @Flag(help: "No line of headings.")
    var noHeaders = false

    @OptionGroup var data: ClientOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    }

    func run() async throws {
        let now = Environment.now()
        let query = try filter.query(namespace: allNamespaces ? nil : data.namespace, now: now)
        if try data.endpoint() == nil, !Environment.exists(data.path + "/martlet.db") { return showNothing() }
        let access = try RunAccess(data)
        let found = try await access.backend.summaries(
            RunSelection(query: query, labels: filter.selector, limit: limit))
        func state(_ run: WorkflowSummary) async throws -> WorkflowState {
            try await access.state(RunReference(uid: run.uid, namespace: run.namespace, name: run.name))
        }
        switch output {
        case .name: for run in found { Output.line(run.name) }
        case .json, .yaml:
            var documents: [JSONValue] = []
            for run in found { documents.append(try await state(run).documentJSON) }
            Output.text(
                output == .json
                    ? JSONValue.array(documents).prettyText + "\n" : ManifestPrinter.yaml(.array(documents)))
        case nil, .wide:
            if found.isEmpty { return showNothing() }
            var table = RunTable(
                isWide: output == .wide, hasNamespace: allNamespaces, hasHeaders: !noHeaders, now: now)
            for run in found {
                // Only what still runs, and the wide list, need more than the summary.
                let needsNodes = output == .wide || run.phase == Phase.running.rawValue
                table.add(run, state: needsNodes ? try await state(run) : nil)
            }
            Output.text(table.text)
        }
    }

    private func showNothing() {
        switch output {
        case .json, .yaml: Output.line("[]")
        case .name: break
        case nil, .wide: Output.line("No workflows found")
        }
    }
}

/// The table of `martlet list`.
struct RunTable {
    private var table = TextTable(padding: 3)
    private let isWide: Bool
    private let hasNamespace: Bool
    private let now: Timestamp

    init(isWide: Bool, hasNamespace: Bool, hasHeaders: Bool = true, now: Timestamp) {
        self.isWide = isWide
        self.hasNamespace = hasNamespace
        self.now = now
        guard hasHeaders else { return }
        table.add(
            (hasNamespace ? ["NAMESPACE"] : []) + ["NAME", "STATUS", "AGE", "DURATION", "PRIORITY"]
                + (isWide ? ["P/R/C", "PARAMETERS"] : []) + ["MESSAGE"])
    }

    /// - Parameter state: the whole run, for what the summary does not say.
    mutating func add(_ run: WorkflowSummary, state: WorkflowState?) {
        var cells = hasNamespace ? [run.namespace] : []
        let phase = run.phase.isEmpty ? Phase.pending.rawValue : run.phase
        let duration = run.startedAt.map { HumanTime.short((run.finishedAt ?? now) - $0) } ?? "0s"
        cells += [
            run.name, state.map(RunHeader.status) ?? phase, HumanTime.short(now - run.createdAt), duration,
            "\(run.priority)",
        ]
        if isWide { cells += [state.map(Self.counts) ?? "", state.map(Self.parameters) ?? ""] }
        table.add(cells + [run.message.printable])
    }

    var text: String { table.lines.map { $0 + "\n" }.joined() }

    /// Pods that wait, run, and have ended.
    private static func counts(_ state: WorkflowState) -> String {
        var (pending, running, completed) = (0, 0, 0)
        for node in state.nodes.values where node.type == .pod {
            switch node.phase {
            case .pending: pending += 1
            case .running: running += 1
            default: completed += 1
            }
        }
        return "\(pending)/\(running)/\(completed)"
    }

    private static func parameters(_ state: WorkflowState) -> String {
        state.definition.spec.arguments.parameters.map { "\($0.name)=\(shortened($0.value ?? ""))" }
            .joined(separator: ",").printable
    }

    private static func shortened(_ value: String) -> String {
        value.count > 20 ? value.prefix(17) + "..." : value
    }
}
