// The runs of a data directory, read and written in place. A server on the same directory notices what changes.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// A data directory with its store open.
struct DirectoryBackend: RunBackend {
    /// How often a change is looked for while something is awaited.
    static let pollInterval = Duration.milliseconds(200)

    let store: Store
    let location: DataLocation
    let operations: WorkflowOperations
    /// Whether a server runs on the directory.
    let isServed: Bool

    /// - Parameter execution: how steps run where a verb needs a run that nobody drives.
    init(_ location: DataLocation, execution: ExecutionSettings? = nil) throws {
        self.location = location
        let store = try location.openStore()
        self.store = store
        isServed = ServerLock.isHeld(location.path)
        var borrowed: (@Sendable () throws -> WorkflowController)?
        if let execution, !isServed {
            borrowed = { try ExecutorFactory.controller(store, execution, location) }
        }
        operations = WorkflowOperations(
            store: store, artifacts: try ExecutorFactory.artifactStore(location),
            dataDirectory: location.path, controller: nil, borrowed: borrowed, isServed: isServed,
            now: Environment.now)
    }

    /// Whether some process drives the run now.
    func isDriven(_ uid: String) -> Bool { operations.isDriven(uid) }

    func reference(_ name: String) async throws -> RunReference {
        let uid = try await RunLookup.uid(of: name, in: operations, namespace: location.namespace)
        return RunReference(uid: uid, namespace: location.namespace, name: name)
    }

    func state(_ run: RunReference) async throws -> WorkflowState {
        do {
            return try await operations.state(run.uid)
        } catch let error as OperationError {
            throw CommandError(error.message, status: 2)
        }
    }

    func summaries(_ selection: RunSelection) async throws -> [WorkflowSummary] {
        try await OperationError.naming {
            try await store.allWorkflows(selection.query, limit: selection.limit)
        }
    }

    func changes(of run: RunReference) -> AsyncStream<Void> {
        let isFirst = FirstCall()
        return AsyncStream {
            if isFirst.take() { return () }
            return (try? await Task.sleep(for: Self.pollInterval)).map { () }
        }
    }

    func catalog(namespace: String) async throws -> TemplateCatalog {
        try await OperationError.naming { try await store.catalog(namespace: namespace) }
    }

    func create(
        _ manifest: JSONValue, _ catalog: TemplateCatalog, namespace: String, _ options: SubmissionOptions,
        dryRun: Bool
    ) async throws -> WorkflowState {
        try await OperationError.naming {
            try await operations.create(
                manifest, catalog: catalog, namespace: namespace, options: options, dryRun: dryRun)
        }
    }

    func control(_ run: RunReference, _ command: Scheduling.Command) async throws
        -> WorkflowOperations.Delivery
    {
        try await operations.deliver(command, to: run.uid)
    }

    func retry(_ run: RunReference, _ request: RetryRequest) async throws {
        _ = try await operations.retry(run.uid, request)
    }

    func resubmit(
        _ run: RunReference, memoized: Bool, parameters: [(name: String, value: String)], priority: Int?
    ) async throws -> RunReference {
        let new = try await operations.resubmit(
            run.uid, memoized: memoized, parameters: parameters, priority: priority)
        return RunReference(uid: new.uid, namespace: new.definition.namespace, name: new.name)
    }

    func delete(_ run: RunReference, force: Bool, dryRun: Bool) async throws -> Int {
        guard dryRun else { return try await operations.delete(run.uid, force: force) }
        try operations.checkDeletable(try await operations.state(run.uid), force: force)
        return 0
    }

    // MARK: Definitions

    func definitions(_ kind: DefinitionKind, namespace: String?) async throws -> [ShownDefinition] {
        try await OperationError.naming {
            try await store.definitions(kind, namespace: namespace).map {
                ShownDefinition(kind: kind, document: $0.documentJSON)
            }
        }
    }

    func definition(_ kind: DefinitionKind, name: String, namespace: String) async throws -> ShownDefinition {
        let row = try await operations.definition(kind, name: name, namespace: namespace)
        return ShownDefinition(kind: kind, document: row.documentJSON)
    }

    func put(_ kind: DefinitionKind, _ document: JSONValue, namespace: String, replaces: Bool) async throws
        -> ShownDefinition
    {
        let row = try await operations.store(
            kind, document, namespace: namespace, if: replaces ? .present : .absent)
        return ShownDefinition(kind: kind, document: row.documentJSON)
    }

    func deleteDefinition(_ kind: DefinitionKind, name: String, namespace: String) async throws {
        _ = try await operations.definition(kind, name: name, namespace: namespace)
        _ = try await OperationError.naming {
            try await store.deleteDefinition(kind, namespace: namespace, name: name)
        }
    }

    func suspendCron(_ name: String, namespace: String, _ suspend: Bool) async throws {
        let row = try await operations.definition(.cronWorkflow, name: name, namespace: namespace)
        var members = row.body.objectValue ?? [:]
        var spec = members["spec"]?.objectValue ?? [:]
        spec["suspend"] = .bool(suspend)
        members["spec"] = .object(spec)
        _ = try await operations.store(
            .cronWorkflow, .object(members), namespace: namespace, if: .version(row.resourceVersion))
    }

    func backfillPreview(_ cron: String, namespace: String, from start: Timestamp, through end: Timestamp)
        async throws -> [CronOperations.BackfillRun]
    {
        try await OperationError.naming {
            try await CronOperations(operations: operations).backfillPreview(
                cron, namespace: namespace, from: start, through: end)
        }
    }

    func backfill(_ cron: String, namespace: String, at instant: Timestamp, argument: String?) async throws
        -> RunReference?
    {
        try await OperationError.naming {
            let uid = try await CronOperations(operations: operations).backfill(
                cron, namespace: namespace, at: instant, argument: argument)
            return uid.map {
                RunReference(uid: $0, namespace: namespace, name: CronMachine.runName(cron, at: instant))
            }
        }
    }

    func labelKeys() async throws -> [String] {
        try await OperationError.naming { try await store.labelKeys() }
    }

    func labelValues(_ key: String) async throws -> [String] {
        try await OperationError.naming { try await store.labelValues(key) }
    }
}

/// Finding stored runs by what people call them.
enum RunLookup {
    /// - Parameter name: a name in the namespace, `@latest`, or the uid of a run of any namespace.
    static func uid(of name: String, in operations: WorkflowOperations, namespace: String) async throws
        -> String
    {
        do {
            return try await operations.uid(of: name, namespace: namespace)
        } catch let error as OperationError where error.reason == .notFound && name != "@latest" {
            guard let uid = try? await operations.uid(of: name, namespace: "") else { throw error }
            return uid
        }
    }
}
