// What is to be downloaded, and what came of it: files at addresses, with what is known of their content.

/// The digest that a file must have.
package enum ExpectedDigest: Sendable, Hashable {
    /// 64 lower-case hexadecimal digits.
    case sha256(String)
    /// SHA-1 over "blob <length>\0" and the content: git's name of a file. 40 lower-case hexadecimal digits.
    case gitBlobSHA1(String)

    /// The digits.
    package var text: String {
        switch self {
        case .sha256(let digits), .gitBlobSHA1(let digits): digits
        }
    }

    /// The digits with what they are of, as messages and journals have them.
    package var description: String {
        switch self {
        case .sha256(let digits): "sha256:\(digits)"
        case .gitBlobSHA1(let digits): "git-blob-sha1:\(digits)"
        }
    }
}

/// One place that a file can be had from.
package struct RemoteAddress: Sendable {
    /// Extra headers of one request, computed from its method, its address and the value of its `Range`.
    package typealias Sign = @Sendable (_ method: String, _ url: String, _ range: String?) -> [String]

    /// `http:`, `https:` or `file:`.
    package var url: String
    /// "Name: value" each, an authorization for example. Only the address's own scheme, host and port get
    /// them: a redirect to elsewhere is followed without.
    package var headers: [String]
    package var sign: Sign?

    package init(url: String, headers: [String] = [], sign: Sign? = nil) {
        self.url = url
        self.headers = headers
        self.sign = sign
    }
}

/// A file somewhere else.
package struct RemoteFile: Sendable {
    /// The path that messages show.
    package var name: String
    /// Mirrors of the same bytes, tried in this order.
    package var addresses: [RemoteAddress]
    /// Nil when nobody told it; the server's answer then tells.
    package var sizeBytes: Int?
    /// Nil when nobody told it; then only the length, and the ETag during the download, are checked.
    package var digest: ExpectedDigest?
    /// Without quotes and `W/`. Compared with the answer's own ETag when there is no digest and no redirect.
    package var etag: String?

    package init(
        name: String, addresses: [RemoteAddress], sizeBytes: Int? = nil, digest: ExpectedDigest? = nil,
        etag: String? = nil
    ) {
        self.name = name
        self.addresses = addresses
        self.sizeBytes = sizeBytes
        self.digest = digest
        self.etag = etag
    }
}

/// A file to be fetched, and where to.
package struct DownloadJob: Sendable {
    package var file: RemoteFile
    /// The final path. Appears when the content is complete and verified, replacing what is there.
    package var destination: String
    /// Where the bytes gather, on the same file system as the destination. `<partial>.journal` beside it says
    /// which of them are there, so that another process goes on. One download writes it at a time.
    package var partial: String

    package init(file: RemoteFile, destination: String, partial: String) {
        self.file = file
        self.destination = destination
        self.partial = partial
    }
}

/// A file that lies complete under its final name.
package struct DownloadedFile: Sendable, Equatable {
    package var path: String
    package var bytes: Int
    /// Bytes that came over the network this time, repeated ones included.
    package var bytesFetched: Int
    /// In lower-case hexadecimal; computed from what was written, whatever digest was expected.
    package var sha256: String
    /// The server's ETag without quotes and `W/`, nil when it gave none.
    package var etag: String?

    package init(path: String, bytes: Int, bytesFetched: Int, sha256: String, etag: String?) {
        self.path = path
        self.bytes = bytes
        self.bytesFetched = bytesFetched
        self.sha256 = sha256
        self.etag = etag
    }
}

/// How far a call of `fetch` has come.
package struct DownloadProgress: Sendable, Equatable {
    /// Bytes that are on disk, those of an earlier process included.
    package var bytesDone = 0
    /// Of all files whose size is known by now.
    package var bytesTotal = 0
    package var filesDone = 0
    package var filesTotal = 0
    /// Over the last seconds, network only.
    package var bytesPerSecond = 0.0

    package init() {}
}
