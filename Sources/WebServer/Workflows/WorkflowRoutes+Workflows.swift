// Runs: listed, shown, created, submitted, checked and deleted.

import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

extension WorkflowRoutes {
    /// Where pages end that nobody asked to be so long: so many runs, or so many bytes of them.
    private static let pageRuns = 1_000
    private static let pageBytes = 32 << 20
    private static let stepRuns = 50
    /// How often the database is asked again when runs of its answer are left out.
    private static let lookLimit = 100

    var workflowRoutes: [ServiceRoute] {
        [
            ServiceRoute(
                "GET", "/api/v1/workflows/{namespace}", "WorkflowService_ListWorkflows", .namespaced(.viewer),
                answer: listWorkflows),
            ServiceRoute(
                "POST", "/api/v1/workflows/{namespace}", "WorkflowService_CreateWorkflow",
                .namespaced(.editor),
                answer: createWorkflow),
            ServiceRoute(
                "GET", "/api/v1/workflows/{namespace}/{name}", "WorkflowService_GetWorkflow",
                .namespaced(.viewer),
                answer: getWorkflow),
            ServiceRoute(
                "DELETE", "/api/v1/workflows/{namespace}/{name}", "WorkflowService_DeleteWorkflow",
                .namespaced(.editor), answer: deleteWorkflow),
            ServiceRoute(
                "POST", "/api/v1/workflows/{namespace}/lint", "WorkflowService_LintWorkflow",
                .namespaced(.viewer),
                isWrite: false, answer: lintWorkflow),
            ServiceRoute(
                "POST", "/api/v1/workflows/{namespace}/submit", "WorkflowService_SubmitWorkflow",
                .namespaced(.editor), answer: submitWorkflow),
        ]
    }

    // MARK: Lists

    private func listWorkflows(_ request: ServiceRequest) async throws -> HTTPReply {
        let selection = try RunSelection(request, namespace: request["namespace"])
        return .json(text: try await listText(request, selection))
    }

