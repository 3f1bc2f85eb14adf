// Single objects and lists of them.

import Text

/// An object as a list shows it.
package struct S3Object: Sendable, Hashable {
    package var key: String
    package var sizeBytes: Int
    /// With the quotes that HTTP has around it taken off.
    package var etag: String
}

/// When a write of an object counts.
package enum S3Condition: Sendable, Hashable {
    case always
    /// Only where there is none.
    case absent
    /// Only over this one.
    case matches(etag: String)
}

extension S3Client {
    /// Writes an object in one request, of at most 5 GiB.
    /// - Returns: its ETag, or nil when the condition did not hold.
    func put(
        _ body: [UInt8], at key: String, condition: S3Condition = .always,
        metadata: [(name: String, value: String)] = [], type: String? = nil
    ) throws(ArtifactError) -> String? {
        var request = Request(method: "PUT", key: key, body: body, accepts: [200, 204, 409, 412, 501])
        request.headers = metadata.map { (name: "x-amz-meta-" + $0.name, value: $0.value) }
        if let type { request.headers.append((name: "content-type", value: type)) }
        let plain = request
        switch condition {
        case .always: request.accepts = [200, 204]
        case .absent: request.headers.append((name: "if-none-match", value: "*"))
        case .matches(let etag): request.headers.append((name: "if-match", value: "\"\(etag)\""))
        }
        var answer = try send(request)
        if answer.status == 501 {
            // The server has no conditional writes.
            var unconditional = plain
            unconditional.accepts = [200, 204]
            answer = try send(unconditional)
        }
        return answer.status >= 400 ? nil : Self.etag(answer)
    }

    /// Size, ETag and headers of an object; nil if there is none.
    func head(_ key: String) throws(ArtifactError) -> (object: S3Object, headers: ReplyHeaders)? {
        let answer = try send(Request(method: "HEAD", key: key, accepts: [200, 404]))
        guard answer.status == 200 else { return nil }
        let size = Int(answer.headers["content-length"] ?? "") ?? 0
        return (S3Object(key: key, sizeBytes: size, etag: Self.etag(answer)), answer.headers)
    }

    /// The whole of a small object; nil if there is none.
    func get(_ key: String) throws(ArtifactError) -> (body: [UInt8], etag: String)? {
        let answer = try send(Request(method: "GET", key: key, accepts: [200, 404]))
        guard answer.status == 200 else {
            let problem = Self.failure(answer, path: bucket.display(key))
            if problem.code == "NoSuchBucket" { throw problem.error }
            return nil
        }
        return (answer.body, Self.etag(answer))
    }

    /// Deletes an object; one that is not there is no failure.
    func delete(_ key: String) throws(ArtifactError) {
        _ = try send(Request(method: "DELETE", key: key, accepts: [200, 202, 204, 404]))
    }

    /// Creates the bucket; one that is the account's already is no failure.
    func createBucket() throws(ArtifactError) {
        var request = Request(method: "PUT", key: nil, accepts: [200, 204, 409])
        if bucket.region != "us-east-1" {
            request.body = Array(
                """
                <CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
                <LocationConstraint>\(bucket.region)</LocationConstraint></CreateBucketConfiguration>
                """.utf8)
        }
        let answer = try send(request)
        guard answer.status == 409 else { return }
        let problem = Self.failure(answer, path: bucket.display(""))
        guard problem.code == "BucketAlreadyOwnedByYou" else { throw problem.error }
    }

    /// A list of more objects is refused.
    static let listLimit = 4_000_000

    /// All objects whose keys begin with `prefix`, in the server's order.
    package func list(prefix: String, limit: Int = S3Client.listLimit) throws(ArtifactError) -> [S3Object] {
        var objects: [S3Object] = []
        var token: String?
        repeat {
            var query = [
                (name: "list-type", value: "2"), (name: "prefix", value: prefix),
                (name: "encoding-type", value: "url"),
            ]
            if limit < 1000 { query.append((name: "max-keys", value: "\(limit)")) }
            if let token { query.append((name: "continuation-token", value: token)) }
            let answer = try send(Request(method: "GET", key: nil, query: query))
            guard let document = XMLElement(parsing: answer.body) else { throw unreadable(prefix) }
            let isEncoded = document.value("EncodingType") == "url"
            for element in document.elements("Contents") {
                guard let key = element.value("Key"), let size = element.value("Size").flatMap({ Int($0) })
                else { throw unreadable(prefix) }
                objects.append(
                    S3Object(
                        key: isEncoded ? Self.decoded(key) : key, sizeBytes: size,
                        etag: Self.unquoted(element.value("ETag") ?? "")))
            }
            token = document.value("IsTruncated") == "true" ? document.value("NextContinuationToken") : nil
            guard objects.count <= Self.listLimit else {
                throw ArtifactError(
                    .unsupported, path: bucket.display(prefix), problem: "more than \(Self.listLimit) objects"
                )
            }
        } while token != nil && objects.count < limit
        return objects
    }

    func unreadable(_ key: String) -> ArtifactError {
        ArtifactError(
            .transfer, path: bucket.display(key), problem: "the answer is not what S3 servers send",
            remedy: "check the endpoint")
    }

    static func etag(_ answer: S3Answer) -> String { unquoted(answer.headers["etag"] ?? "") }

    static func unquoted(_ text: String) -> String { text.filter { $0 != "\"" } }

    /// `%XX` and `+` of a list that was asked for in URL encoding.
    static func decoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
