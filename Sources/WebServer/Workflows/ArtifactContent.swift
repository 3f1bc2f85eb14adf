// The bytes of one artifact, or of one file in it: found in the store, in the manifest, or on the server where they lie.

import Artifacts
import Crypto
import WorkflowLanguage

/// What lies behind an artifact's name and a path in it.
enum ArtifactContent: Sendable {
    /// - Parameter tag: differs where the bytes do; nil where nobody knows.
    case file(any ByteSource, tag: String?, bytes: Int)
    case directory(TreeManifest, tag: String, open: TarStream.Opener)
    case text([UInt8])
    /// The whole of what a server gives that knows no ranges.
    case stream(RemoteStream, tag: String?, bytes: Int?)

    /// How many links are followed from one file of a directory to the next.
    private static let linkLimit = 10

    /// Looks the artifact up in the local store or the manifest; blocks.
    /// - Parameter path: inside a directory artifact; empty for the artifact itself.
    static func find(
        _ artifact: Artifact, path: String, namespace: String, in store: LocalArtifactStore
    ) throws -> ArtifactContent {
        switch try ArtifactLocation(artifact) {
        case .key(let key):
            guard let tree = try store.resolve(key: key, namespace: namespace) else {
                throw ServiceError.notFound(
                    "artifact \"\(artifact.name)\" has no bytes under its key \"\(key.shortened)\"")
            }
            return try content(of: tree, artifact, path, store)
        case .raw(let text):
            guard path.isEmpty else { throw missing(path, artifact) }
            return .text(Array(text.utf8))
        case .git, .s3, .http:
            throw ServiceError.unimplemented(
                "the bytes of artifact \"\(artifact.name)\" lie in a git repository, of which this server "
                    + "has no copy; clone it")
        case nil:
            throw ServiceError.notFound("artifact \"\(artifact.name)\" says no place where its bytes are")
        }
    }

    /// Looks the artifact up where it lies on another server; blocks, for as long as that takes.
    static func find(
        _ artifact: Artifact, path: String, at remote: RemoteArtifact, secrets: SecretLookup
    ) throws -> ArtifactContent {
        switch try remote.find(path: path, secrets: secrets) {
        case .object(let object): return .file(object, tag: object.tag, bytes: object.sizeBytes)
        case .stream(let stream, let bytes, let tag): return .stream(stream, tag: tag, bytes: bytes)
        case .directory(let directory, let path):
            let open: TarStream.Opener = { directory.file($0, sizeBytes: $1) }
            return try follow(path, in: directory.tree, tag: directory.tag, artifact, open) {
                directory.file($0, sizeBytes: $1).tag
            }
        case nil where path.isEmpty:
            throw ServiceError.notFound(
                "artifact \"\(artifact.name)\" has no bytes at \(remote.display.shortened)")
        case nil: throw missing(path, artifact)
        }
    }

    private static func missing(_ path: String, _ artifact: Artifact) -> ServiceError {
        .notFound("artifact \"\(artifact.name)\" has no file \"\(path.shortened)\"")
    }

    private static func content(
        of tree: StoredTree, _ artifact: Artifact, _ path: String, _ store: LocalArtifactStore
    ) throws -> ArtifactContent {
        guard tree.isDirectory else {
            guard path.isEmpty else { throw missing(path, artifact) }
            return .file(OpenBlob(try store.openFile(tree)), tag: tree.hash, bytes: tree.bytes)
        }
        return try follow(
            path, in: store.manifest(of: tree), tag: tree.hash, artifact,
            { hash, _ in OpenBlob(try store.openBlob(hash)) }, fileTag: { hash, _ in hash })
    }

    /// Finds a path in a directory, through the links in it.
    private static func follow(
        _ path: String, in manifest: TreeManifest, tag: String, _ artifact: Artifact,
        _ open: @escaping TarStream.Opener, fileTag: (_ hash: String, _ bytes: Int) -> String?
    ) throws -> ArtifactContent {
        var parts = path.split(separator: "/").map(String.init)
        if parts.isEmpty { return .directory(manifest, tag: tag, open: open) }
        for _ in 0..<linkLimit {
            let name = parts.joined(separator: "/")
            guard let entry = manifest.entries.first(where: { $0.path == name }) else { break }
            switch entry.content {
            case .file(let hash, let bytes):
                return .file(try open(hash, bytes), tag: fileTag(hash, bytes), bytes: bytes)
            case .directory:
                return .directory(
                    manifest.inside(name, mode: entry.mode),
                    tag: tag + "-" + ContentDigest.of(Array(name.utf8)), open: open)
            case .link(let target):
                guard let next = resolved(target, from: parts.dropLast()) else {
                    throw missing(path, artifact)
                }
                parts = next
            }
        }
        throw missing(path, artifact)
    }

    /// Where a link leads inside the directory; nil for one that leads out of it.
    private static func resolved(_ target: String, from folder: ArraySlice<String>) -> [String]? {
        guard !target.hasPrefix("/") else { return nil }
        var parts = Array(folder)
        for part in target.split(separator: "/") where part != "." {
            if part == ".." {
                if parts.popLast() == nil { return nil }
            } else {
                parts.append(String(part))
            }
        }
        return parts.isEmpty ? nil : parts
    }
}

extension TreeManifest {
    /// The part below one of its directories, as a manifest of its own.
    fileprivate func inside(_ name: String, mode: UInt32) -> TreeManifest {
        let prefix = name + "/"
        var part = self
        part.mode = mode
        part.entries = entries.filter { $0.path.hasPrefix(prefix) }.map { entry in
            var entry = entry
            entry.path.removeFirst(prefix.count)
            return entry
        }
        return part
    }
}

enum ContentDigest {
    /// SHA-256 in lower-case hexadecimal.
    static func of(_ bytes: [UInt8]) -> String { GitObjects.hexadecimal(SHA256.hash(data: bytes)) }
}
