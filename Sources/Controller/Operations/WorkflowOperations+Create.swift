// Beginning runs: a manifest or a stored definition is checked, stored durably, and driven.

import Executors
package import Persistence
package import Scheduling
package import Text
package import WorkflowLanguage

extension WorkflowOperations {
    /// How often another name is drawn when a generated one is taken.
    private static let nameDraws = 8

    /// What became of a manifest that was checked.
    package struct Lint: Sendable {
        package var diagnostics: [Diagnostic]
        package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

        package init(diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }
    }

    /// What manifests are checked for: where their steps will run, as far as this process knows.
    private var checks: ValidationOptions {
        var options = ValidationOptions(
            target: controller?.executor.name == "kubernetes" ? .kubernetes : .local)
        options.mayHaveCluster = isServed
        return options
    }

    /// Checks documents against each other and the stored definitions of a namespace.
    package func lint(_ documents: [ManifestDocument], namespace: String, strict: Bool = true) async throws
        -> Lint
    {
        try await OperationError.naming {
            let catalog = try await store.catalog(namespace: namespace).including(documents)
            var options = checks
            options.strict = strict
            return Lint(diagnostics: Linter.lint(documents, catalog: catalog, options: options))
        }
    }

    /// Checks the JSON of one document, whose `kind` and `apiVersion` may be missing. Diagnostics tell paths; lines
    /// mean nothing in such a text.
    package func lint(_ document: JSONValue, kind: String, namespace: String, strict: Bool = true)
        async throws
        -> Lint
    {
        do {
            let document = try SentDocument.read(document, kind: kind)
            let lint = try await lint([document], namespace: namespace, strict: strict)
            return Lint(diagnostics: SentDocument.withoutPlaces(lint.diagnostics))
        } catch let error as OperationError where !error.diagnostics.isEmpty {
            return Lint(diagnostics: error.diagnostics)
        }
    }

    /// Checks a workflow, stores it durably and begins to drive it. With `dryRun` nothing is stored.
    /// - Parameters:
    ///   - manifest: a Workflow; `kind` and `apiVersion` may be missing.
    ///   - namespace: wins over the manifest's.
    /// - Throws: `OperationError`: `invalid` with all diagnostics; `conflict` if the name is taken.
    package func create(
        _ manifest: JSONValue, namespace: String, options: SubmissionOptions = SubmissionOptions(),
        dryRun: Bool = false
    ) async throws -> WorkflowState {
        try await OperationError.naming {
            let document = try SentDocument.read(manifest, kind: "Workflow")
            let catalog = try await store.catalog(namespace: namespace)
            var checks = checks
            checks.strict = options.strict
            let found = Linter.lint([document], catalog: catalog, options: checks)
            try SentDocument.refuse(SentDocument.withoutPlaces(found), "the workflow")
            return try await create(
                document.json, catalog: catalog, namespace: namespace, options: options, dryRun: dryRun)
        }
    }

    /// Begins a run of a stored template or cron workflow.
    package func submit(
        _ kind: DefinitionKind, name: String, namespace: String, options: SubmissionOptions,
        dryRun: Bool = false
    ) async throws -> WorkflowState {
        try await OperationError.naming {
            let source = StoredSource(kind, name: name, namespace: namespace)
            return try await create(
                source.manifest(in: store), namespace: namespace, options: options, dryRun: dryRun)
        }
    }

    /// Stores and begins a run of a manifest that was checked already.
    /// - Parameter catalog: what it may refer to.
    package func create(
        _ checked: JSONValue, catalog: TemplateCatalog, namespace: String, options: SubmissionOptions,
        dryRun: Bool
    ) async throws -> WorkflowState {
        var options = options
        options.namespace = namespace
        let metadata = ObjectMetadata(checked["metadata"])
        let isNamed = options.name != nil || (options.generateName == nil && !metadata.name.isEmpty)
        var draws = isNamed ? 1 : Self.nameDraws
        while true {
            let definition = Submission.definition(of: checked, catalog: catalog, options: options, at: now())
            try check(definition, options)
            do {
                return try await store(definition, dryRun: dryRun)
            } catch StoreError.nameTaken where draws > 1 {
                draws -= 1
            }
        }
    }

    private func check(_ definition: RunDefinition, _ options: SubmissionOptions) throws(OperationError) {
        try ArgumentCheck.check(name: definition.name)
        try ArgumentCheck.check(definition)
        guard let entrypoint = options.entrypoint else { return }
        let names = definition.spec.templates.map(\.name)
        guard !names.contains(entrypoint) else { return }
        throw OperationError(
            .invalid,
            "entrypoint: no template is named \"\(entrypoint.prefix(100))\"; there are "
                + names.prefix(20).joined(separator: ", "))
    }

    private func store(_ definition: RunDefinition, dryRun: Bool) async throws -> WorkflowState {
        let phase = firstPhase(namespace: definition.namespace)
        if !dryRun {
            try await Submission.store(definition, in: store, phase: phase.rawValue)
            begin(definition.uid)
        }
        return WorkflowState(definition: definition, at: now()).accepted(as: phase)
    }

    /// A new run of an old run's definition.
    /// - Parameter memoized: takes over what succeeded in a Failed or Error run.
    package func resubmit(
        _ uid: String, memoized: Bool = false, parameters: [(name: String, value: String)] = [],
        priority: Int? = nil, creator: String? = nil
    ) async throws -> WorkflowState {
        try await OperationError.naming {
            let old = try await state(uid)
            var draws = Self.nameDraws
            while true {
                let definition = Resubmission.definition(
                    of: old.definition, parameters: parameters, priority: priority, creator: creator,
                    at: now())
                try ArgumentCheck.check(definition)
                do {
                    return try await store(definition, takingOver: memoized ? old : nil)
                } catch StoreError.nameTaken where draws > 1 {
                    draws -= 1
                }
            }
        }
    }

    private func store(_ definition: RunDefinition, takingOver old: WorkflowState?) async throws
        -> WorkflowState
    {
        guard let old else { return try await store(definition, dryRun: false) }
        var resumed = try old.resubmitted(as: definition, at: now())
        let phase = firstPhase(namespace: definition.namespace)
        // Nobody may begin the run before it has what it takes over.
        let lock = try DriverLock.take(runDirectory: runDirectory(definition.uid))
        try await Submission.store(definition, in: store, phase: phase.rawValue)
        var change = resumed.wholeChange(epoch: nil)
        change.header?.phase = phase.rawValue
        try await store.apply([change])
        begin(definition.uid, lock: lock)
        return resumed.accepted(as: phase)
    }
}

extension TemplateCatalog {
    /// The catalog of stored definitions with those of some documents over them.
    package func including(_ documents: [ManifestDocument]) -> TemplateCatalog {
        var catalog = self
        // Only schedules name zones, and reading the machine's list takes longer than all the rest of a lint.
        if documents.contains(where: { $0.kind == "CronWorkflow" }) { catalog.timeZones = TimeZones.names() }
        for document in documents { catalog.add(document.json) }
        return catalog
    }
}
