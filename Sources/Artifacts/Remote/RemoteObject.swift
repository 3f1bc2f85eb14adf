// Bytes that lie on another server and are read there when they are wanted, a piece at a time.

/// An object elsewhere whose length is known, and of which any part can be asked for.
package struct RemoteObject: Sendable {
    /// What one request asks for: small, so that many readers stay small; large enough for distant servers.
    package static let pieceBytes = 2 << 20

    package let sizeBytes: Int
    /// Differs where the bytes do, and tells nothing of the place; nil where the server tells neither.
    package let tag: String?
    /// As messages show it.
    private let name: String
    private let fetch: @Sendable (Range<Int>) throws(ArtifactError) -> [UInt8]

    /// - Parameters:
    ///   - mark: what the server says of these bytes: an ETag, a digest.
    ///   - fetch: gives exactly a range that is not empty, or throws; called on the reader's thread.
    init(
        name: String, sizeBytes: Int, mark: String?,
        fetch: @escaping @Sendable (Range<Int>) throws(ArtifactError) -> [UInt8]
    ) {
        self.name = name
        self.sizeBytes = sizeBytes
        self.fetch = fetch
        tag = mark.map { ContentHash.of(Array("\(name)\u{0}\($0)\u{0}\(sizeBytes)".utf8)) }
    }

    /// Reads a part. Blocks for as long as the server takes.
    /// - Throws: `ArtifactError`; `transfer` also when the object is not what it was, or the part is not in it.
    package func read(at offset: Int, count: Int) throws(ArtifactError) -> [UInt8] {
        guard count > 0 else { return [] }
        guard offset >= 0, count <= sizeBytes - offset else { throw Self.changed(name) }
        let bytes = try fetch(offset..<(offset + count))
        guard bytes.count == count else { throw Self.changed(name) }
        return bytes
    }

    static func changed(_ name: String) -> ArtifactError {
        ArtifactError(
            .transfer, path: name, problem: "is no longer what it was when reading began",
            remedy: "ask for it again")
    }
}

/// A directory elsewhere: its list, in which a file's hash is whatever names its bytes there.
package struct RemoteDirectory: Sendable {
    package let tree: TreeManifest
    package let tag: String
    private let object: @Sendable (_ key: String, _ sizeBytes: Int) -> RemoteObject

    init(
        _ tree: TreeManifest, object: @escaping @Sendable (_ key: String, _ sizeBytes: Int) -> RemoteObject
    ) {
        self.tree = tree
        self.object = object
        tag = ContentHash.of(tree.encoded)
    }

    /// The bytes of one of its files. Asks nobody yet.
    package func file(_ hash: String, sizeBytes: Int) -> RemoteObject { object(hash, sizeBytes) }
}

extension S3Client {
    /// An object of the bucket as it is now.
    func remoteObject(_ object: S3Object, sha256: String? = nil) -> RemoteObject {
        let mark = sha256 ?? (object.etag.isEmpty ? nil : object.etag)
        return RemoteObject(name: bucket.display(object.key), sizeBytes: object.sizeBytes, mark: mark) {
            [self] range throws(ArtifactError) in
            try get(object.key, range: range, of: object)
        }
    }

    /// A part of an object, if it is still the same.
    private func get(_ key: String, range: Range<Int>, of object: S3Object) throws(ArtifactError) -> [UInt8] {
        var request = Request(method: "GET", key: key, accepts: [200, 206, 412, 416])
        request.headers = [(name: "range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        if !object.etag.isEmpty { request.headers.append((name: "if-match", value: "\"\(object.etag)\"")) }
        let answer = try send(request)
        switch answer.status {
        case 206: return answer.body
        // A server may give the whole instead of a part.
        case 200 where answer.body.count == object.sizeBytes: return Array(answer.body[range])
        default: throw RemoteObject.changed(bucket.display(key))
        }
    }
}
