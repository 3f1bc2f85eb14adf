// What goes wrong with a request to the hub, in the words of both protocols.
import Text

/// An error that a client is told: by Hugging Face's headers, or in ModelScope's envelope.
struct HubError: Error, Sendable, Hashable {
    var status: Int
    /// Hugging Face's `X-Error-Code`; clients choose the kind of their error by it.
    var code: String?
    var message: String
    /// Seconds after which another try makes sense; sent as Retry-After.
    var retryAfterSeconds: Int?

    init(_ status: Int, _ code: String?, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    static func repositoryNotFound(_ name: RepositoryName) -> HubError {
        HubError(
            404, "RepoNotFound",
            "Repository not found: this hub has no \(name.kind.word) \(name.id.shortened)")
    }

    static func revisionNotFound(_ revision: String, of name: RepositoryName) -> HubError {
        HubError(
            404, "RevisionNotFound",
            "Invalid rev id: \(name.id.shortened) has no revision \(revision.shortened) here")
    }

    static func entryNotFound(_ path: String, in name: RepositoryName) -> HubError {
        HubError(404, "EntryNotFound", "Entry not found: \(name.id.shortened) has no \(path.shortened)")
    }

    static func gated(_ name: String) -> HubError {
        HubError(403, "GatedRepo", "Access to \(name.shortened) is restricted: ask its authors for access")
    }

    /// Hugging Face's words for both cases; clients compare them.
    static func unauthorized(hasToken: Bool) -> HubError {
        HubError(
            401, nil,
            hasToken ? "Invalid credentials in Authorization header" : "Invalid username or password.")
    }

    static func badRequest(_ message: String) -> HubError { HubError(400, nil, message) }

    static func nothingAt(_ path: String) -> HubError {
        HubError(404, nil, "there is nothing at \(path.shortened); this is a hub of models and data sets")
    }

    static func methodNotAllowed(_ method: String) -> HubError {
        HubError(405, nil, "\(method.shortened) is not allowed: this hub is for reading")
    }

    static func unavailable(_ message: String) -> HubError {
        var error = HubError(503, nil, message)
        error.retryAfterSeconds = 1
        return error
    }

    static let internalError = HubError(500, nil, "the hub failed to answer; its log says why")

    private var headers: [(name: String, value: String)] {
        var headers = [("Content-Type", "application/json"), ("X-Error-Message", Self.headerText(message))]
        if let code { headers.append(("X-Error-Code", code)) }
        if let seconds = retryAfterSeconds {
            headers.append(("Retry-After", "\(seconds)"))
            if status == 429 { headers.append(("RateLimit", "\"api\";r=0;t=\(seconds)")) }
        }
        if status == 401 { headers.append(("WWW-Authenticate", "Bearer")) }
        return headers
    }

    /// In the protocol of the request.
    func reply(_ dialect: HubDialect, requestID: String) -> HTTPReply {
        let body: OrderedJSON
        switch dialect {
        case .huggingFace: body = .object([.init("error", .string(message))])
        case .modelScope:
            body = ModelScopeEnvelope.failure(status: status, message: message, requestID: requestID)
        }
        return HTTPReply(status: status, headers: headers, body: .bytes(Array(body.compactText.utf8)))
    }

    /// Names of files may hold anything, header values only visible ASCII.
    private static func headerText(_ text: String) -> String {
        String(
            decoding: text.utf8.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}

/// The two protocols that are spoken.
enum HubDialect: Sendable { case huggingFace, modelScope }

/// Every answer of ModelScope's is wrapped alike.
enum ModelScopeEnvelope {
    static func success(_ data: OrderedJSON, requestID: String) -> OrderedJSON {
        make(code: 200, isSuccess: true, message: "", data, requestID)
    }

    static func failure(status: Int, message: String, requestID: String) -> OrderedJSON {
        make(code: status, isSuccess: false, message: message, .null, requestID)
    }

    private static func make(
        code: Int, isSuccess: Bool, message: String, _ data: OrderedJSON, _ requestID: String
    ) -> OrderedJSON {
        .object([
            .init("Code", .int(code)), .init("Success", .bool(isSuccess)),
            .init("Message", .string(message)), .init("RequestId", .string(requestID)), .init("Data", data),
        ])
    }
}
