// Argo Server's REST interface: the same paths, bodies, statuses and streams, so that Argo's clients find here what
// they know.

import Artifacts
import Controller
import Persistence
import Scheduling
import Text
import WorkflowLanguage

struct WorkflowRoutes: RouteGroup {
    let context: ServiceContext
    /// Frames of watches, made once for all watchers that want the same.
    let frames = FrameCache()
    /// What came of webhook events, for `stream/events`.
    let webhookEvents = RecentEvents()

    var routes: [ServiceRoute] {
        workflowRoutes + verbRoutes + streamRoutes + definitionRoutes + archiveRoutes + infoRoutes
            + syncRoutes
            + webhookRoutes + artifactRoutes
    }

    // MARK: Runs by name

    /// A run of a namespace: by name, by `@latest`, or by uid.
    func row(_ name: String, namespace: String) async throws -> WorkflowRow {
        let found: WorkflowRow?
        if name == "@latest" {
            found = try await context.store.latestWorkflow(namespace: namespace)
        } else if let named = try await context.store.workflow(namespace: namespace, name: name) {
            found = named
        } else {
            found = try await context.store.workflow(uid: name)
        }
        guard let found, found.namespace == namespace else {
            throw ServiceError.notFound(
                "workflows.argoproj.io \"\(name.shortened)\" not found in namespace \"\(namespace.shortened)\"; "
                    + "GET /api/v1/workflows/\(namespace.shortened) lists those there are")
        }
        return found
    }

    /// The run that a path names by `{namespace}` and `{name}`.
    func row(_ request: ServiceRequest) async throws -> WorkflowRow {
        let namespace = request["namespace"]
        guard !namespace.isEmpty else { throw ServiceError.invalid("the path names no namespace") }
        if let uid = request.query["uid"], !uid.isEmpty {
            guard let found = try await context.store.workflow(uid: uid), found.namespace == namespace else {
                throw ServiceError.notFound("workflows.argoproj.io with uid \"\(uid.shortened)\" not found")
            }
            return found
        }
        return try await row(request["name"], namespace: namespace)
    }

    /// The run that a path names by `{uid}`, if the principal has the role in its namespace.
    func row(uid: String, _ request: ServiceRequest, _ role: Role) async throws -> WorkflowRow {
        let missing = ServiceError.notFound("workflows.argoproj.io with uid \"\(uid.shortened)\" not found")
        guard let found = try await context.store.workflow(uid: uid) else { throw missing }
        // Whether there is such a run is nobody's business who may not see it.
        guard request.principal.may(.viewer, in: found.namespace) else { throw missing }
        try request.require(role, in: found.namespace)
        return found
    }

    // MARK: Documents

    func document(_ uid: String) async throws -> JSONValue {
        guard let run = try await context.store.loadRun(uid) else {
            throw ServiceError.notFound("workflows.argoproj.io with uid \"\(uid.shortened)\" not found")
        }
        return try WorkflowDocument.json(run)
    }

    /// A run in the detail that is asked for; nil if it is gone.
    func document(_ uid: String, _ detail: DocumentDetail) async throws -> JSONValue? {
        switch detail {
        case .whole: return try await context.store.loadRun(uid).map { try WorkflowDocument.json($0) }
        case .definition, .summary:
            guard let row = try await context.store.workflow(uid: uid) else { return nil }
            return detail == .summary ? WorkflowDocument.json(row.summary) : try WorkflowDocument.json(row)
        }
    }

    // MARK: Bodies

    /// The namespace that something is written to: the path's, which is what the caller was found to have a role
    /// in; where that is empty, the body's or the default one, after a look at the roles.
    func namespace(
        ofWrite request: ServiceRequest, body: JSONValue, object: JSONValue, _ role: Role = .editor
    ) throws -> String {
        let own = object["metadata"]?["namespace"]?.stringValue ?? ""
        let path = request["namespace"]
        guard path.isEmpty else {
            guard own.isEmpty || own == path else {
                throw ServiceError.invalid(
                    "the namespace of the provided object (\"\(own.shortened)\") does not match the namespace sent "
                        + "on the request (\"\(path.shortened)\")")
            }
            return path
        }
        let named = [own, body["namespace"]?.stringValue ?? "", context.defaultNamespace].first {
            !$0.isEmpty
        }
        let namespace = named ?? context.defaultNamespace
        try request.require(role, in: namespace)
        return namespace
    }

    /// The object that a body holds under a key; some clients send the object itself.
    static func object(_ key: String, of body: JSONValue) throws(ServiceError) -> JSONValue {
        if let object = body[key], object.objectValue != nil { return object }
        if body["spec"]?.objectValue != nil { return body }
        throw .invalid("the body has no \"\(key)\": send {\"\(key)\": {\"metadata\": ..., \"spec\": ...}}")
    }

    /// `NAME=VALUE` each.
    static func parameters(_ value: JSONValue?) throws(ServiceError) -> [(name: String, value: String)] {
        var pairs: [(name: String, value: String)] = []
        for element in value?.arrayValue ?? [] {
            guard let text = element.stringValue, let place = text.firstIndex(of: "="),
                place > text.startIndex
            else {
                throw .invalid("parameters: \(element.compactText.shortened) is no \"NAME=VALUE\"")
            }
            pairs.append((String(text[..<place]), String(text[text.index(after: place)...])))
        }
        return pairs
    }

    static func selector(_ text: String?) throws(ServiceError) -> NodeSelector? {
        guard let text, !text.isEmpty else { return nil }
        guard let selector = NodeSelector(text) else {
            throw .invalid(
                "nodeFieldSelector: \"\(text.shortened)\" is no list such as displayName=train,phase=Failed")
        }
        return selector
    }

    /// - Throws: `ServiceError` with all problems when a manifest has errors.
    static func check(_ diagnostics: [Diagnostic]) throws(ServiceError) {
        let errors = diagnostics.filter { $0.severity == .error }
        guard let first = errors.first else { return }
        let place = first.path.isEmpty ? "" : first.path + ": "
        let remedy = first.remedy.map { "; \($0)" } ?? ""
        let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
        throw .invalid(place + first.message + remedy + more, diagnostics: diagnostics)
    }

    /// Documents as the linter takes them, from JSON that may lack its kind.
    static func documents(_ object: JSONValue, kind: String) throws(ServiceError) -> [ManifestDocument] {
        var members = object.objectValue ?? [:]
        if let other = members["kind"]?.stringValue, !other.isEmpty, other != kind {
            throw .invalid("the object is of kind \(other.shortened); this path takes \(kind)")
        }
        members["kind"] = .string(kind)
        members["apiVersion"] = .string("argoproj.io/v1alpha1")
        members["status"] = nil
        let text = JSONValue.object(members).compactText
        let (documents, diagnostics) = ManifestReader.read(Array(text.utf8), file: "body")
        try check(diagnostics)
        return documents
    }
}
