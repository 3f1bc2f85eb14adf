// An artifact that lies in a bucket or behind a web address: what is there, and how to read it without a copy.

package import WorkflowLanguage

/// Finds what an artifact's declaration names on another server. Calls block, and use the network.
package struct RemoteArtifact: Sendable {
    package enum Found: Sendable {
        case object(RemoteObject)
        /// A directory with a list of its own; in it `path` is still to be followed.
        case directory(RemoteDirectory, path: String)
        /// The whole from its beginning, and nothing else; the length where the server tells it.
        case stream(RemoteStream, sizeBytes: Int?, tag: String?)
    }

    private enum Place: Sendable {
        case s3(S3Location)
        case http(HTTPLocation)
    }

    /// A directory of more files is not listed here.
    private static let entryLimit = 100_000

    private let place: Place
    private let subPath: String
    private let downloader: Downloader

    /// - Returns: nil for artifacts that lie in the local store, in the manifest, or in git.
    /// - Throws: `ArtifactError` for a declaration that cannot be used.
    package init?(_ artifact: Artifact, downloader: Downloader = .forReading) throws(ArtifactError) {
        switch try ArtifactLocation(artifact) {
        case .s3(let location): place = .s3(location)
        case .http(let location): place = .http(location)
        case .key, .raw, .git, nil: return nil
        }
        subPath = ReferencePath.normalized(artifact.subPath ?? "")
        self.downloader = downloader
    }

    /// Where the bytes are, without anything that is secret.
    package var display: String {
        switch place {
        case .s3(let location): location.bucket.display(location.key)
        case .http(let location): WebAddress.shown(location.url)
        }
    }

    /// How the file is called there: the last part of the key or the address.
    package var fileName: String {
        var name = display
        if case .http = place { name = String(name.prefix { $0 != "?" }) }
        return name.split(separator: "/").last.map(String.init) ?? ""
    }

    /// Looks for a path in the artifact, or for all of it.
    /// - Parameters:
    ///   - path: relative and without `..`; empty for the artifact itself.
    ///   - secrets: looks up the keys that the declaration refers to.
    /// - Returns: nil where there is nothing.
    /// - Throws: `ArtifactError`.
    package func find(path: String, secrets: SecretLookup) throws -> Found? {
        switch place {
        case .s3(let location):
            return try Self.find(
                try location.client(secrets, downloader), location.key,
                [subPath, path].filter { !$0.isEmpty }.joined(separator: "/"))
        case .http(let location):
            guard path.isEmpty else { return nil }
            return try find(location, secrets)
        }
    }

    // MARK: S3

    private static func find(_ client: S3Client, _ key: String, _ path: String) throws -> Found? {
        if let found = try look(client, key) {
            guard !path.isEmpty else { return found }
            if case .directory(let directory, _) = found { return .directory(directory, path: path) }
            return nil
        }
        // What another program wrote is found by its own key, without a list of everything beside it.
        return try path.isEmpty ? objects(client, below: key) : part(client, "\(key)/\(path)")
    }

    private static func part(_ client: S3Client, _ key: String) throws -> Found? {
        if let found = try client.head(key) { return .object(client.remoteObject(found.object)) }
        return try objects(client, below: key)
    }

    /// An object, or a directory with its list; nil for neither.
    private static func look(_ client: S3Client, _ key: String) throws -> Found? {
        if let (object, headers) = try client.head(key) {
            let digest = headers["x-amz-meta-" + S3TreeUpload.digestName]
            return .object(client.remoteObject(object, sha256: digest))
        }
        let name = "\(key)/\(S3TreeManifest.name)"
        guard let list = try client.get(name) else { return nil }
        let manifest = try S3TreeManifest(decoding: list.body, path: client.bucket.display(name))
        let digests = Dictionary(
            manifest.files.map { ("\(manifest.location)/\($0.path)", $0.sha256) }, uniquingKeysWith: { $1 })
        return .directory(
            RemoteDirectory(try TreeManifest(manifest, client.bucket.display(key), limit: entryLimit)) {
                client.remoteObject(S3Object(key: $0, sizeBytes: $1, etag: ""), sha256: digests[$0])
            }, path: "")
    }

    /// Every object below a key.
    private static func objects(_ client: S3Client, below key: String) throws -> Found? {
        // A directory whose first upload has not ended is not there yet.
        if try client.head("\(key)/\(S3TreeManifest.marker)") != nil { return nil }
        let prefix = key + "/"
        let objects = try client.list(prefix: prefix, limit: entryLimit + 1).filter { !$0.key.hasSuffix("/") }
        if objects.isEmpty { return nil }
        guard objects.count <= entryLimit else { throw tooMany(client.bucket.display(key), entryLimit) }
        let tags = Dictionary(objects.map { ($0.key, $0.etag) }, uniquingKeysWith: { $1 })
        return .directory(
            RemoteDirectory(TreeManifest(objects, below: prefix)) {
                client.remoteObject(S3Object(key: $0, sizeBytes: $1, etag: tags[$0] ?? ""))
            }, path: "")
    }

    fileprivate static func tooMany(_ name: String, _ limit: Int) -> ArtifactError {
        ArtifactError(
            .unsupported, path: name, problem: "has more than \(limit) files",
            remedy: "fetch them with a client of the bucket")
    }

    // MARK: HTTP

    /// Asks for the first byte: the answer tells the length, or is the whole already.
    private func find(_ location: HTTPLocation, _ secrets: SecretLookup) throws -> Found? {
        let source = HTTPSource(
            url: location.url, headers: try location.ownHeaders(secrets), name: display,
            downloader: downloader)
        let stream = try RemoteStream(source, range: 0..<1)
        let head = try stream.head()
        let marks = HTTPMarks(head.headers)
        switch head.status {
        case 206:
            guard let size = marks.total else { break }
            return .object(source.object(marks, sizeBytes: size))
        case 416 where marks.total == 0: return .object(source.object(marks, sizeBytes: 0))
        case 416: break
        case 200..<300:
            let size = head.headers["content-length"].flatMap { Int($0) }
            return .stream(
                stream, sizeBytes: size,
                tag: marks.text.map { ContentHash.of(Array("\(display)\u{0}\($0)".utf8)) })
        case 404, 410: return nil
        case 401, 403:
            throw ArtifactError(
                .permissionDenied, path: display, problem: "the server answered with status \(head.status)",
                remedy: "check the artifact's auth or headers")
        default: break
        }
        throw ArtifactError(
            .transfer, path: display, problem: "the server answered with status \(head.status)")
    }
}

