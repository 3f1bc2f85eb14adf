// A request as a route of the service sees it: path parameters, query, who asks, and the body when wanted.

import Synchronization
import Text

struct ServiceRequest: Sendable {
    var call: HTTPCall
    /// Values of the pattern's names, decoded.
    var parameters: [String: String]
    var query: URLQuery
    var principal: Principal
    var id: String
    var bodyLimitBytes: Int
    /// What the audit log shall say of it.
    var note = RequestNote()

    /// The path's value of a name that the route's pattern has.
    subscript(name: String) -> String { parameters[name] ?? "" }

    /// - Throws: `ServiceError` 403 if the principal lacks the role there; 404 if it may not even see the namespace.
    func require(_ role: Role, in namespace: String) throws(ServiceError) {
        note.checked(namespace)
        try Self.require(role, of: principal, in: namespace)
    }

    static func require(
        _ role: Role, of principal: Principal, in namespace: String
    ) throws(ServiceError) {
        if principal.may(role, in: namespace) { return }
        guard principal.may(.viewer, in: namespace) else {
            throw .notFound("there is no namespace \"\(namespace.shortened)\" that this token may see")
        }
        throw .forbidden(
            "this needs the role \(role.rawValue) in namespace \"\(namespace.shortened)\"; "
                + "\(principal.name) is only \(principal.role(in: namespace)?.rawValue ?? "nothing") there")
    }

    /// The body as JSON; an empty body is an empty object.
    func json() async throws -> JSONValue {
        let bytes = try await call.readBody(bodyLimitBytes)
        if bytes.isEmpty { return .object([:]) }
        do {
            return try JSONValue(parsingUTF8: bytes)
        } catch {
            throw ServiceError.invalid("the body is no JSON: \(error)")
        }
    }
}

/// What is learned of a request while it is answered: a run's namespace, the name of what was made.
final class RequestNote: Sendable {
    private struct State {
        var namespace: String?
        var target: String?
        var isChecked = false
    }

    private let state = Mutex(State())

    /// Names what a write was about, where the path does not: for example the run that was created.
    func target(_ name: String) { state.withLock { $0.target = String(name.prefix(500)) } }

    /// The rights in a namespace were looked at.
    fileprivate func checked(_ namespace: String) {
        state.withLock { state in
            state.namespace = state.namespace ?? namespace
            state.isChecked = true
        }
    }

    var namespace: String? { state.withLock { $0.namespace } }
    var target: String? { state.withLock { $0.target } }
    /// Whether the route has asked `ServiceRequest.require`.
    var isChecked: Bool { state.withLock { $0.isChecked } }
}

extension HTTPReply {
    /// A JSON answer.
    static func json(
        _ value: JSONValue, status: Int = 200, headers: [(name: String, value: String)] = []
    ) -> HTTPReply {
        json(text: value.compactText, status: status, headers: headers)
    }

    /// A JSON answer that is text already.
    static func json(
        text: String, status: Int = 200, headers: [(name: String, value: String)] = []
    ) -> HTTPReply {
        HTTPReply(
            status: status, headers: [("Content-Type", "application/json")] + headers,
            body: .bytes(Array(text.utf8)))
    }
}
