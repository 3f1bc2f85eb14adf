// A route of the service as a value: what it answers to, who may use it, and the function that answers.

/// What someone may do. Each role may do what those before it may.
package enum Role: String, Sendable, Hashable, CaseIterable, Comparable {
    case viewer, editor, admin

    package static func < (left: Role, right: Role) -> Bool {
        guard let left = allCases.firstIndex(of: left), let right = allCases.firstIndex(of: right) else {
            return false
        }
        return left < right
    }
}

/// Who may use a route.
enum RouteAccess: Sendable, Hashable {
    /// Everyone, without a token: health, sign-in, the page's own files.
    case open
    /// Whoever has a valid token, whatever its roles; the answer holds only what they may see.
    case signedIn
    /// The role, in the namespace of the path's `{namespace}`. Where that is empty ("all namespaces"), being
    /// signed in is enough, and the answer holds only the namespaces in which the principal has the role.
    case namespaced(Role)
    /// The role in the run's namespace, which the route finds by the path's `{uid}` and checks itself with
    /// `ServiceRequest.require`.
    case run(Role)
    /// The role on everything: cluster templates, tokens, audit.
    case cluster(Role)
}

/// One method of one path.
struct ServiceRoute: Sendable {
    var method: String
    /// `/api/v1/workflows/{namespace}/{name}`; a last segment `{path...}` takes the rest.
    var pattern: String
    /// Unique, such as `WorkflowService_GetWorkflow`: the OpenAPI operationId, the metrics' label and the audit log's
    /// verb.
    var operation: String
    var access: RouteAccess
    /// Whether it changes something: written to the audit log, and JSON demanded of its body.
    var isWrite: Bool
    /// One sentence for the OpenAPI document; nil keeps the route out of it.
    var summary: String?
    /// The longest body that is read.
    var bodyLimitBytes: Int
    var answer: @Sendable (ServiceRequest) async throws -> HTTPReply

    init(
        _ method: String, _ pattern: String, _ operation: String, _ access: RouteAccess,
        isWrite: Bool? = nil, summary: String? = nil, bodyLimitBytes: Int = 4 << 20,
        answer: @escaping @Sendable (ServiceRequest) async throws -> HTTPReply
    ) {
        self.method = method
        self.pattern = pattern
        self.operation = operation
        self.access = access
        self.isWrite = isWrite ?? (method != "GET")
        self.summary = summary
        self.bodyLimitBytes = bodyLimitBytes
        self.answer = answer
    }
}

/// A part of the service: a list of routes around what they need.
protocol RouteGroup: Sendable {
    var routes: [ServiceRoute] { get }
}
