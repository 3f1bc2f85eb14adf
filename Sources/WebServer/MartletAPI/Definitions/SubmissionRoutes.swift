// Manifests as text: checked as they are typed, stored, and run.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension MartletRoutes {
    var submissionRoutes: [ServiceRoute] {
        [
            route(
                "POST", "/lint", "MartletAPI_Lint", .signedIn, isWrite: false,
                summary: "Says all that is wrong with a manifest's text, with lines and columns."
            ) { try await lint($0) },
            route(
                "POST", "/definitions", "MartletAPI_PutDefinitions", .signedIn,
                summary: "Stores the templates and cron workflows of a manifest's text, all or none."
            ) { try await putDefinitions($0) },
            route(
                "POST", "/submit", "MartletAPI_Submit", .signedIn,
                summary: "Begins a run of a manifest's text or of a stored template."
            ) { try await submit($0) },
        ]
    }

    /// The kinds that can be stored this way.
    private static let storedKinds: [String: DefinitionKind] = [
        "WorkflowTemplate": .workflowTemplate, "ClusterWorkflowTemplate": .clusterWorkflowTemplate,
        "CronWorkflow": .cronWorkflow,
    ]

    private func namespace(_ body: JSONValue) -> String {
        let text = body["namespace"]?.stringValue ?? ""
        return text.isEmpty ? context.defaultNamespace : text
    }

    // MARK: Lint

    private func lint(_ reader: APIReader) async throws -> HTTPReply {
        let body = try await reader.body()
        let namespace = namespace(body)
        try reader.request.require(.viewer, in: namespace)
        let checked = try await checked(body["text"]?.stringValue ?? "", namespace: namespace)
        var diagnostics = checked.diagnostics
        if let kind = body["kind"]?.stringValue, !kind.isEmpty {
            for document in checked.documents where document.kind != kind {
                diagnostics.append(Self.wrongKind(document, wanted: kind))
            }
        }
        return .json(["diagnostics": .array(diagnostics.map(\.json))])
    }

    private static func wrongKind(_ document: ManifestDocument, wanted: String) -> Diagnostic {
        let place = document.value.place(of: [.key("kind")])
        return Diagnostic(
            line: place.line, column: place.column, path: "kind",
            message: "a \(wanted.shortened) is wanted here, not a \(document.kind.shortened)")
    }

    /// Reads and checks a text, as `martlet lint` does.
    private func checked(_ text: String, namespace: String) async throws -> (
        documents: [ManifestDocument], diagnostics: [Diagnostic]
    ) {
        let (documents, problems) = try await onThread { ManifestReader.read(Array(text.utf8), file: "") }
        guard !problems.contains(where: { $0.severity == .error }) else { return (documents, problems) }
        let lint = try await context.operations.lint(documents, namespace: namespace)
        return (documents, problems + lint.diagnostics)
    }

    private func documents(_ text: String, namespace: String) async throws -> [ManifestDocument] {
        let (documents, diagnostics) = try await checked(text, namespace: namespace)
        let errors = diagnostics.filter { $0.severity == .error }
        guard let first = errors.first else { return documents }
        let place = first.line > 0 ? "line \(first.line): " : ""
        throw ServiceError.invalid(
            "the manifest has \(errors.count == 1 ? "an error" : "\(errors.count) errors"); \(place)\(first.message)",
            diagnostics: diagnostics)
    }

    // MARK: Storing

    private func putDefinitions(_ reader: APIReader) async throws -> HTTPReply {
        let body = try await reader.body()
        let namespace = namespace(body)
        try reader.request.require(.editor, in: namespace)
        let documents = try await documents(body["text"]?.stringValue ?? "", namespace: namespace)
        let replaces = body["replace"]?.boolValue ?? false
        var orders: [(kind: DefinitionKind, document: ManifestDocument)] = []
        for document in documents {
            guard let kind = Self.storedKinds[document.kind] else {
                throw ServiceError.invalid(
                    "a \(document.kind.shortened) cannot be stored this way: a Workflow is submitted, "
                        + "a Secret is set under settings")
            }
            try await checkPlace(document, kind, namespace, replaces, reader)
            orders.append((kind, document))
        }
        // They were checked together: one may refer to another that is stored with it.
        let rows = try await context.operations.store(
            orders.map { ($0.kind, $0.document.json) }, namespace: namespace,
            if: replaces ? .always : .absent)
        let items = rows.map { row in
            JSONValue.object([
                "kind": .string(row.kind.rawValue), "namespace": .string(row.namespace),
                "name": .string(row.name), "generation": .int(row.generation),
            ])
        }
        return .json(.object(["items": .array(items)]))
    }

    /// Refuses what could not be stored, before anything is.
    private func checkPlace(
        _ document: ManifestDocument, _ kind: DefinitionKind, _ namespace: String, _ replaces: Bool,
        _ reader: APIReader
    ) async throws {
        let metadata = ObjectMetadata(document.json["metadata"])
        if kind.isClusterWide, !reader.request.principal.mayEverywhere(.editor) {
            throw ServiceError.forbidden("cluster templates need the role editor in all namespaces")
        }
        if !kind.isClusterWide, !metadata.namespace.isEmpty, metadata.namespace != namespace {
            throw ServiceError.invalid(
                "\(kind.rawValue) \"\(metadata.name.shortened)\" is of namespace \"\(metadata.namespace.shortened)\", "
                    + "not \"\(namespace.shortened)\"")
        }
        guard !replaces, !metadata.name.isEmpty else { return }
        if try await context.store.definition(kind, namespace: namespace, name: metadata.name) != nil {
            throw ServiceError.conflict(
                "there is a \(kind.rawValue) \"\(metadata.name.shortened)\" already; give \"replace\": true")
        }
    }

    // MARK: Running

    private func submit(_ reader: APIReader) async throws -> HTTPReply {
        let body = try await reader.body()
        let namespace = namespace(body)
        try reader.request.require(.editor, in: namespace)
        var options = SubmissionOptions()
        options.namespace = namespace
        options.name = body["name"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        options.parameters = (body["parameters"]?.objectValue ?? [:]).sortedByKey.map { name, value in
            (name, value.scalarText ?? value.compactText)
        }
        options.labels = (body["labels"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
        options.creator = reader.request.principal.name
        let isDry = body["dryRun"]?.boolValue ?? false
        let state: WorkflowState
        if let name = body["pipeline"]?.stringValue {
            guard body["text"] == nil else {
                throw ServiceError.invalid("give `text` or `pipeline`, not both")
            }
            let kind: DefinitionKind =
                body["cluster"]?.boolValue == true ? .clusterWorkflowTemplate : .workflowTemplate
            state = try await context.operations.submit(
                kind, name: name, namespace: namespace, options: options, dryRun: isDry)
        } else {
            let text = body["text"]?.stringValue ?? ""
            let documents = try await documents(text, namespace: namespace)
            guard let document = documents.first, documents.count == 1, document.kind == "Workflow" else {
                throw ServiceError.invalid(
                    "the text must hold one Workflow; templates and cron workflows are stored by POST /definitions"
                )
            }
            state = try await context.operations.create(
                document.json, namespace: namespace, options: options, dryRun: isDry)
        }
        reader.request.note.target(state.name)
        return .json(.object(try await line(of: state)), status: 201)
    }

    /// A new run's line in lists; of a dry run what it would be.
    func line(of state: WorkflowState) async throws -> [String: JSONValue] {
        if let stored = try await context.store.workflowSummary(uid: state.uid) {
            return try await summaries.json(stored)
        }
        let summary = WorkflowSummary(
            uid: state.uid, namespace: state.definition.namespace, name: state.name,
            phase: state.phase?.rawValue ?? "", createdAt: state.definition.createdAt,
            labels: state.metadata.labels, annotations: state.metadata.annotations)
        let parameters = state.definition.spec.arguments.parameters.map { ($0.name, $0.valueOrDefault ?? "") }
        return RunSummaries.members(summary, RunNotes(), parameters, medianSeconds: nil)
    }
}
