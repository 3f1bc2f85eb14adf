// A file or a directory on its way out of a bucket.

import Glibc

/// Loads what is under one key.
struct S3TreeDownload {
    let client: S3Client
    let key: String
    let downloader: Downloader
    var isCancelled: @Sendable () -> Bool = { false }

    /// What a key stands for.
    enum Found {
        case file(S3Object, sha256: String?)
        case tree(S3TreeManifest)
        /// A directory that another program wrote, without a list of its own: every object below the key.
        case objects([S3Object], below: String)
    }

    /// - Parameter subPath: below the key; empty for all of it.
    /// - Returns: nil for nothing, and for a directory whose first upload has not ended.
    func find(subPath: String = "") throws -> Found? {
        guard !subPath.isEmpty else { return try find(key) }
        // A tree that replaced another lies elsewhere than below its key: only its list knows.
        guard case .tree(let manifest)? = try find(key) else { return try find("\(key)/\(subPath)") }
        switch manifest.part(subPath) {
        case .file(let key, let file):
            let object = S3Object(key: key, sizeBytes: file.sizeBytes, etag: "")
            return .file(object, sha256: file.sha256)
        case .directory(let manifest): return .tree(manifest)
        case nil: return nil
        }
    }

    private func find(_ key: String) throws -> Found? {
        if let (object, headers) = try client.head(key) {
            return .file(object, sha256: headers["x-amz-meta-" + S3TreeUpload.digestName])
        }
        let name = "\(key)/\(S3TreeManifest.name)"
        if let manifest = try client.get(name) {
            return .tree(try S3TreeManifest(decoding: manifest.body, path: client.bucket.display(name)))
        }
        if try client.head("\(key)/\(S3TreeManifest.marker)") != nil { return nil }
        let objects = try client.list(prefix: key + "/").filter { !$0.key.hasSuffix("/") }
        return objects.isEmpty ? nil : .objects(objects, below: key + "/")
    }

    /// Lays what the key stands for at `path`, which must be free.
    /// - Returns: whether it is a directory.
    /// - Throws: `notFound` for a key without anything.
    func load(_ found: Found, at path: String) throws -> Bool {
        switch found {
        case .file(let object, let sha256):
            try fetch([(key: object.key, path: path, object.sizeBytes, sha256: sha256)])
            return false
        case .tree(let manifest):
            try load(manifest, at: path)
            return true
        case .objects(let objects, let prefix):
            let wanted = try objects.map { object in
                let name = String(object.key.dropFirst(prefix.count))
                guard S3TreeManifest.isInside(name) else {
                    throw ArtifactError(
                        .invalid, path: client.bucket.display(object.key), problem: "is no path of a file",
                        remedy: "rename the object")
                }
                return (key: object.key, path: "\(path)/\(name)", object.sizeBytes, sha256: String?.none)
            }
            for item in wanted { try Disk.makeDirectories(Disk.parent(of: item.path)) }
            try fetch(wanted)
            return true
        }
    }

    private func load(_ manifest: S3TreeManifest, at path: String) throws {
        try Disk.makeDirectories(path)
        for directory in manifest.directories { try Disk.makeDirectories("\(path)/\(directory.path)") }
        try fetch(
            manifest.files.map { file in
                (
                    key: "\(manifest.location)/\(file.path)", path: "\(path)/\(file.path)", file.sizeBytes,
                    sha256: file.sha256
                )
            })
        for file in manifest.files { try setMode(file.mode, "\(path)/\(file.path)") }
        // Links come last, so that no file is written through one.
        for link in manifest.links {
            guard symlink(link.target, "\(path)/\(link.path)") == 0 else {
                throw ArtifactError(errno: errno, path: "\(path)/\(link.path)", while: "create the link")
            }
        }
        for directory in manifest.directories.reversed() {
            try setMode(directory.mode, "\(path)/\(directory.path)")
        }
        try setMode(manifest.mode, path)
    }

    private func setMode(_ mode: UInt32, _ path: String) throws(ArtifactError) {
        guard chmod(path, mode) == 0 else {
            throw ArtifactError(errno: errno, path: path, while: "set the mode of")
        }
    }

    private func fetch(_ files: [(key: String, path: String, size: Int, sha256: String?)]) throws {
        let jobs = try files.map { file in
            DownloadJob(
                file: try client.remoteFile(file.key, sizeBytes: file.size, sha256: file.sha256),
                destination: file.path, partial: file.path + ".part")
        }
        do {
            _ = try downloader.fetch(jobs, isCancelled: isCancelled)
        } catch let error as DownloadError {
            throw ArtifactError(error)
        }
    }
}

extension S3Client {
    /// An object as a downloader fetches it.
    package func remoteFile(
        _ key: String, sizeBytes: Int, sha256: String? = nil
    ) throws(ArtifactError) -> RemoteFile {
        let (url, sign) = try signedGet(key)
        let address = RemoteAddress(url: url, sign: { method, _, range in sign(method, range) })
        return RemoteFile(
            name: bucket.display(key), addresses: [address], sizeBytes: sizeBytes,
            digest: sha256.map { .sha256($0) })
    }

    /// A client whose requests go over the network.
    package static func overNetwork(
        _ bucket: S3Bucket, credentials: S3Credentials?, downloader: Downloader = .forStores
    ) -> S3Client {
        S3Client(bucket, credentials: credentials) { exchange in
            // S3 wants the length of nothing, too, which the transport does not tell by itself.
            let isEmpty = exchange.body.isEmpty && ["PUT", "POST"].contains(exchange.method)
            do {
                let reply = try downloader.exchange(
                    HubRequest(
                        exchange.method, url: exchange.url,
                        headers: exchange.headers + (isEmpty ? ["Content-Length: 0"] : []),
                        body: exchange.body.isEmpty ? .none : .bytes(exchange.body), redirects: .none,
                        outputLimitBytes: exchange.outputLimitBytes, retries: 0))
                return S3Answer(status: reply.status, headers: reply.headers, body: reply.body)
            } catch let error as DownloadError {
                throw ArtifactError(error)
            }
        }
    }
}

extension Downloader {
    /// What stores share: connections that stay open between the requests of many threads.
    package static let forStores: Downloader = {
        var settings = DownloadSettings()
        settings.maxConnections = S3TreeUpload.filesAtOnce
        settings.certificateFile =
            ["CURL_CA_BUNDLE", "SSL_CERT_FILE"].lazy.compactMap(S3Credentials.variable).first
        settings.usesNetrc = false
        return Downloader(settings)
    }()
}

extension ArtifactError {
    /// A failed download in the words of artifacts.
    init(_ error: DownloadError) {
        let kind: Kind =
            switch error.kind {
            case .notFound, .repositoryNotFound, .revisionNotFound: .notFound
            case .gated, .unauthorized, .forbidden: .permissionDenied
            case .noSpace: .noSpace
            case .corrupt, .badRequest: .invalid
            case .disk: .system
            default: .transfer
            }
        self.init(kind, path: error.path, problem: error.problem, remedy: error.remedy)
    }
}
