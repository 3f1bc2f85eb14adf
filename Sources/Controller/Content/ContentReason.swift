// Why a node ran, or was taken from the cache, in words and fields: what `martlet why`, the server's route and the page
// say of it.

package import Persistence
package import Scheduling
package import Text

/// The answer to "why did this run again?".
package struct ContentReason: Sendable, Hashable {
    /// The name that people see.
    package var node: String
    /// The run's name.
    package var run: String
    /// Begins behind "NODE of RUN: ".
    package var words: String
    /// Whether the node's outputs are those of another one.
    package var isTakenOver = false
    /// What differs from the nearest finished node, in the order of the names.
    package var fields: [ContentDifference.Field] = []

    init(_ node: Node, of run: String, _ words: String) {
        self.node = node.displayName
        self.run = run
        self.words = words
    }

    // MARK: Finding out

    /// - Parameter annotations: the run's.
    /// - Throws: what reading the cache's entries does.
    package static func of(
        _ node: Node, run: String, namespace: String, annotations: [String: String], in store: Store
    ) async throws -> ContentReason {
        let isOff = annotations[WorkflowState.cacheAnnotation] == "false"
        if let reason = withoutEntries(node, of: run, isOff: isOff) { return reason }
        return compared(node, of: run, try await ContentEntry.all(in: store, namespace: namespace))
    }

    /// What can be said without a look at other nodes; nil where they must be looked at.
    static func withoutEntries(_ node: Node, of run: String, isOff: Bool) -> ContentReason? {
        guard let memoization = node.memoization, memoization.cacheName == ContentEntry.cacheName else {
            return ContentReason(
                node, of: run,
                "the cache was not asked; annotate its template with \(WorkflowState.cacheAnnotation): \"true\""
            )
        }
        if isOff { return ContentReason(node, of: run, "ran, since the cache was turned off for the run") }
        if memoization.hit {
            var reason = ContentReason(node, of: run, node.message)
            reason.isTakenOver = true
            return reason
        }
        guard memoization.key.isEmpty else { return nil }
        return ContentReason(
            node, of: run,
            "ran, since the content of an input is not known before it is read (http, git or a bucket), or its "
                + "artifact is gone")
    }

    /// - Parameter entries: newest first. What the node itself left is no reason.
    static func compared(_ node: Node, of run: String, _ entries: [ContentEntry]) -> ContentReason {
        let others = entries.filter {
            !($0.record.workflowName == run && $0.record.nodeName == node.displayName)
        }
        guard let nearest = ContentDifference.nearest(node.contentFields, among: others) else {
            return ContentReason(node, of: run, "ran, since no such step had finished before")
        }
        let origin = "\(nearest.entry.record.nodeName) of \(nearest.entry.record.workflowName)"
        guard !nearest.fields.isEmpty else {
            return ContentReason(
                node, of: run,
                "ran although \(origin) had the same content: the cache was turned off for the run, the artifacts "
                    + "were gone, or that one had not finished yet")
        }
        let count = nearest.fields.count
        var reason = ContentReason(
            node, of: run,
            "ran, since \(count) field\(count == 1 ? "" : "s") differ\(count == 1 ? "s" : "") from \(origin)")
        reason.fields = nearest.fields
        return reason
    }

    /// The node that a word means: an id, a name, or the name that people see; of several the newest that asked the
    /// cache. Attempts are left aside.
    package static func node(_ word: String, among nodes: some Sequence<Node>) -> Node? {
        let nodes = nodes.filter { !$0.isRetryAttempt }.sorted { $0.sequence > $1.sequence }
        return nodes.first { $0.id == word || $0.name == word }
            ?? nodes.first { $0.displayName == word && $0.memoization != nil }
            ?? nodes.first { $0.displayName == word }
    }

    // MARK: As JSON

    package var json: JSONValue {
        func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
        return [
            "node": .string(node), "run": .string(run), "words": .string(words), "cached": .bool(isTakenOver),
            "fields": .array(
                fields.map { ["name": .string($0.name), "before": text($0.before), "now": text($0.now)] }),
        ]
    }

    /// Nil for what is none.
    package init?(_ json: JSONValue) {
        guard let node = json["node"]?.stringValue, let run = json["run"]?.stringValue,
            let words = json["words"]?.stringValue
        else { return nil }
        self.node = node
        self.run = run
        self.words = words
        isTakenOver = json["cached"]?.boolValue ?? false
        fields = (json["fields"]?.arrayValue ?? []).map { field in
            ContentDifference.Field(
                name: field["name"]?.stringValue ?? "", before: field["before"]?.stringValue,
                now: field["now"]?.stringValue)
        }
    }
}