    /// A list's answer as text, which is made run by run: pages may be long, and their values need not be in
    /// memory together with it.
    func listText(_ request: ServiceRequest, _ selection: RunSelection) async throws -> String {
        let mask = FieldMask(request.query["fields"])
        let detail = DocumentDetail(mask, below: ["items"])
        let options = try PageOptions(request.query)
        let revision = try await context.store.latestRevision()
        let wanted = options.limit ?? Self.pageRuns
        var items: [UInt8] = []
        var count = 0
        var next = try options.after.map(Self.cursor)
        repeat {
            // Whole runs are read a few at a time, so that the page can end where it has become long.
            let step = detail == .summary ? wanted - count : min(wanted - count, Self.stepRuns)
            let page = try await summaries(selection, limit: step, after: next)
            for summary in page.workflows {
                let document =
                    detail == .summary
                    ? WorkflowDocument.json(summary) : try await self.document(summary.uid, detail)
                // Deleted since: it would not be in a later list either.
                guard let document else { continue }
                if !items.isEmpty { items.append(UInt8(ascii: ",")) }
                mask.cleanItem(document).appendCompact(to: &items)
            }
            count += page.workflows.count
            next = page.next
        } while next != nil && count < wanted && items.count < Self.pageBytes && detail != .summary
        var metadata: [String: JSONValue] = ["resourceVersion": .string("\(revision)")]
        if let next { metadata["continue"] = .string(next.text) }
        let head: JSONValue = mask.clean(.object(["metadata": .object(metadata)]))
        var members: [String] = []
        if mask.wants(["items"]) {
            members.append("\"items\":[" + String(decoding: items, as: UTF8.self) + "]")
        }
        if let metadata = head["metadata"] { members.append("\"metadata\":" + metadata.compactText) }
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func cursor(_ text: String) throws(ServiceError) -> WorkflowCursor {
        guard let cursor = WorkflowCursor(text: text) else {
            throw .invalid("listOptions.continue is none that this server gave; begin again without it")
        }
        return cursor
    }

    /// A page of runs that the selection covers, newest first.
    func summaries(_ selection: RunSelection, limit: Int, after: WorkflowCursor?) async throws -> RunPage {
        if selection.isEmpty { return RunPage(workflows: []) }
        // One run by its name needs no list.
        if let namespace = selection.namespace, let name = selection.exactName {
            let found = try await context.store.workflow(namespace: namespace, name: name)?.summary
            return RunPage(workflows: [found].compactMap { $0 }.filter(selection.covers))
        }
        var query = selection.query
        query.after = after
        var kept: [WorkflowSummary] = []
        for _ in 0..<Self.lookLimit {
            query.limit = min(limit - kept.count, WorkflowQuery.pageLimit)
            let page = try await self.page(query, of: selection.visible)
            kept += page.workflows.filter(selection.covers)
            query.after = page.next
            if page.next == nil || kept.count >= limit { break }
        }
        return RunPage(workflows: kept, next: query.after)
    }

    /// A page of all runs that the principal may see at all.
    private func page(_ query: WorkflowQuery, of visible: Set<String>?) async throws -> WorkflowPage {
        guard query.namespace == nil, let visible, visible.count <= WorkflowQuery.namespaceLimit else {
            return try await context.store.workflows(query)
        }
        return try await context.store.workflows(query, of: visible)
    }

    // MARK: One run

    private func getWorkflow(_ request: ServiceRequest) async throws -> HTTPReply {
        let mask = FieldMask(request.query["fields"])
        let row = try await row(request)
        guard let document = try await document(row.uid, max(DocumentDetail(mask), .definition)) else {
            throw ServiceError.notFound(
                "workflows.argoproj.io \"\(row.name)\" not found: it was deleted just now")
        }
        return .json(mask.clean(document))
    }

    private func deleteWorkflow(_ request: ServiceRequest) async throws -> HTTPReply {
        let row = try await row(request)
        // As in Argo, deleting ends what runs; only who says force=false wants to be refused.
        let isGentle = request.query["force"]?.lowercased() == "false"
        try await context.operations.delete(row.uid, force: !isGentle)
        return .json([:])
    }

    // MARK: New runs

    private func createWorkflow(_ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        let manifest = try Self.object("workflow", of: body)
        let namespace = try namespace(ofWrite: request, body: body, object: manifest)
        var options = SubmissionOptions()
        options.creator = Self.creator(request)
        let dryRun = Self.isDryRun(body)
        let state = try await context.operations.create(
            Self.cleaned(manifest), namespace: namespace, options: options, dryRun: dryRun)
        return try await answer(state, dryRun: dryRun)
    }

    /// A new run as its maker gets it.
    func answer(_ state: WorkflowState, dryRun: Bool) async throws -> HTTPReply {
        if dryRun { return .json(state.documentJSON) }
        return .json(try await document(state.uid))
    }

    private static func isDryRun(_ body: JSONValue) -> Bool {
        if body["serverDryRun"]?.boolValue == true { return true }
        return !(body["createOptions"]?["dryRun"]?.arrayValue ?? []).isEmpty
    }

    /// Who is noted as a run's creator; nobody where nobody is asked for a name.
    static func creator(_ request: ServiceRequest) -> String? {
        request.principal.proof == .none ? nil : request.principal.name
    }

    /// An object without what only a server writes.
    static func cleaned(_ object: JSONValue) -> JSONValue {
        guard var members = object.objectValue else { return object }
        members["status"] = nil
        if var metadata = members["metadata"]?.objectValue {
            for key in [
                "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
                "deletionTimestamp",
            ] {
                metadata[key] = nil
            }
            if var labels = metadata["labels"]?.objectValue {
                labels[RunSelection.phaseLabel] = nil
                labels[RunSelection.completedLabel] = nil
                metadata["labels"] = .object(labels)
            }
            members["metadata"] = .object(metadata)
        }
        return .object(members)
    }

    private func lintWorkflow(_ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        let manifest = try Self.object("workflow", of: body)
        let namespace = try namespace(ofWrite: request, body: body, object: manifest, .viewer)
        return try await linted(manifest, kind: "Workflow", namespace: namespace)
    }

    private func submitWorkflow(_ request: ServiceRequest) async throws -> HTTPReply {
        let body = try await request.json()
        let namespace = try namespace(ofWrite: request, body: body, object: [:])
        let word = body["resourceKind"]?.stringValue ?? ""
        guard let kind = StoredSource.kind(named: word) else {
            throw ServiceError.invalid(
                "resourceKind is \"\(word.shortened)\"; it is one of WorkflowTemplate, "
                    + "ClusterWorkflowTemplate, CronWorkflow"
            )
        }
        guard let name = body["resourceName"]?.stringValue, !name.isEmpty else {
            throw ServiceError.invalid("resourceName is missing: which \(kind.rawValue) shall be submitted?")
        }
        let given = body["submitOptions"] ?? [:]
        var options = try Self.options(given)
        options.creator = Self.creator(request)
        let dryRun = given["dryRun"]?.boolValue == true || given["serverDryRun"]?.boolValue == true
        let state = try await context.operations.submit(
            kind, name: name, namespace: namespace, options: options, dryRun: dryRun)
        return try await answer(state, dryRun: dryRun)
    }

    /// Argo's SubmitOpts.
    static func options(_ given: JSONValue) throws(ServiceError) -> SubmissionOptions {
        func text(_ key: String) -> String? { given[key]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } }
        var options = SubmissionOptions()
        options.name = text("name")
        options.generateName = text("generateName")
        options.entrypoint = text("entryPoint")
        options.serviceAccountName = text("serviceAccount")
        options.priority = given["priority"]?.intValue
        options.parameters = try parameters(given["parameters"])
        options.labels = try pairs(text("labels") ?? "", "labels")
        options.annotations = try pairs(text("annotations") ?? "", "annotations")
        return options
    }

    /// `a=b,c=d`.
    private static func pairs(_ text: String, _ field: String) throws(ServiceError) -> [String: String] {
        var pairs: [String: String] = [:]
        for part in text.split(separator: ",") {
            guard let place = part.firstIndex(of: "="), place > part.startIndex else {
                throw .invalid("submitOptions.\(field): \"\(String(part).shortened)\" is no NAME=VALUE")
            }
            pairs[String(part[..<place])] = String(part[part.index(after: place)...])
        }
        return pairs
    }
}

/// A page of runs, newest first.
struct RunPage: Sendable {
    var workflows: [WorkflowSummary]
    /// Where the next page begins; nil after the last.
    var next: WorkflowCursor?
}

/// Which page of a list is asked for.
struct PageOptions {
    /// Nil for as many as the server gives.
    var limit: Int?
    var after: String?

    init(_ query: URLQuery) throws(ServiceError) {
        if let text = query["listOptions.limit"], !text.isEmpty {
            guard let number = Int(text), number >= 0 else {
                throw .invalid(
                    "listOptions.limit is \"\(text.shortened)\"; it is a number, 0 for as many as there are")
            }
            limit = number == 0 ? nil : min(number, WorkflowQuery.pageLimit)
        }
        after = query["listOptions.continue"].flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension RunSelection {
    /// The name, if only a run of that name is meant.
    var exactName: String? { names.first { $0.filter == .exact }?.text }
}

extension FieldMask {
    /// What is wanted of one element of `items`.
    func cleanItem(_ document: JSONValue) -> JSONValue {
        if isAll { return document }
        return clean(.object(["items": document]))["items"] ?? [:]
    }
}
