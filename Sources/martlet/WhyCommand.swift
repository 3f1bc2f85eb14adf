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
            nearest one. It reads the data directory.
            Examples:
              martlet why train                  the node train of the newest run
              martlet why train pipeline-x7k2q
            """)

    @Argument(help: "The node: its display name, name or id.")
    var node: String

    @Argument(help: "Name of the run, or @latest.")
    var run = "@latest"

    @OptionGroup var data: DataOptions

    func run() async throws {
        let backend = try DirectoryBackend(data.location)
        let state = try await backend.state(try await backend.reference(run))
        let found = try Self.node(node, of: state)
        let namespace = state.definition.namespace
        let entries = try await ContentEntry.all(in: backend.store, namespace: namespace)
        let isOff = state.metadata.annotations[WorkflowState.cacheAnnotation] == "false"
        for line in WhyReport.lines(found, of: state.name, entries, isOff: isOff) { Output.line(line) }
    }

    /// The node that the words mean; the newest of several of one display name, attempts left aside.
    static func node(_ word: String, of state: WorkflowState) throws -> Node {
        let nodes = state.nodes.values.filter { !$0.isRetryAttempt }.sorted { $0.sequence > $1.sequence }
        let found =
            nodes.first { $0.id == word || $0.name == word }
            ?? nodes.first { $0.displayName == word && $0.memoization != nil }
            ?? nodes.first { $0.displayName == word }
        if let found { return found }
        let names = nodes.filter { $0.type.isExecutable || $0.type == .retry }.map(\.displayName)
        let near = EditDistance.nearest(to: word, in: names).map { "; did you mean \"\($0)\"?" } ?? ""
        throw CommandError("run \(state.name) has no node \"\(word)\"\(near)", status: 2)
    }
}

/// The answer's lines.
enum WhyReport {
    /// Longer values are cut.
    private static let valueLimit = 60

    /// - Parameter isOff: whether the run was to take nothing over.
    static func lines(
        _ node: Node, of run: String, _ entries: [ContentEntry], isOff: Bool = false
    ) -> [String] {
        guard let memoization = node.memoization, memoization.cacheName == ContentEntry.cacheName else {
            return [
                "\(node.displayName) of \(run): the cache was not asked; annotate its template with "
                    + "martlet.dev/cache: \"true\""
            ]
        }
        if isOff { return ["\(node.displayName) of \(run): ran, since the cache was turned off for the run"] }
        if memoization.hit { return ["\(node.displayName) of \(run): \(node.message)"] }
        guard !memoization.key.isEmpty else {
            return [
                "\(node.displayName) of \(run): ran, since the content of an input is not known before it is "
                    + "read (http, git or a bucket), or its artifact is gone"
            ]
        }
        // What the node left itself is no reason.
        let others = entries.filter {
            !($0.record.workflowName == run && $0.record.nodeName == node.displayName)
        }
        guard let nearest = ContentDifference.nearest(node.contentFields, among: others) else {
            return ["\(node.displayName) of \(run): ran, since no such step had finished before"]
        }
        let record = nearest.entry.record
        let origin = "\(record.nodeName) of \(record.workflowName)"
        guard !nearest.fields.isEmpty else {
            return [
                "\(node.displayName) of \(run): ran although \(origin) had the same content: the cache was turned "
                    + "off for the run, the artifacts were gone, or that one had not finished yet"
            ]
        }
        var table = TextTable(padding: 2)
        table.add(["  FIELD", "BEFORE", "NOW"])
        for field in nearest.fields {
            table.add(["  " + field.name, shown(field.before), shown(field.now)])
        }
        let count = nearest.fields.count
        return [
            "\(node.displayName) of \(run): ran, since \(count) field\(count == 1 ? "" : "s") "
                + "differ\(count == 1 ? "s" : "") from \(origin)"
        ] + table.lines
    }

    private static func shown(_ value: String?) -> String {
        guard let value else { return "(absent)" }
        let line = value.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        return line.count > valueLimit ? line.prefix(valueLimit) + "…" : line.isEmpty ? "\"\"" : line
    }
}
