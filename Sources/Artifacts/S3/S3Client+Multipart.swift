// Files as objects: small ones in one request, large ones in parts that several threads send.

import Glibc

/// A file's bytes as they are sent.
struct S3Upload: Sendable {
    var descriptor: Int32
    var path: String
    var sizeBytes: Int
}

extension S3Client {
    /// Files up to this size go in one request.
    static let singleLimitBytes = 16 << 20
    /// Parts of one file that are sent at once; each is in memory meanwhile.
    static let partsAtOnce = 4
    private static let partLimit = 10_000

    /// Bytes of all parts but the last: at least 16 MiB, and as many as keep a file within 10,000 parts.
    static func partBytes(of size: Int) -> Int {
        let needed = (size + partLimit - 101) / (partLimit - 100)
        return max(singleLimitBytes, (needed + (1 << 20) - 1) / (1 << 20) * (1 << 20))
    }

    /// Sends a file. An object appears under the key when all of it has arrived, or not at all.
    /// - Returns: the ETag, or nil when the condition did not hold.
    func put(
        file: S3Upload, at key: String, condition: S3Condition = .always,
        metadata: [(name: String, value: String)] = [],
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> String? {
        guard file.sizeBytes > Self.singleLimitBytes else {
            let body = try Self.read(file, at: 0, count: file.sizeBytes)
            return try put(body, at: key, condition: condition, metadata: metadata)
        }
        // What an earlier attempt on this key left would be kept, and paid for, without ever being seen.
        try abortUploads(of: key)
        let upload = try beginUpload(key, metadata: metadata)
        do {
            let etags = try sendParts(of: file, key: key, upload: upload, isCancelled: isCancelled)
            return try finishUpload(upload, of: key, etags: etags, condition: condition)
        } catch {
            // The first error is the one to tell; a leftover goes with the next upload of the key.
            try? abort(upload, of: key)
            throw error
        }
    }

    private func beginUpload(
        _ key: String, metadata: [(name: String, value: String)]
    ) throws(ArtifactError) -> String {
        var request = Request(method: "POST", key: key, query: [(name: "uploads", value: "")])
        request.headers = metadata.map { (name: "x-amz-meta-" + $0.name, value: $0.value) }
        let answer = try send(request)
        guard let upload = XMLElement(parsing: answer.body)?.value("UploadId"), !upload.isEmpty else {
            throw unreadable(key)
        }
        return upload
    }

    private func sendParts(
        of file: S3Upload, key: String, upload: String, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> [String] {
        let partBytes = Self.partBytes(of: file.sizeBytes)
        let count = (file.sizeBytes + partBytes - 1) / partBytes
        return try ParallelLoop.map(count, threads: Self.partsAtOnce) { [self] index in
            if isCancelled() { throw Self.cancelled(bucket.display(key)) }
            let start = index * partBytes
            let body = try Self.read(file, at: start, count: min(partBytes, file.sizeBytes - start))
            let query = [(name: "partNumber", value: "\(index + 1)"), (name: "uploadId", value: upload)]
            let answer = try send(Request(method: "PUT", key: key, query: query, body: body))
            return Self.etag(answer)
        }
    }

    private func finishUpload(
        _ upload: String, of key: String, etags: [String], condition: S3Condition
    ) throws(ArtifactError) -> String? {
        let parts = etags.enumerated().map { index, etag in
            "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\"\(XMLElement.escaped(etag))\"</ETag></Part>"
        }
        let body = "<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>"
        var request = Request(
            method: "POST", key: key, query: [(name: "uploadId", value: upload)], body: Array(body.utf8))
        request.headers = [(name: "content-type", value: "application/xml")]
        switch condition {
        case .always: break
        case .absent: request.headers.append((name: "if-none-match", value: "*"))
        case .matches(let etag): request.headers.append((name: "if-match", value: "\"\(etag)\""))
        }
        if condition != .always { request.accepts.formUnion([409, 412]) }
        let answer = try send(request)
        if answer.status >= 400 { return nil }
        // An error may come late, below a status of 200: the server sends that before the work is done.
        guard let document = XMLElement(parsing: answer.body), document.name != "Error" else {
            throw Self.failure(answer, path: bucket.display(key)).error
        }
        return Self.unquoted(document.value("ETag") ?? "")
    }

    private func abort(_ upload: String, of key: String) throws(ArtifactError) {
        let query = [(name: "uploadId", value: upload)]
        _ = try send(Request(method: "DELETE", key: key, query: query, accepts: [200, 204, 404]))
    }

    /// Ends what was begun for a key and never finished.
    /// - Returns: how many uploads were ended.
    @discardableResult
    func abortUploads(of key: String) throws(ArtifactError) -> Int {
        let query = [(name: "uploads", value: ""), (name: "prefix", value: key)]
        // Servers without this list have nothing to clean up.
        let answer = try send(
            Request(method: "GET", key: nil, query: query, accepts: [200, 403, 404, 405, 501]))
        guard answer.status == 200, let document = XMLElement(parsing: answer.body) else { return 0 }
        let uploads = document.elements("Upload").filter { $0.value("Key") == key }
        for upload in uploads { try abort(upload.value("UploadId") ?? "", of: key) }
        return uploads.count
    }

    static func cancelled(_ path: String) -> ArtifactError {
        ArtifactError(.transfer, path: path, problem: "was interrupted")
    }

    /// - Throws: `invalid` when the file is shorter than it was.
    static func read(_ file: S3Upload, at offset: Int, count: Int) throws(ArtifactError) -> [UInt8] {
        var done = 0
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while done < count {
                let length = pread(
                    file.descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
                if length < 0 && errno == EINTR { continue }
                if length < 0 { failure = errno }
                guard length > 0 else { break }
                done += length
            }
            initialized = done
        }
        if failure != 0 { throw ArtifactError(errno: failure, path: file.path, while: "read") }
        guard done == count else {
            throw ArtifactError(
                .invalid, path: file.path, problem: "became shorter while it was sent",
                remedy: "save it after whoever writes it is done")
        }
        return bytes
    }
}
