// A bucket in memory that keeps S3's rules, and fails when it is told to.

import Synchronization
import Text

@testable import Artifacts

/// Answers the exchanges of an `S3Client`. Unsigned requests are refused.
final class FakeBucket: Sendable {
    struct State {
        var objects: [String: (body: [UInt8], headers: [String])] = [:]
        var uploads: [String: (key: String, parts: [Int: [UInt8]], headers: [String])] = [:]
        var requests = 0
        var uploadCount = 0
        /// Requests from this one on are not answered any more.
        var deadFrom: Int?
        /// Requests with these numbers get status 503 once.
        var busy: Set<Int> = []
        var hasConditions = true
    }

    let state = Mutex(State())

    func client() throws -> S3Client {
        let bucket = try S3Bucket(
            name: "b", endpoint: "http://fake", region: "r", style: .path, environment: { _ in nil })
        return S3Client(
            bucket, credentials: S3Credentials(accessKey: "A", secretKey: "S"),
            transport: { try self.answer($0) }, clock: { Timestamp(seconds: 0) }, pause: { _ in })
    }

    var keys: [String] { state.withLock { $0.objects.keys.sorted() } }

    func body(_ key: String) -> [UInt8]? { state.withLock { $0.objects[key]?.body } }

    private func answer(_ exchange: S3Exchange) throws -> S3Answer {
        try state.withLock { state in
            defer { state.requests += 1 }
            if let dead = state.deadFrom, state.requests >= dead {
                throw ArtifactError(.system, path: exchange.url, problem: "the process was killed")
            }
            guard exchange.headers.contains(where: { $0.hasPrefix("Authorization: AWS4-HMAC-SHA256 ") })
            else {
                return Self.reply(403, "<Error><Code>AccessDenied</Code></Error>")
            }
            if state.busy.remove(state.requests) != nil {
                return Self.reply(503, "<Error><Code>SlowDown</Code></Error>")
            }
            return Self.answer(exchange, &state)
        }
    }

    private static func answer(_ exchange: S3Exchange, _ state: inout State) -> S3Answer {
        let parts = exchange.url.split(separator: "?", maxSplits: 1)
        let path = String(parts[0].dropFirst("http://fake/b".count))
        let key = path.isEmpty ? nil : S3Client.decoded(String(path.dropFirst()))
        var query: [String: String] = [:]
        for pair in parts.count > 1 ? parts[1].split(separator: "&") : [] {
            let pair = pair.split(separator: "=", omittingEmptySubsequences: false)
            query[String(pair[0])] = S3Client.decoded(String(pair[1]))
        }
        guard let key else { return bucketAnswer(exchange, query, &state) }
        if let upload = query["uploadId"] { return partAnswer(exchange, key, upload, query, &state) }
        switch exchange.method {
        case "POST":
            state.uploadCount += 1
            let upload = "upload-\(state.uploadCount)"
            state.uploads[upload] = (key: key, parts: [:], headers: exchange.headers)
            return reply(200, "<R><UploadId>\(upload)</UploadId></R>")
        case "PUT":
            return store(key, exchange.body, exchange.headers, condition: exchange.headers, &state)
        case "DELETE":
            state.objects[key] = nil
            return reply(204, "")
        default:
            guard let object = state.objects[key] else {
                return reply(404, "<Error><Code>NoSuchKey</Code></Error>")
            }
            var headers = [
                "etag: \"\(ContentHash.of(object.body))\"", "content-length: \(object.body.count)",
            ]
            headers += object.headers.filter { $0.hasPrefix("x-amz-meta-") }
            return reply(200, exchange.method == "HEAD" ? [] : object.body, headers)
        }
    }

    private static func store(
        _ key: String, _ body: [UInt8], _ headers: [String], condition: [String], _ state: inout State
    ) -> S3Answer {
        let old = state.objects[key].map { ContentHash.of($0.body) }
        let absent = condition.contains("if-none-match: *")
        let match = condition.first { $0.hasPrefix("if-match: ") }
        if (absent || match != nil) && !state.hasConditions {
            return reply(501, "<Error><Code>NotImplemented</Code></Error>")
        }
        if absent && old != nil || match != nil && match != old.map({ "if-match: \"\($0)\"" }) {
            return reply(412, "<Error><Code>PreconditionFailed</Code></Error>")
        }
        state.objects[key] = (body: body, headers: headers)
        return reply(200, [], ["etag: \"\(ContentHash.of(body))\""])
    }

    private static func partAnswer(
        _ exchange: S3Exchange, _ key: String, _ upload: String, _ query: [String: String],
        _ state: inout State
    ) -> S3Answer {
        guard let begun = state.uploads[upload], begun.key == key else {
            return reply(404, "<Error><Code>NoSuchUpload</Code></Error>")
        }
        switch exchange.method {
        case "PUT":
            state.uploads[upload]?.parts[Int(query["partNumber"] ?? "") ?? 0] = exchange.body
            return reply(200, [], ["etag: \"\(ContentHash.of(exchange.body))\""])
        case "DELETE":
            state.uploads[upload] = nil
            return reply(204, "")
        default:
            let named = XMLElement(parsing: exchange.body)?.elements("Part") ?? []
            var whole: [UInt8] = []
            for part in named {
                guard let body = begun.parts[Int(part.value("PartNumber") ?? "") ?? 0],
                    "\"\(ContentHash.of(body))\"" == part.value("ETag")
                else { return reply(400, "<Error><Code>InvalidPart</Code></Error>") }
                whole += body
            }
            let answer = store(key, whole, begun.headers, condition: exchange.headers, &state)
            guard answer.status == 200 else { return answer }
            state.uploads[upload] = nil
            return reply(
                200, "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>")
        }
    }

    private static func bucketAnswer(
        _ exchange: S3Exchange, _ query: [String: String], _ state: inout State
    ) -> S3Answer {
        let prefix = query["prefix"] ?? ""
        if query["uploads"] != nil {
            let uploads = state.uploads.filter { $0.value.key.hasPrefix(prefix) }.map {
                "<Upload><Key>\($0.value.key)</Key><UploadId>\($0.key)</UploadId></Upload>"
            }
            return reply(200, "<R>\(uploads.joined())</R>")
        }
        // Pages of three, so that every longer list has to be continued.
        let after = query["continuation-token"] ?? ""
        let keys = state.objects.keys.filter { $0.hasPrefix(prefix) && $0 > after }.sorted()
        let page = keys.prefix(3)
        let contents = page.map { key in
            "<Contents><Key>\(AWSSignature.encoded(key))</Key>"
                + "<Size>\(state.objects[key]?.body.count ?? 0)</Size><ETag>\"e\"</ETag></Contents>"
        }
        let isCut = keys.count > page.count
        return reply(
            200,
            "<R><EncodingType>url</EncodingType>\(contents.joined())<IsTruncated>\(isCut)</IsTruncated>"
                + "<NextContinuationToken>\(page.last ?? "")</NextContinuationToken></R>")
    }

    private static func reply(_ status: Int, _ text: String) -> S3Answer {
        reply(status, Array(text.utf8), [])
    }

    private static func reply(_ status: Int, _ body: [UInt8], _ lines: [String]) -> S3Answer {
        var headers = ReplyHeaders()
        for line in lines { headers.append(line: line) }
        return S3Answer(status: status, headers: headers, body: body)
    }
}
