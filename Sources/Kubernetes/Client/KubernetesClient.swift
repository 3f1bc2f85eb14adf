// Talks to a cluster's API: JSON in, JSON out, typed only where something is needed, so that fields that we
// do not know pass through unchanged.

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOSSL
package import Text

/// One cluster. Shut it down when it is no longer needed.
package final class KubernetesClient: Sendable {
    /// How a patch's body is meant.
    package enum PatchKind: String, Sendable {
        case merge = "application/merge-patch+json"
        case strategic = "application/strategic-merge-patch+json"
        case json = "application/json-patch+json"
        case apply = "application/apply-patch+yaml"
    }

    /// Objects are at most 1.5 MiB in etcd; a page of 500 pods may be some times that.
    private static let answerLimitBytes = 256 << 20
    private static let requestTimeout = TimeAmount.seconds(60)
    /// How often a request is sent again because the API asked to wait, or did not answer a question.
    private static let tries = 6
    private static let longestWait = Duration.seconds(30)
    /// Bookmarks come about once a minute.
    package static let watchSilence = Duration.seconds(120)

    package let access: ClusterAccess
    private let http: HTTPClient
    /// Of its own, since only a watch may not be silent for long.
    let watches: HTTPClient
    private let credentials: CredentialSource
    private let tls: TLSConfiguration
    private let mayAct: @Sendable () -> Bool
    let calls = CallCounter()

    /// - Parameters:
    ///   - watchSilence: so long a watch may say nothing before it is taken to be broken.
    ///   - mayAct: asked before each request that changes something; without leave it is not sent.
    package init(
        _ access: ClusterAccess, now: @escaping @Sendable () -> Timestamp,
        watchSilence: Duration = KubernetesClient.watchSilence,
        mayAct: @escaping @Sendable () -> Bool = { true }
    ) throws {
        self.access = access
        self.mayAct = mayAct
        credentials = CredentialSource(access, now: now)
        tls = try Self.tlsConfiguration(access)
        var settings = HTTPClient.Configuration(tlsConfiguration: tls)
        settings.timeout.connect = .seconds(10)
        // Watches and logs hold a connection each.
        settings.httpVersion = .http1Only
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 512
        settings.redirectConfiguration = .disallow
        // What cannot be reached, or is not whom it should be, is told at once; whoever asks decides about the next try.
        settings.connectionPool.retryConnectionEstablishment = false
        if let proxy = access.proxy { settings.proxy = try Self.proxy(proxy) }
        if let name = access.tlsServerName, let host = ServerAddress(access.server)?.host {
            settings.dnsOverride = [name: host]
        }
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        settings.timeout.read = .nanoseconds(watchSilence.wholeNanoseconds)
        watches = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    package func shutDown() async {
        try? await http.shutdown()
        try? await watches.shutdown()
    }

    private static func tlsConfiguration(_ access: ClusterAccess) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authority = access.authority {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority))
        }
        if access.skipsVerification { tls.certificateVerification = .none }
        return tls
    }

    private static func proxy(_ text: String) throws -> HTTPClient.Configuration.Proxy {
        guard let address = ServerAddress(text) else {
            throw ClusterAccessError("proxy-url \"\(text)\" is not like http://proxy:3128")
        }
        guard address.scheme != "https" else {
            // Spoken to in the clear it would only say that it does not understand.
            throw ClusterAccessError(
                "proxy-url \"\(text)\": proxies that want TLS themselves are not supported; use one of http:// or "
                    + "socks5://")
        }
        if text.hasPrefix("socks5://") { return .socksServer(host: address.host, port: address.port ?? 1080) }
        guard let login = address.login else { return .server(host: address.host, port: address.port ?? 80) }
        let (user, password) = login
        return .server(
            host: address.host, port: address.port ?? 80,
            authorization: .basic(username: user, password: password))
    }

    // MARK: Verbs

    package func get(_ path: String, _ query: [(String, String)] = []) async throws -> JSONValue {
        try await answer("GET", path, query, mayRepeat: true)
    }

    package func create(_ path: String, _ object: JSONValue) async throws -> JSONValue {
        try await answer("POST", path, [("fieldManager", "martlet")], body: object)
    }

    package func replace(_ path: String, _ object: JSONValue) async throws -> JSONValue {
        try await answer("PUT", path, [("fieldManager", "martlet")], body: object)
    }

    package func patch(_ path: String, _ kind: PatchKind, _ patch: JSONValue) async throws -> JSONValue {
        try await answer("PATCH", path, [("fieldManager", "martlet")], body: patch, type: kind.rawValue)
    }

    /// - Parameter uid: nothing else of the same name is deleted.
    package func delete(
        _ path: String, graceSeconds: Int? = nil, uid: String? = nil, propagation: String = "Background"
    ) async throws {
        var options: [String: JSONValue] = [
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": .string(propagation),
        ]
        options["gracePeriodSeconds"] = graceSeconds.map(JSONValue.int)
        if let uid { options["preconditions"] = ["uid": .string(uid)] }
        _ = try await answer("DELETE", path, [], body: .object(options), mayRepeat: true)
    }

    private func answer(
        _ method: String, _ path: String, _ query: [(String, String)], body: JSONValue? = nil,
        type: String = "application/json", mayRepeat: Bool = false
    ) async throws -> JSONValue {
        let bytes = try await bytes(method, path, query, body: body, type: type, mayRepeat: mayRepeat)
        if bytes.isEmpty { return .null }
        do {
            return try JSONValue(parsingUTF8: bytes)
        } catch {
            throw KubernetesError(status: 0, message: "the answer to \(method) \(path) is no JSON: \(error)")
        }
    }

    /// Sends a request, and again where that can do no harm: after 429, and questions after any passing
    /// failure.
    func bytes(
        _ method: String, _ path: String, _ query: [(String, String)], body: JSONValue? = nil,
        type: String = "application/json", mayRepeat: Bool
    ) async throws -> [UInt8] {
        var wait = Duration.milliseconds(200)
        var attempt = 1
        while true {
            do {
                let response = try await send(
                    method, path, query, body: body, type: type, deadline: .now() + Self.requestTimeout)
                return Array(
                    buffer: try await Self.unavailable {
                        try await response.body.collect(upTo: Self.answerLimitBytes)
                    })
            } catch let error as KubernetesError {
                let repeats = error.status == 429 || (mayRepeat && error.isPassing && !error.isExpired)
                guard repeats, attempt < Self.tries else { throw error }
                try await Task.sleep(for: min(error.retryAfter ?? wait, Self.longestWait))
                wait = min(wait * 2, Self.longestWait)
                attempt += 1
            }
        }
    }

    /// The answer's head; its body is still to come. After 401 the credentials are asked for anew, once.
    func send(
        _ method: String, _ path: String, _ query: [(String, String)], body: JSONValue? = nil,
        type: String = "application/json", deadline: NIODeadline, by client: HTTPClient? = nil
    ) async throws -> HTTPClientResponse {
        let client = client ?? http
        let first = try await exchange(
            method, path, query, body: body, type: type, deadline: deadline, by: client)
        guard first.status.code == 401 else { return try await Self.checked(first) }
        credentials.refuse()
        return try await Self.checked(
            try await exchange(method, path, query, body: body, type: type, deadline: deadline, by: client))
    }

    private func exchange(
        _ method: String, _ path: String, _ query: [(String, String)], body: JSONValue?, type: String,
        deadline: NIODeadline, by client: HTTPClient
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: url(path, query))
        request.method = HTTPMethod(rawValue: method)
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "martlet")
        let credential = try await credentials.current()
        guard method == "GET" || mayAct() else {
            throw KubernetesError(
                status: 0, message: "another server may have taken over, so nothing is changed")
        }
        if let authorization = credential.authorization {
            request.headers.add(name: "Authorization", value: authorization)
        }
        if let certificate = credential.certificate {
            request.tlsConfiguration = try Self.with(certificate, in: tls)
        }
        if let body {
            request.headers.add(name: "Content-Type", value: type)
            request.body = .bytes(ByteBuffer(string: body.compactText))
        }
        calls.note(method, path)
        let prepared = request
        return try await Self.unavailable { try await client.execute(prepared, deadline: deadline) }
    }

    /// What the network throws, as one kind of error; being cancelled stays what it is.
    static func unavailable<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as CancellationError {
            throw error
        } catch {
            if Task.isCancelled { throw CancellationError() }
            let isSilence = error as? HTTPClientError == .readTimeout
            throw KubernetesError(
                status: 0, reason: isSilence ? KubernetesError.silence : "", message: "\(error)")
        }
    }

    private static func checked(_ response: HTTPClientResponse) async throws -> HTTPClientResponse {
        let status = Int(response.status.code)
        if (200..<300).contains(status) { return response }
        let body = (try? await response.body.collect(upTo: 1 << 20)).map { Array(buffer: $0) } ?? []
        let seconds = response.headers.first(name: "Retry-After").flatMap { Int($0) }
        throw KubernetesError(status: status, body: body, retryAfter: seconds.map { .seconds($0) })
    }

    private static func with(
        _ certificate: ClusterAccess.Certificate, in tls: TLSConfiguration
    ) throws -> TLSConfiguration {
        var tls = tls
        tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate.chain).map { .certificate($0) }
        tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: certificate.key, format: .pem))
        return tls
    }

    private func url(_ path: String, _ query: [(String, String)]) -> String {
        var server = access.server
        while server.hasSuffix("/") { server.removeLast() }
        if let name = access.tlsServerName, let address = ServerAddress(server) {
            server = address.replacingHost(with: name)
        }
        guard !query.isEmpty else { return server + path }
        let words = query.map { "\(URLText.encoded($0.0))=\(URLText.encoded($0.1))" }
        return "\(server)\(path)?\(words.joined(separator: "&"))"
    }
}
