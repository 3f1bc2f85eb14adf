// `martlet why`: why a node ran, or did not, although something like it had finished before.

import ArgumentParser
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Say which field kept a step from being taken from the cache.",
        discussion: """
            Steps whose template is annotated `martlet.dev/cache: "true"` are not run again when parameters,
            inputs and code are those of a step that has finished. This names the fields that differ from the
            nearest one.
            Examples:
              martlet why train                  the node train of the newest run
              martlet why train pipeline-x7k2q
              martlet why train -o json --server http://127.0.0.1:2746
            """)

    @Argument(help: "The node: its display name, name or id.")
    var node: String

    @Argument(help: "Name of the run, or @latest.")
    var run = "@latest"

    @Option(name: .shortAndLong, help: "wide or json.")
    var output = Format.wide

    @OptionGroup var data: ClientOptions

    enum Format: String, ExpressibleByArgument, CaseIterable { case wide, json }

    func run() async throws {
        let access = try RunAccess(data)
        let reason = try await access.backend.reason(of: node, in: try await access.reference(run))
        switch output {
        case .json: Output.line(reason.json.prettyText)
        case .wide: for line in WhyReport.lines(reason) { Output.line(line) }
        }
    }
}

extension DirectoryBackend {
    func reason(of word: String, in run: RunReference) async throws -> ContentReason {
        let state = try await state(run)
        guard let node = ContentReason.node(word, among: state.nodes.values) else {
            let known = state.nodes.values.filter { $0.type.isExecutable || $0.type == .retry }
            throw WhyReport.missing(word, state.name, known.map(\.displayName))
        }
        return try await ContentReason.of(
            node, run: state.name, namespace: state.definition.namespace,
            annotations: state.metadata.annotations, in: store)
    }
}

extension ServerBackend {
    func reason(of word: String, in run: RunReference) async throws -> ContentReason {
        do {
            let found = try await connection.ask(
                "GET", ["api", "martlet", "v1", "runs", run.uid, "nodes", word, "why"])
            guard let reason = ContentReason(found) else {
                throw CommandError("the server is another version of martlet: it cannot say why", status: 2)
            }
            return reason
        } catch let error as OperationError where error.reason == .notFound {
            // The words of a data directory, with what the word may have meant.
            let nodes = try await state(run).nodes.values.filter { $0.type.isExecutable || $0.type == .retry }
            throw WhyReport.missing(word, run.name, nodes.map(\.displayName))
        }
    }
}

/// The answer's lines.
enum WhyReport {
    /// Longer values are cut.
    private static let valueLimit = 60

    static func missing(_ word: String, _ run: String, _ names: [String]) -> CommandError {
        let near = EditDistance.nearest(to: word, in: names).map { "; did you mean \"\($0)\"?" } ?? ""
        return CommandError("run \(run) has no node \"\(word)\"\(near)", status: 2)
    }

    static func lines(_ reason: ContentReason) -> [String] {
        let first = "\(reason.node) of \(reason.run): \(reason.words)".printable
        guard !reason.fields.isEmpty else { return [first] }
        var table = TextTable(padding: 2)
        table.add(["  FIELD", "BEFORE", "NOW"])
        for field in reason.fields {
            table.add(["  " + field.name.printable, shown(field.before), shown(field.now)])
        }
        return [first] + table.lines
    }

    private static func shown(_ value: String?) -> String {
        guard let value else { return "(absent)" }
        let line = value.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        return line.count > valueLimit
            ? line.prefix(valueLimit).description.printable + "…" : line.isEmpty ? "\"\"" : line.printable
    }
}
