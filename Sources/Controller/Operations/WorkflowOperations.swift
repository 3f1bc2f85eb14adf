// What can be done with runs and definitions, for the command line and the server alike: checked, stored, and handed
// to whoever drives the run.

package import Artifacts
package import Persistence
package import Scheduling
package import Text
package import WorkflowLanguage

/// The verbs of Martlet on one data directory.
package struct WorkflowOperations: Sendable {
    package let store: Store
    package let artifacts: LocalArtifactStore
    package let dataDirectory: String
    package let now: @Sendable () -> Timestamp
    /// The controller of this process, which drives what is begun; nil in a process that drives nothing.
    package let controller: WorkflowController?

    package init(
        store: Store, artifacts: LocalArtifactStore, dataDirectory: String, controller: WorkflowController?,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.store = store
        self.artifacts = artifacts
        self.dataDirectory = dataDirectory
        self.controller = controller
        self.now = now
    }

    /// What became of a manifest that was checked.
    package struct Lint: Sendable {
        package var diagnostics: [Diagnostic]
        package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
    }

    /// Checks documents against each other and the stored definitions of a namespace.
    package func lint(_ documents: [ManifestDocument], namespace: String, strict: Bool = true) async throws
        -> Lint
    {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Checks a workflow, stores it durably and begins to drive it. With `dryRun` nothing is stored.
    /// - Parameter manifest: a Workflow; `kind` and `apiVersion` may be missing.
    package func create(
        _ manifest: JSONValue, namespace: String, options: SubmissionOptions = SubmissionOptions(),
        dryRun: Bool = false
    ) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Begins a run of a stored template or cron workflow.
    package func submit(
        _ kind: DefinitionKind, name: String, namespace: String, options: SubmissionOptions,
        dryRun: Bool = false
    ) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// The uid of a run by its name, its uid, or `@latest`.
    package func uid(of name: String, namespace: String) async throws -> String {
        throw OperationError(.unavailable, "not there yet")
    }

    /// A run as it is now, whoever drives it.
    package func state(_ uid: String) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Stop, terminate, suspend, resume, node set: carried out when this returns.
    package func control(_ uid: String, _ command: Scheduling.Command) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Goes on with what failed.
    package func retry(_ uid: String, _ request: RetryRequest) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// A new run of an old run's definition.
    package func resubmit(
        _ uid: String, memoized: Bool = false, parameters: [(name: String, value: String)] = [],
        priority: Int? = nil
    ) async throws -> WorkflowState {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Deletes a run with its logs and working files, and the artifacts that its manifest dooms.
    /// - Parameter force: ends a run that has not ended; otherwise that is refused.
    package func delete(_ uid: String, force: Bool = false) async throws {
        throw OperationError(.unavailable, "not there yet")
    }

    /// Checks and stores a definition: a template, cluster template or cron workflow.
    package func put(
        _ kind: DefinitionKind, _ document: JSONValue, namespace: String, if condition: WriteCondition
    ) async throws -> DefinitionRow {
        throw OperationError(.unavailable, "not there yet")
    }
}
