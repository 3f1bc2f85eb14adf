// Runs and definitions as the client verbs see them, wherever they are kept.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// A run that was found.
struct RunReference: Sendable, Hashable {
    var uid: String
    var namespace: String
    var name: String
}

/// Which runs a list shall show.
struct RunSelection: Sendable {
    var query: WorkflowQuery
    /// The label selector as it was written.
    var labels: String?
    var limit: Int?
}

/// A stored definition as verbs show it: the document with what the store knows of it.
struct ShownDefinition: Sendable, Hashable {
    var kind: DefinitionKind
    var document: JSONValue

    var metadata: ObjectMetadata { ObjectMetadata(document["metadata"]) }
    var name: String { metadata.name }
    var namespace: String { kind.isClusterWide ? "" : metadata.namespace }
    var createdAt: Timestamp {
        document["metadata"]?["creationTimestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
            ?? Timestamp(seconds: 0)
    }
}

/// Runs and definitions of a data directory or of a server. What they throw is an `OperationError` or a
/// `CommandError`.
protocol RunBackend: Sendable {
    /// Whether somebody else drives what is begun: then a verb hands over and waits.
    var isServed: Bool { get }

    /// A run by its name, its uid or `@latest`.
    func reference(_ name: String) async throws -> RunReference
    func state(_ run: RunReference) async throws -> WorkflowState
    /// Newest first.
    func summaries(_ selection: RunSelection) async throws -> [WorkflowSummary]
    /// A signal whenever it is worth looking at the run again, the first one at once; ends when the task does.
    func changes(of run: RunReference) -> AsyncStream<Void>

    /// What workflows of a namespace may refer to.
    func catalog(namespace: String) async throws -> TemplateCatalog
    /// Stores a run of a checked manifest. With `dryRun` it is checked only.
    func create(
        _ manifest: JSONValue, _ catalog: TemplateCatalog, namespace: String, _ options: SubmissionOptions,
        dryRun: Bool
    ) async throws -> WorkflowState
    func control(_ run: RunReference, _ command: Scheduling.Command) async throws
        -> WorkflowOperations.Delivery
    func retry(_ run: RunReference, _ request: RetryRequest) async throws
    func resubmit(
        _ run: RunReference, memoized: Bool, parameters: [(name: String, value: String)], priority: Int?
    ) async throws -> RunReference
    /// - Returns: how many artifacts went with it.
    func delete(_ run: RunReference, force: Bool, dryRun: Bool) async throws -> Int

    func definitions(_ kind: DefinitionKind, namespace: String?) async throws -> [ShownDefinition]
    func definition(_ kind: DefinitionKind, name: String, namespace: String) async throws -> ShownDefinition
    /// - Parameter replaces: whether it must be there already; otherwise it must not.
    func put(_ kind: DefinitionKind, _ document: JSONValue, namespace: String, replaces: Bool) async throws
        -> ShownDefinition
    func deleteDefinition(_ kind: DefinitionKind, name: String, namespace: String) async throws
    func suspendCron(_ name: String, namespace: String, _ suspend: Bool) async throws

    /// The moments of a schedule from `start` to `end`, with the runs that they had or would get.
    func backfillPreview(_ cron: String, namespace: String, from start: Timestamp, through end: Timestamp)
        async throws -> [CronOperations.BackfillRun]
    /// Makes the run of one moment; nil if it had one.
    func backfill(_ cron: String, namespace: String, at instant: Timestamp, argument: String?) async throws
        -> RunReference?

    /// Why a node of a run ran, or was taken from the cache.
    /// - Parameter word: its id, its name, or the name that people see.
    func reason(of word: String, in run: RunReference) async throws -> ContentReason

    func labelKeys() async throws -> [String]
    func labelValues(_ key: String) async throws -> [String]
}