extension TreeManifest {
    /// The list that lies in a bucket; a file's hash becomes its object's key.
    fileprivate init(_ list: S3TreeManifest, _ name: String, limit: Int) throws(ArtifactError) {
        let count = list.files.count + list.directories.count + list.links.count
        guard count <= limit else { throw RemoteArtifact.tooMany(name, limit) }
        var entries = list.directories.map { TreeEntry(path: $0.path, mode: $0.mode, content: .directory) }
        for link in list.links {
            entries.append(TreeEntry(path: link.path, mode: 0, content: .link(target: link.target)))
        }
        for file in list.files {
            let content = TreeEntry.Content.file(
                hash: "\(list.location)/\(file.path)", bytes: file.sizeBytes)
            entries.append(TreeEntry(path: file.path, mode: file.mode, content: content))
        }
        self.init(mode: list.mode, entries: entries.sorted { $0.path < $1.path })
    }

    /// Objects below a prefix, with the directories that their names imply. Names that are no paths are left out.
    fileprivate init(_ objects: [S3Object], below prefix: String) {
        var entries: [TreeEntry] = []
        var known: Set<String> = []
        for object in objects {
            let path = String(object.key.dropFirst(prefix.count))
            guard S3TreeManifest.isInside(path) else { continue }
            var parent = ""
            for part in path.split(separator: "/").dropLast() {
                parent += parent.isEmpty ? "\(part)" : "/\(part)"
                if known.insert(parent).inserted {
                    entries.append(TreeEntry(path: parent, mode: 0o755, content: .directory))
                }
            }
            let content = TreeEntry.Content.file(hash: object.key, bytes: object.sizeBytes)
            entries.append(TreeEntry(path: path, mode: 0o644, content: content))
        }
        self.init(mode: 0o755, entries: entries.sorted { $0.path < $1.path })
    }
}

extension Downloader {
    /// For reading on behalf of people who wait: few attempts, and shorter patience than a download has.
    package static let forReading: Downloader = {
        var settings = Downloader.forStores.settings
        settings.maxConnections = 64
        settings.retries = 2
        settings.connectTimeout = .seconds(10)
        settings.stallTimeout = .seconds(30)
        settings.longestRetryAfter = .seconds(5)
        return Downloader(settings)
    }()
}
