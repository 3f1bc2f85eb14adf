// What the API answers when it does not do what it is asked.

import Text

/// An answer other than success, or none at all.
package struct KubernetesError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The HTTP status; 0 when there was no answer.
    package var status: Int
    /// The machine's word: `AlreadyExists`, `NotFound`, `Conflict`, `Expired`, `Forbidden`, `Invalid`.
    package var reason: String
    package var message: String
    /// How long the API asks to wait.
    package var retryAfter: Duration?

    package init(status: Int, reason: String = "", message: String, retryAfter: Duration? = nil) {
        self.status = status
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
    }

    /// From a `Status` object, or whatever else came.
    init(status: Int, body: [UInt8], retryAfter: Duration?) {
        let object = try? JSONValue(parsingUTF8: body)
        let seconds = object?["details"]?["retryAfterSeconds"]?.intValue
        self.init(
            status: status, reason: object?["reason"]?.stringValue ?? "",
            message: object?["message"]?.stringValue ?? String(decoding: body.prefix(500), as: UTF8.self),
            retryAfter: retryAfter ?? seconds.map { .seconds($0) })
    }

    package var description: String {
        if status == 0 { return "the Kubernetes API cannot be reached: \(message)" }
        return "the Kubernetes API answered \(status)\(reason.isEmpty ? "" : " \(reason)"): \(message)"
    }

    /// The machine's word for a watch of which nothing was heard for too long.
    static let silence = "Silence"

    package var isNotFound: Bool { status == 404 }
    package var isAlreadyThere: Bool { status == 409 && (reason == "AlreadyExists" || reason.isEmpty) }
    package var isConflict: Bool { status == 409 && !isAlreadyThere }
    /// What was known is too old: everything must be listed again.
    package var isExpired: Bool { status == 410 || reason == "Expired" || reason == "Gone" }

    /// Whether a create may do better later. Beside what passes for all requests that is a conflict: many creates
    /// at a time lose the race for the namespace's ResourceQuota.
    package var mayPassForCreate: Bool { isPassing || isConflict }

    /// Whether the same request may do better later.
    package var isPassing: Bool {
        status == 0 || status == 429 || status >= 500 || isExpired
            || (status == 403 && message.contains("exceeded quota"))
    }
}
