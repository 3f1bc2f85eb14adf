// Which path does what, and what every request passes before: host, origin, key, and the server's state.
import Inference
import Logging
import NIOPosix
import Synchronization
import Text

/// The routes of one server and what they share.
final class OpenAIRoutes: Sendable {
    let service: any InferenceService
    let settings: ServingSettings
    let surroundings: ServerSurroundings
    let logger: Logger
    let prompt: ChatPrompt
    let context: GenerationOptions.Context
    let metrics: ServingMetrics
    /// Requests that are being answered.
    let gate: RequestGate
    /// Generations that have no token yet.
    let queue: RequestGate
    private let keys: APIKeys
    private let origins: OriginPolicy
    private let isDraining = Mutex(false)
    /// Unknown fields are told once each.
    private let toldFields = Mutex<Set<String>>([])

    init(
        service: any InferenceService, settings: ServingSettings, surroundings: ServerSurroundings,
        logger: Logger
    ) throws {
        self.service = service
        self.settings = settings
        self.surroundings = surroundings
        self.logger = logger
        prompt = try ChatPrompt(
            tokenizer: service.tokenizer, override: settings.chatTemplate,
            trustsRequests: settings.trustsRequestTemplates)
        context = GenerationOptions.Context(
            tokenizer: service.tokenizer, defaults: settings.defaults, maxModelLength: service.maxModelLength)
        metrics = ServingMetrics(maxModelLength: service.maxModelLength)
        gate = RequestGate(limit: settings.maxConcurrentStreams)
        queue = RequestGate(limit: settings.maxQueue)
        keys = APIKeys(settings.apiKeys)
        origins = OriginPolicy(
            allowedOrigins: settings.allowedOrigins, host: settings.host, hasKeys: !keys.isEmpty)
    }

    /// From now on nothing new is begun.
    func drain() { isDraining.withLock { $0 = true } }

    var draining: Bool { isDraining.withLock { $0 } }

    // MARK: Every request

    /// Answers a request. Throws only when nobody is left to answer.
    func respond(to call: HTTPCall) async throws -> HTTPReply {
        let start = surroundings.now()
        let origin = call.headers["origin"]
        var reply: HTTPReply
        do {
            if call.method == "OPTIONS", let reply = preflight(call) { return reply }
            if let refusal = origins.refusal(origin: origin, host: call.headers["host"]) { throw refusal }
            reply = try await dispatch(call)
        } catch let error as APIError {
            reply = Self.reply(error)
        } catch is ClientGone {
            throw ClientGone()
        } catch let error where Task.isCancelled {
            throw error
        } catch {
            reply = Self.reply(translated(error, path: call.path))
        }
        reply.headers += origins.headers(origin: origin)
        logger.debug(
            "request answered",
            metadata: [
                "method": .string(call.method.shortened), "path": .string(call.path.shortened),
                "status": .stringConvertible(reply.status),
                "seconds": .stringConvertible((surroundings.now() - start).inSeconds),
            ])
        return reply
    }

    private func preflight(_ call: HTTPCall) -> HTTPReply? {
        let headers = origins.preflightHeaders(
            origin: call.headers["origin"], requestedHeaders: call.headers["access-control-request-headers"])
        return headers.map { HTTPReply(status: 204, headers: $0) }
    }

    private func dispatch(_ call: HTTPCall) async throws -> HTTPReply {
        let route = try OpenAIRoute.find(method: call.method, path: call.path)
        guard route.isOpen || keys.accept(authorization: call.headers["authorization"]) else {
            throw APIError.unauthorized
        }
        switch route {
        case .health, .ping:
            if draining { throw APIError.unavailable("the server is stopping; ask another one") }
            return HTTPReply()
        case .version: return Self.json(.object([.init("version", .string(settings.version))]))
        case .metrics: return await metricsReply()
        case .models: return await models()
        case .model(let name): return try await model(name)
        case .chat, .completions, .embeddings, .tokenize, .detokenize, .loadAdapter, .unloadAdapter:
            if draining {
                throw APIError.unavailable("the server is stopping; send the request to another one")
            }
            return try await call.connection.whileConnected { [self] in
                let body = try await body(of: call)
                switch route {
                case .chat: return try await chat(body, call)
                case .completions: return try await completions(body, call)
                case .embeddings: return try await embeddings(body)
                case .tokenize: return try await tokenize(body)
                case .detokenize: return try await detokenize(body)
                case .loadAdapter: return try await loadAdapter(body.json)
                default: return try await unloadAdapter(body.json)
                }
            }
        }
    }

    /// The moment for templates that print a date.
    var moment: Timestamp { Timestamp(seconds: surroundings.wallSeconds()) }

    // MARK: Bodies

    /// A request's body. Work on a long one is done on a thread of its own, because the tasks of all requests
    /// share few: a prompt of a megabyte takes a while to parse and to cut into tokens.
    struct Body: Sendable {
        fileprivate static let longBytes = 256 << 10

        var json: OrderedJSON
        var isLong = false

        /// Runs work whose time grows with the body.
        func prepare<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
            guard isLong else { return try work() }
            return try await NIOThreadPool.singleton.runIfActive(work)
        }
    }

    private func body(of call: HTTPCall) async throws -> Body {
        let type = call.headers["content-type"]?.prefix { $0 != ";" }.lowercased() ?? ""
        let bytes = try await call.readBody(settings.maxRequestBytes)
        guard type == "application/json" || type.hasSuffix("+json") else {
            throw APIError.unsupportedMediaType
        }
        var body = Body(json: .null, isLong: bytes.count > Body.longBytes)
        body.json = try await body.prepare {
            do {
                return try OrderedJSON(parsingUTF8: bytes)
            } catch {
                throw APIError.badRequest("the body is not JSON: \(error)")
            }
        }
        return body
    }

    /// Tells of fields that no route knows, once each, because a client may wait for their effect.
    func tell(unknownFields names: [String]) {
        let new = toldFields.withLock { told in
            // The set is limited, because clients choose the names.
            names.filter { told.count < 1_000 && told.insert($0).inserted }
        }
        if new.isEmpty { return }
        logger.warning(
            "unknown request fields ignored", metadata: ["fields": .string(new.joined(separator: " "))])
    }

    // MARK: Replies

    static func json(_ value: OrderedJSON, status: Int = 200) -> HTTPReply {
        HTTPReply(
            status: status, headers: [("Content-Type", "application/json")],
            body: .bytes(Array(value.compactText.utf8)))
    }

    static func text(_ text: String) -> HTTPReply {
        HTTPReply(
            headers: [("Content-Type", "text/plain; charset=utf-8")], body: .bytes(Array(text.utf8)))
    }

    static func reply(_ error: APIError) -> HTTPReply {
        var reply = json(error.json, status: error.status)
        if let seconds = error.retryAfterSeconds { reply.headers.append(("Retry-After", "\(seconds)")) }
        if error.status == 401 { reply.headers.append(("WWW-Authenticate", "Bearer")) }
        return reply
    }

    /// An error of the engine in the client's words. What is nobody's mistake but ours is logged.
    func translated(_ error: any Error, path: String) -> APIError {
        if let error = error as? APIError { return error }
        // Only the engine's own end cancels what nobody cancelled here.
        if error is CancellationError { return .unavailable("the engine stopped; start the server again") }
        if let error = EngineFailure.translate(error, maxModelLength: service.maxModelLength) {
            if error.status == 429 { metrics.update { $0.rejected += 1 } }
            return error
        }
        logger.error("request failed", metadata: ["path": .string(path.shortened), "cause": "\(error)"])
        return .internalError
    }
}
