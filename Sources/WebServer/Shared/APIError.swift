// What goes wrong with a request, in the words and the shape that OpenAI's clients and vLLM's users know.
import Text

/// An error that a client is told: a status, and a JSON object with message, type, param and code.
struct APIError: Error, Sendable, Hashable {
    /// The HTTP status, 400 to 599; also the `code` in the body.
    var status: Int
    var type: String
    var message: String
    /// The path of the field that is wrong, such as `messages[2].role`.
    var parameter: String?
    /// Seconds after which another try makes sense; sent as Retry-After.
    var retryAfterSeconds: Int?

    private init(_ status: Int, _ type: String, _ message: String, _ parameter: String? = nil) {
        self.status = status
        self.type = type
        self.message = message
        self.parameter = parameter
    }

    static func badRequest(_ message: String, parameter: String? = nil) -> APIError {
        APIError(400, "BadRequestError", message, parameter)
    }

    static func malformed(_ request: MalformedRequest) -> APIError {
        APIError(request.status, "BadRequestError", request.message)
    }

    static let unauthorized = APIError(
        401, "AuthenticationError",
        "no valid API key was given; send the header `Authorization: Bearer KEY` with a key of this server")

    static func forbidden(_ message: String) -> APIError { APIError(403, "PermissionDeniedError", message) }

    static func notFound(_ message: String, parameter: String? = nil) -> APIError {
        APIError(404, "NotFoundError", message, parameter)
    }

    static func unknownModel(_ name: String) -> APIError {
        notFound(
            "The model `\(name.shortened)` does not exist. GET /v1/models lists what is served.",
            parameter: "model")
    }

    static func methodNotAllowed(_ method: String, path: String, allowed: String) -> APIError {
        APIError(
            405, "MethodNotAllowedError",
            "\(method.shortened) is not allowed on \(path.shortened); use \(allowed)")
    }

    static let requestTimeout = APIError(
        408, "RequestTimeoutError", "the request's body did not arrive in time; send it again")

    static func tooLarge(limitBytes: Int) -> APIError {
        APIError(
            413, "RequestEntityTooLargeError",
            "the request's body is larger than this server's limit of \(limitBytes) bytes; send less at once")
    }

    static let unsupportedMediaType = APIError(
        415, "UnsupportedMediaTypeError", "the body must be JSON; send `Content-Type: application/json`")

    static func tooManyRequests(_ message: String) -> APIError {
        var error = APIError(429, "RateLimitError", message)
        error.retryAfterSeconds = 1
        return error
    }

    static let internalError = APIError(
        500, "InternalServerError", "the server failed to answer this request; its log says why")

    static func unavailable(_ message: String) -> APIError {
        var error = APIError(503, "ServiceUnavailableError", message)
        error.retryAfterSeconds = 5
        return error
    }

    static func generationTimeout(seconds: Double) -> APIError {
        APIError(
            504, "TimeoutError",
            "the answer took longer than this server's limit of \(seconds) seconds; ask for fewer tokens"
        )
    }

    /// The body of the answer, and of the data line when a stream has begun.
    var json: OrderedJSON {
        .object([
            .init(
                "error",
                .object([
                    .init("message", .string(message)),
                    .init("type", .string(type)),
                    .init("param", parameter.map { .string($0) } ?? .null),
                    .init("code", .int(status)),
                ]))
        ])
    }
}

extension String {
    /// At most 100 characters: what clients send must not fill messages and logs.
    var shortened: String { count <= 100 ? self : String(prefix(100)) + "..." }
}

extension OrderedJSON.Member {
    /// Answers are built from many members; without labels they read like the JSON they become.
    init(_ key: String, _ value: OrderedJSON) { self.init(key: key, value: value) }
}
