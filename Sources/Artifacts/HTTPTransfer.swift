// Artifacts by HTTP: a GET into a file, a PUT of a file. Calls block for as long as the server takes.

import CCurl
import Glibc
import Text
import WorkflowLanguage

/// `http` or `artifactory` of an artifact.
package struct HTTPLocation: Sendable, Hashable {
    package var url: String
    package var headers: [String]
    package var user: SecretReference?
    package var password: SecretReference?

    init(_ fields: Fields) throws(ArtifactError) {
        url = fields.string("url") ?? ""
        headers = fields.list("headers").map { header in
            "\(Fields(header).text("name") ?? ""): \(Fields(header).text("value") ?? "")"
        }
        let authentication = fields.object("auth")
        for name in ["oauth2", "clientCert"] where authentication?.object(name)?.members.isEmpty == false {
            throw ArtifactError(
                .unsupported, path: url, problem: "http artifacts cannot use auth.\(name) yet",
                remedy: "use auth.basicAuth, or a header with a token")
        }
        let basic = authentication?.object("basicAuth")
        user = SecretReference(basic?.object("usernameSecret"))
        password = SecretReference(basic?.object("passwordSecret"))
    }

    init(artifactory fields: Fields) throws(ArtifactError) {
        url = fields.string("url") ?? ""
        headers = []
        user = SecretReference(fields.object("usernameSecret"))
        password = SecretReference(fields.object("passwordSecret"))
    }
}

/// One exchange with a server.
package struct HTTPExchange: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// A file, sent from its start.
        case file(descriptor: Int32, bytes: Int)
    }

    package struct Reply: Sendable {
        package var status: Int
        package var receivedBytes: Int
    }

    package var method = "GET"
    package var url: String
    /// `Name: value` each.
    package var headers: [String] = []
    package var user: String?
    package var password: String?
    package var body = Body.none
    package var followsRedirects = true
    package var acceptsAnyCertificate = false
    /// For the whole exchange; zero means no limit.
    package var timeout = Duration.zero
    /// After so long without a byte the exchange is given up.
    package var stallSeconds = 60
    /// A longer answer is an error; 0 means no limit.
    package var outputLimitBytes = 0

    package init(url: String) { self.url = url }

    /// Performs the exchange on the calling thread.
    /// - Parameters:
    ///   - output: gets the body of the answer, whatever its status.
    ///   - headerOutput: gets the header lines of the last answer; -1 for nowhere.
    /// - Throws: `transfer` when there was no complete answer.
    package func perform(output: Int32, headerOutput: Int32 = -1) throws(ArtifactError) -> Reply {
        var reply = martlet_http_reply()
        // The C side borrows these for the call and nothing longer.
        let texts = headers.map { strdup($0) }
        defer { for text in texts { free(text) } }
        let names = ([method, url, user ?? "", password ?? ""] as [String]).map { strdup($0) }
        defer { for name in names { free(name) } }
        var request = martlet_http_request()
        request.method = UnsafePointer(names[0])
        request.url = UnsafePointer(names[1])
        request.user = user == nil ? nil : UnsafePointer(names[2])
        request.password = password == nil ? nil : UnsafePointer(names[3])
        request.header_count = Int32(texts.count)
        request.output_fd = output
        request.header_fd = headerOutput
        request.output_limit = Int64(outputLimitBytes)
        request.timeout_ms = timeout.wholeNanoseconds / 1_000_000
        request.stall_seconds = Int64(stallSeconds)
        request.follow_redirects = followsRedirects ? 1 : 0
        request.insecure = acceptsAnyCertificate ? 1 : 0
        request.upload_fd = -1
        request.body_length = -1
        var bytes: [UInt8] = []
        switch body {
        case .none: break
        case .bytes(let content):
            bytes = content
            request.body_length = Int64(content.count)
        case .file(let descriptor, let size):
            request.upload_fd = descriptor
            request.upload_length = Int64(size)
        }
        let pointers = texts.map { UnsafePointer<CChar>($0) }
        pointers.withUnsafeBufferPointer { pointers in
            bytes.withUnsafeBufferPointer { bytes in
                request.headers = pointers.baseAddress
                request.body = bytes.baseAddress
                martlet_http_perform(&request, &reply)
            }
        }
        if let failure = failure(reply) { throw failure }
        return Reply(status: Int(reply.status), receivedBytes: Int(reply.received))
    }

    private func failure(_ reply: martlet_http_reply) -> ArtifactError? {
        if reply.write_error != 0 {
            return ArtifactError(errno: reply.write_error, path: url, while: "write what was received")
        }
        if reply.read_error != 0 {
            return ArtifactError(errno: reply.read_error, path: url, while: "read what is to be sent")
        }
        if reply.too_large != 0 {
            return ArtifactError(
                .transfer, path: url, problem: "the answer is larger than \(outputLimitBytes) bytes")
        }
        guard reply.error != 0 else { return nil }
        let text = withUnsafeBytes(of: reply.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return ArtifactError(
            .transfer, path: url, problem: text,
            remedy: "check the address, the network and its proxy settings")
    }
}

extension HTTPLocation {
    /// Fetches the bytes into a new file.
    /// - Throws: `notFound` for status 404 and 410.
    func download(to path: String, secrets: SecretLookup, limitBytes: Int = 0) throws(ArtifactError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        defer { close(file) }
        var exchange = try exchange(secrets)
        exchange.outputLimitBytes = limitBytes
        try check(try exchange.perform(output: file))
    }

    /// Sends a file by PUT.
    func upload(from path: String, secrets: SecretLookup) throws(ArtifactError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        defer { close(file) }
        var exchange = try exchange(secrets)
        exchange.method = "PUT"
        exchange.body = .file(descriptor: file, bytes: Disk.status(descriptor: file)?.sizeBytes ?? 0)
        let nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(nowhere) }
        try check(try exchange.perform(output: nowhere))
    }

    private func exchange(_ secrets: SecretLookup) throws(ArtifactError) -> HTTPExchange {
        var exchange = HTTPExchange(url: url)
        exchange.headers = headers
        exchange.user = try user?.value(secrets)
        exchange.password = try password?.value(secrets)
        return exchange
    }

    private func check(_ reply: HTTPExchange.Reply) throws(ArtifactError) {
        if (200..<300).contains(reply.status) { return }
        let kind: ArtifactError.Kind =
            switch reply.status {
            case 404, 410: .notFound
            case 401, 403: .permissionDenied
            default: .transfer
            }
        throw ArtifactError(kind, path: url, problem: "the server answered with status \(reply.status)")
    }
}
