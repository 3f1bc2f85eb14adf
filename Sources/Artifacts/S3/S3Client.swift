// Requests to one bucket: signed, repeated while that may help, and their errors in words.

import Glibc
package import Text

/// One request and its answer, as whatever moves bytes sees them.
package struct S3Exchange: Sendable {
    package var method: String
    package var url: String
    /// `Name: value` each.
    package var headers: [String]
    package var body: [UInt8]
    /// A longer answer is an error.
    package var outputLimitBytes: Int
}

package struct S3Answer: Sendable {
    package var status: Int
    package var headers: ReplyHeaders
    package var body: [UInt8]

    package init(status: Int, headers: ReplyHeaders, body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// A bucket to read and write. Calls block; several threads may call at once.
package final class S3Client: Sendable {
    package let bucket: S3Bucket
    let credentials: S3Credentials?
    private let transport: @Sendable (S3Exchange) throws -> S3Answer
    let clock: @Sendable () -> Timestamp
    private let pause: @Sendable (Duration) -> Void
    /// Of one request, the first included.
    private static let attemptLimit = 6
    static let answerLimitBytes = 64 << 20

    /// - Parameters:
    ///   - credentials: nil sends unsigned requests, as a public bucket takes them.
    ///   - transport: performs an exchange; throws when there was no complete answer.
    ///   - pause: waits between attempts.
    package init(
        _ bucket: S3Bucket, credentials: S3Credentials?,
        transport: @escaping @Sendable (S3Exchange) throws -> S3Answer,
        clock: @escaping @Sendable () -> Timestamp = S3Client.machineClock,
        pause: @escaping @Sendable (Duration) -> Void = S3Client.sleep
    ) {
        self.bucket = bucket
        self.credentials = credentials
        self.transport = transport
        self.clock = clock
        self.pause = pause
    }

    package static func machineClock() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package static func sleep(_ duration: Duration) {
        usleep(UInt32(clamping: duration.wholeNanoseconds / 1000))
    }

    /// What is asked of the bucket.
    struct Request {
        var method: String
        /// Nil for the bucket itself.
        var key: String?
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body: [UInt8] = []
        /// Statuses that are answers to the caller, not failures.
        var accepts: Set<Int> = [200, 204, 206]
    }

    /// Sends a request until it is answered for good.
    /// - Throws: `ArtifactError`: `notFound`, `permissionDenied`, `transfer` and so on.
    func send(_ request: Request) throws(ArtifactError) -> S3Answer {
        let name = bucket.display(request.key ?? "")
        if let key = request.key { _ = try bucket.checked(key) }
        var delay = Duration.milliseconds(200)
        var attempt = 1
        while true {
            let failure: ArtifactError
            do {
                let answer = try transport(exchange(request))
                if request.accepts.contains(answer.status) { return answer }
                let problem = Self.failure(answer, path: name)
                guard Self.isTemporary(answer, problem.code) else { throw problem.error }
                failure = problem.error
            } catch let error as ArtifactError where error.kind != .transfer || attempt == Self.attemptLimit {
                throw error
            } catch let error as ArtifactError {
                failure = error
            } catch {
                failure = ArtifactError(.transfer, path: name, problem: "\(error)")
            }
            guard attempt < Self.attemptLimit else { throw failure }
            pause(delay)
            delay = min(delay * 2, .seconds(10))
            attempt += 1
        }
    }

    private func exchange(_ request: Request) -> S3Exchange {
        var request = request
        // Without a type of ours, the transport would call every body a form.
        if !request.body.isEmpty, !request.headers.contains(where: { $0.name == "content-type" }) {
            request.headers.append((name: "content-type", value: "application/octet-stream"))
        }
        let path = bucket.path(request.key)
        let query = AWSSignature.canonicalQuery(request.query)
        return S3Exchange(
            method: request.method, url: bucket.origin + path + (query.isEmpty ? "" : "?" + query),
            headers: headers(request, path: path), body: request.body,
            outputLimitBytes: Self.answerLimitBytes)
    }

    private func headers(_ request: Request, path: String) -> [String] {
        guard let credentials else { return request.headers.map { "\($0.name): \($0.value)" } }
        let hash = request.body.isEmpty ? AWSSignature.emptyHash : ContentHash.of(request.body)
        return AWSSignature(credentials: credentials, region: bucket.region).headers(
            .init(
                method: request.method, host: bucket.host, path: path, query: request.query,
                headers: request.headers, payloadHash: hash), at: clock())
    }

    /// The address of a key and the headers that a GET of it needs now; what a downloader signs each range with.
    package func signedGet(_ key: String) throws(ArtifactError) -> (
        url: String, sign: @Sendable (_ method: String, _ range: String?) -> [String]
    ) {
        let key = try bucket.checked(key)
        let sign: @Sendable (String, String?) -> [String] = { [self] method, range in
            var request = Request(method: method, key: key)
            if let range { request.headers = [(name: "range", value: range)] }
            // The range is the downloader's own header, which it sends once.
            return headers(request, path: bucket.path(key)).filter { !$0.hasPrefix("range:") }
        }
        return (bucket.origin + bucket.path(key), sign)
    }

    private static func isTemporary(_ answer: S3Answer, _ code: String?) -> Bool {
        let codes = ["RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling"]
        return answer.status == 429 || answer.status == 408 || (answer.status >= 500 && answer.status != 501)
            || code.map { codes.contains($0) } == true
    }

    /// What an error answer means.
    static func failure(_ answer: S3Answer, path: String) -> (error: ArtifactError, code: String?) {
        let document = XMLElement(parsing: answer.body)
        let code = document?.value("Code")
        let message = document?.value("Message") ?? ""
        var problem = "the server answered with status \(answer.status)"
        if let code { problem += " \(code)" }
        if !message.isEmpty { problem += ": \(message)" }
        func error(_ kind: ArtifactError.Kind, _ remedy: String = "") -> ArtifactError {
            ArtifactError(kind, path: path, problem: problem, remedy: remedy)
        }
        switch (answer.status, code) {
        case (_, "NoSuchBucket"):
            return (error(.notFound, "create the bucket, or correct its name"), code)
        case (404, _), (410, _): return (error(.notFound), code)
        case (_, "RequestTimeTooSkewed"):
            return (error(.permissionDenied, "set this machine's clock"), code)
        case (_, "SignatureDoesNotMatch"), (_, "InvalidAccessKeyId"):
            return (error(.permissionDenied, "check the access key and the secret key"), code)
        case (301, _), (307, _), (_, "PermanentRedirect"), (_, "AuthorizationHeaderMalformed"):
            let region = answer.headers["x-amz-bucket-region"] ?? document?.value("Region")
            let remedy = region.map { "set region: \($0)" } ?? "set the bucket's own endpoint and region"
            return (error(.permissionDenied, remedy), code)
        case (401, _), (403, _):
            return (error(.permissionDenied, "check the keys and what they may do with the bucket"), code)
        default: return (error(.transfer), code)
        }
    }
}
