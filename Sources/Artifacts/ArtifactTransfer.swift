// Brings an artifact from where its declaration says to a path, and from a path to where it says.

import Glibc
package import WorkflowLanguage

/// Loads and saves the artifacts of one step. Calls block, and may use the network.
package struct ArtifactTransfer: Sendable {
    package let store: LocalArtifactStore
    package let namespace: String
    private let secrets: SecretLookup

    package init(store: LocalArtifactStore, namespace: String, secrets: @escaping SecretLookup) {
        self.store = store
        self.namespace = namespace
        self.secrets = secrets
    }

    /// Lays the artifact's content at `path`, which must be free and whose parent must exist.
    /// - Throws: `ArtifactError`; `notFound` when there is no such artifact, for the caller to weigh
    ///   `optional`.
    package func load(
        _ artifact: Artifact, at path: String, access: LocalArtifactStore.Access = .writable
    ) throws {
        guard let location = try ArtifactLocation(artifact) else {
            throw ArtifactError(
                .notFound, path: artifact.name, problem: "the artifact has no location",
                remedy: "give it one, or mark it `optional: true`")
        }
        let mode = artifact.mode.map { UInt32(truncatingIfNeeded: $0) & 0o7777 }
        switch location {
        case .key(let key): try load(key: key, of: artifact, at: path, access: access, mode: mode)
        case .raw(let data):
            try Disk.write(Array(data.utf8), to: path)
            try setMode(mode, artifact, path)
        case .http(let place):
            let part = path + ".part"
            defer { Disk.removeTree(part) }
            try place.download(to: part, secrets: secrets)
            try Unpacking(file: part, target: path, strategy: artifact.archive).perform()
            try setMode(mode, artifact, path)
        case .git(let place):
            try place.clone(to: path, secrets: secrets)
            try setMode(mode, artifact, path)
        case .s3(let place): try load(place, of: artifact, at: path, mode: mode)
        }
    }

    private func load(_ place: S3Location, of artifact: Artifact, at path: String, mode: UInt32?) throws {
        let client = try place.client(secrets)
        let download = S3TreeDownload(client: client, key: place.key, downloader: .forStores)
        let subPath = ReferencePath.normalized(artifact.subPath ?? "")
        guard let found = try download.find(subPath: subPath) else {
            throw ArtifactError(
                .notFound, path: client.bucket.display(place.key),
                problem: "there is no such object or directory",
                remedy: "check the step that should have written it")
        }
        // An archive comes as one object; what it holds is what the step asked for.
        let part = path + ".part"
        defer { Disk.removeTree(part) }
        let isDirectory = try download.load(found, at: part)
        if isDirectory {
            guard rename(part, path) == 0 else {
                throw ArtifactError(errno: errno, path: path, while: "rename into place")
            }
        } else {
            try Unpacking(file: part, target: path, strategy: artifact.archive).perform()
        }
        try setMode(mode, artifact, path)
    }

    private func load(
        key: String, of artifact: Artifact, at path: String, access: LocalArtifactStore.Access, mode: UInt32?
    ) throws {
        guard let whole = try store.resolve(key: key, namespace: namespace),
            let tree = try store.part(of: whole, path: artifact.subPath ?? "")
        else {
            let place = artifact.subPath.map { "\(key)/\($0)" } ?? key
            throw ArtifactError(
                .notFound, path: place, problem: "there is no such key in namespace \(namespace)",
                remedy: "check the step that should have written it")
        }
        // What was saved loose may be an archive that somebody packed; what we were asked to pack never is.
        let mayBeArchive =
            !tree.isDirectory && tree.archive == .none && artifact.archive != ArchiveStrategy.none
        guard mayBeArchive else {
            return try store.materialize(
                tree, at: path, access: access, mode: mode, recurseMode: artifact.recurseMode)
        }
        let part = path + ".part"
        defer { Disk.removeTree(part) }
        try store.materialize(tree, at: part)
        try Unpacking(file: part, target: path, strategy: artifact.archive).perform()
        try setMode(mode, artifact, path)
    }

    private func setMode(_ mode: UInt32?, _ artifact: Artifact, _ path: String) throws {
        guard let mode else { return }
        guard chmod(path, mode) == 0 else {
            throw ArtifactError(errno: errno, path: path, while: "set the mode of")
        }
        if artifact.recurseMode { setModes(mode, below: path) }
    }

    private func setModes(_ mode: UInt32, below path: String) {
        for name in Disk.list(path) ?? [] {
            let inside = "\(path)/\(name)"
            guard let kind = Disk.status(inside)?.kind, kind != .link else { continue }
            if kind == .directory { setModes(mode, below: inside) }
            chmod(inside, mode)
        }
    }

    /// Saves what lies at `path` where the declaration says, under `defaultKey` when it says nothing.
    /// - Returns: the artifact with its location, and what the store holds of it, nil when it went elsewhere.
    package func save(
        _ artifact: Artifact, from path: String, defaultKey: String, source: LocalArtifactStore.Source
    ) throws -> (Artifact, StoredTree?) {
        switch try ArtifactLocation(artifact) {
        case nil: return try save(artifact, from: path, key: defaultKey, source: source)
        case .key(let key): return try save(artifact, from: path, key: key, source: source)
        case .http(let place):
            try upload(artifact, from: path, to: place)
            return (artifact, nil)
        case .s3(let place):
            try save(artifact, from: path, to: place)
            return (artifact, nil)
        case .git, .raw:
            throw ArtifactError(
                .unsupported, path: artifact.name, problem: "an output cannot be saved to git or raw",
                remedy: "use a key, s3 or http")
        }
    }

    private func save(
        _ artifact: Artifact, from path: String, key: String, source: LocalArtifactStore.Source
    ) throws -> (Artifact, StoredTree?) {
        let tree = try store.save(path: path, archive: artifact.archive ?? .tar, source: source)
        try store.publish(key: key, namespace: namespace, tree: tree)
        return (ArtifactLocation.located(artifact, key: key), tree)
    }

    /// In a bucket a directory is one object a file; only an archive that was asked for is packed.
    private func save(_ artifact: Artifact, from path: String, to place: S3Location) throws {
        let client = try place.client(secrets)
        if place.createsBucket { try client.createBucket() }
        let upload = S3TreeUpload(client: client, key: place.key)
        switch artifact.archive {
        case .tar, .zip: try withArchive(of: path, artifact.archive) { _ = try upload.save($0) }
        case ArchiveStrategy.none?, nil: _ = try upload.save(path)
        }
    }

    /// By http an artifact is packed as declared: tar in gzip unless it says `none` or `zip`.
    private func upload(_ artifact: Artifact, from path: String, to place: HTTPLocation) throws {
        let isDirectory = Disk.targetStatus(path)?.kind == .directory
        if artifact.archive == ArchiveStrategy.none {
            guard !isDirectory else {
                throw ArtifactError(
                    .unsupported, path: place.url, problem: "a directory cannot be sent by http unpacked",
                    remedy: "leave `archive: {none: {}}` out")
            }
            return try place.upload(from: path, secrets: secrets)
        }
        try withArchive(of: path, artifact.archive) { try place.upload(from: $0, secrets: secrets) }
    }

    /// Packs a file or directory for the time of `body`.
    private func withArchive(
        of path: String, _ strategy: ArchiveStrategy?, _ body: (String) throws -> Void
    ) throws {
        let packed = "\(store.root)/temporary/\(Disk.uniqueSuffix())"
        defer { Disk.removeTree(packed) }
        let (folder, name) = (Disk.parent(of: path), Disk.name(of: path))
        if strategy == .zip {
            // The program adds its ending to a name without one.
            let file = packed + ".zip"
            defer { Disk.removeTree(file) }
            let script = "cd \"$1\" && exec zip -q -r \"$2\" \"./$3\""
            try CommandRun(["sh", "-c", script, "sh", folder, file, name]).check(path: path, action: "pack")
            return try body(file)
        }
        try CommandRun(["tar", "-czf", packed, "-C", folder, "--", "./" + name]).check(
            path: path, action: "pack")
        try body(packed)
    }
}
