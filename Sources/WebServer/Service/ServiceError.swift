// What goes wrong with a request to the service, in the shape that Argo's clients read: code, message, details.

import Controller
import Persistence
import Text
import WorkflowLanguage

/// A refusal with an HTTP status and gRPC's code for it.
struct ServiceError: Error, Sendable {
    var status: Int
    /// gRPC's number, as grpc-gateway gives it in the body.
    var code: Int
    var message: String
    var diagnostics: [Diagnostic] = []
    var headers: [(name: String, value: String)] = []

    init(_ status: Int, _ code: Int, _ message: String, diagnostics: [Diagnostic] = []) {
        self.status = status
        self.code = code
        self.message = message
        self.diagnostics = diagnostics
    }

    static func invalid(_ message: String, diagnostics: [Diagnostic] = []) -> ServiceError {
        ServiceError(400, 3, message, diagnostics: diagnostics)
    }
    static func unauthenticated(_ message: String) -> ServiceError { ServiceError(401, 16, message) }
    static func forbidden(_ message: String) -> ServiceError { ServiceError(403, 7, message) }
    static func notFound(_ message: String) -> ServiceError { ServiceError(404, 5, message) }
    static func methodNotAllowed(_ message: String) -> ServiceError { ServiceError(405, 12, message) }
    static func conflict(_ message: String) -> ServiceError { ServiceError(409, 6, message) }
    static func tooLarge(_ message: String) -> ServiceError { ServiceError(413, 3, message) }
    static func unsupportedMediaType(_ message: String) -> ServiceError { ServiceError(415, 3, message) }
    static func exhausted(_ message: String) -> ServiceError { ServiceError(429, 8, message) }
    static func unimplemented(_ message: String) -> ServiceError { ServiceError(501, 12, message) }
    static func unavailable(_ message: String) -> ServiceError { ServiceError(503, 14, message) }
    static let internalError = ServiceError(
        500, 13, "the server failed to answer this request; its log says why")

    /// What a route threw, as the client is told; nil for what is the server's own mistake.
    init?(_ error: any Error) {
        switch error {
        case let error as ServiceError: self = error
        case let error as APIError: self.init(error.status, error.status == 404 ? 5 : 3, error.message)
        case let error as OperationError:
            switch error.reason {
            case .invalid: self = .invalid(error.message, diagnostics: error.diagnostics)
            case .notFound: self = .notFound(error.message)
            case .conflict: self = .conflict(error.message)
            case .precondition: self.init(400, 9, error.message)
            case .exhausted: self = .exhausted(error.message)
            case .unavailable: self = .unavailable(error.message)
            }
        case let error as StoreError:
            switch error {
            case .notFound: self = .notFound(error.message)
            case .nameTaken, .conflict: self = .conflict(error.message)
            case .invalid: self = .invalid(error.message)
            case .expired: self.init(410, 11, error.message)
            case .full, .busy, .keyMissing: self = .unavailable(error.message)
            default: return nil
            }
        default: return nil
        }
    }

    /// The body of the answer.
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "code": .int(code), "message": .string(message), "details": .array([]),
        ]
        if !diagnostics.isEmpty { members["diagnostics"] = .array(diagnostics.map(\.json)) }
        return .object(members)
    }
}

extension Diagnostic {
    /// As `martlet lint -o json` has it.
    var json: JSONValue {
        .object([
            "file": .string(file), "line": .int(line), "column": .int(column), "path": .string(path),
            "severity": .string(severity.rawValue), "message": .string(message),
            "remedy": remedy.map(JSONValue.string) ?? .null,
        ])
    }
}
