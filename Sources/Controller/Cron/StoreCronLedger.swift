// The cron runner's ledger on the database: runs are checked and begun as any submission is.

package import Persistence
package import Scheduling
import Text
import WorkflowLanguage

/// The ledger of a server.
package struct StoreCronLedger: CronLedger {
    private let operations: WorkflowOperations
    private var store: Store { operations.store }

    package init(operations: WorkflowOperations) { self.operations = operations }

    package func definitionRevision() async throws -> Int64 { try await store.latestDefinitionRevision() }

    package func version() async throws -> Int { try await store.dataVersion() }

    package func crons() async throws -> [DefinitionRow] { try await store.definitions(.cronWorkflow) }

    package func cron(namespace: String, name: String) async throws -> DefinitionRow? {
        try await store.definition(.cronWorkflow, namespace: namespace, name: name)
    }

    package func runs(namespace: String, cron: String) async throws -> [WorkflowSummary] {
        try await store.workflows(
            WorkflowQuery(
                namespace: namespace, labels: [.equals(key: CronMachine.cronLabel, value: cron)],
                archived: false, limit: CronRunner.runLimit)
        ).workflows
    }

    package func begin(_ request: CronRequest) async throws -> CronAnswer {
        var catalog = try await store.catalog(namespace: request.namespace)
        catalog.timeZones = []
        let (documents, unread) = ManifestReader.read(
            Array(request.manifest.compactText.utf8), file: request.cron)
        let found = unread + Linter.lint(documents, catalog: catalog, options: ValidationOptions())
        let errors = found.filter { $0.severity == .error }
        guard errors.isEmpty, let document = documents.first else {
            return .refused(errors.prefix(10).map { "\($0.path): \($0.message)" }.joined(separator: "\n"))
        }
        var options = SubmissionOptions()
        options.name = request.child.name
        options.namespace = request.namespace
        let definition = Submission.definition(
            of: document.json, catalog: catalog, options: options, at: operations.now(),
            uid: request.child.uid)
        let row = WorkflowRow(pending: definition)
        do {
            let instant = CronInstant(
                namespace: request.namespace, cron: request.cron, at: request.instant)
            let insertion = try await store.insertCronRun(
                row, for: instant, status: request.status?.json, ifVersion: request.ifVersion)
            guard case .inserted = insertion else { return .existed }
        } catch StoreError.conflict, StoreError.notFound {
            return .changed
        } catch StoreError.nameTaken {
            return .refused(
                "a workflow named \"\(request.child.name)\" exists already, which no schedule made; delete it"
            )
        }
        operations.controller?.drive(request.child.uid)
        return .begun
    }

    package func writeStatus(namespace: String, cron: String, _ status: CronStatus) async throws {
        do {
            try await store.setDefinitionStatus(
                .cronWorkflow, namespace: namespace, name: cron, status: status.json)
        } catch StoreError.notFound {
            // Deleted in between: there is nothing left to note.
        }
    }

    package func markStopped(namespace: String, cron: String) async throws {
        // A person may change the definition at the same time; who loses reads again.
        for _ in 0..<5 {
            guard let row = try await self.cron(namespace: namespace, name: cron) else { return }
            let body = row.body.setting(label: CronMachine.completedLabel, to: "true")
            do {
                try await store.putDefinition(
                    .cronWorkflow, namespace: namespace, name: cron, body: body, at: operations.now(),
                    if: .version(row.resourceVersion))
                return
            } catch StoreError.conflict {
                continue
            }
        }
    }

    package func terminate(_ uid: String) async throws {
        do {
            _ = try await operations.control(uid, .terminate)
        } catch let error as OperationError where error.reason == .notFound || error.reason == .precondition {
            // It ended by itself.
        }
    }

    package func delete(_ uid: String) async throws {
        do {
            _ = try await operations.delete(uid, force: false)
        } catch let error as OperationError where error.reason == .notFound {
            // Somebody was faster.
        }
    }
}

extension WorkflowRow {
    /// The row of a run that has not begun.
    init(pending definition: RunDefinition) {
        self.init(
            summary: WorkflowSummary(
                uid: definition.uid, namespace: definition.namespace, name: definition.name, phase: "Pending",
                createdAt: definition.createdAt, priority: definition.spec.priority ?? 0,
                labels: definition.metadata.labels, annotations: definition.metadata.annotations),
            manifest: definition.json, state: .object([:]))
    }
}

extension JSONValue {
    /// A document with a label more.
    func setting(label: String, to value: String) -> JSONValue {
        var members = objectValue ?? [:]
        var metadata = members["metadata"]?.objectValue ?? [:]
        var labels = metadata["labels"]?.objectValue ?? [:]
        labels[label] = .string(value)
        metadata["labels"] = .object(labels)
        members["metadata"] = .object(metadata)
        return .object(members)
    }
}
