// The artifacts of a run's nodes as the store has them: what they are, and how they begin.

import Artifacts
import Glibc
import Persistence
import Scheduling
import Text
import WorkflowLanguage

/// Which artifact of which node, and what in it.
struct ArtifactPlace: Sendable {
    var namespace: String
    var run: String
    var uid: String
    var node: String
    var name: String
    var isInput: Bool
    /// In a directory; empty for the artifact itself.
    var path: String

    /// Where the bytes are.
    var url: String {
        let inside = path.isEmpty ? "" : "/" + PercentEncoding.encoded(path, keeping: "/")
        let (node, name) = (PercentEncoding.encoded(node), PercentEncoding.encoded(name))
        if isInput { return "/input-artifacts-by-uid/\(uid)/\(node)/\(name)\(inside)" }
        if inside.isEmpty { return "/artifacts-by-uid/\(uid)/\(node)/\(name)" }
        return "/artifact-files/\(PercentEncoding.encoded(namespace))/workflows/"
            + "\(PercentEncoding.encoded(run))/\(node)/outputs/\(name)\(inside)"
    }
}

/// All calls read files, and belong on threads of their own.
struct ArtifactShelf: Sendable {
    /// Artifacts in one list.
    private static let listLimit = 10_000
    /// Names of a directory in one answer.
    static let entryLimit = 2_000
    /// Of a file, to show how it begins.
    static let textLimit = 256 << 10

    let store: LocalArtifactStore
    let namespace: String

    // MARK: Lists

    func list(_ nodes: [Node], rows: [ArtifactRow]) -> [JSONValue] {
        let noted = Dictionary(rows.map { ("\($0.nodeID)\u{0}\($0.name)", $0) }, uniquingKeysWith: { $1 })
        var items: [JSONValue] = []
        for node in nodes where node.type != .retry {
            for artifact in node.outputs.artifacts {
                guard items.count < Self.listLimit else { return items }
                items.append(item(artifact, node, noted["\(node.id)\u{0}\(artifact.name)"]))
            }
        }
        return items
    }

    private func item(_ artifact: Artifact, _ node: Node, _ row: ArtifactRow?) -> JSONValue {
        let tree = try? tree(artifact)
        var files: Int?
        if let tree, tree.isDirectory { files = (try? store.manifest(of: tree))?.fileCount }
        let isDeleted = artifact.deleted || row?.deletedAt != nil
        return .object([
            "node": .string(node.id), "nodeName": .string(node.displayName), "name": .string(artifact.name),
            "path": .text(artifact.path), "direction": "output",
            "bytes": .integer(tree?.bytes ?? row?.bytes.map { Int($0) }),
            "sha256": .text(tree?.hash ?? row?.sha256), "files": .integer(files), "deleted": .bool(isDeleted),
            "kind": .string(tree?.isDirectory == true ? "directory" : "file"),
        ])
    }

    /// What the artifact's key names in the local store; nil for artifacts that lie elsewhere.
    func tree(_ artifact: Artifact) throws -> StoredTree? {
        guard let location = try ArtifactLocation(artifact), case .key(let key) = location else { return nil }
        return try store.resolve(key: key, namespace: namespace)
    }

    // MARK: Previews

    func preview(_ artifact: Artifact, _ place: ArtifactPlace) throws -> JSONValue {
        if let location = try? ArtifactLocation(artifact), case .raw(let text) = location {
            return ArtifactPreview.file(Array(text.utf8), size: text.utf8.count, place)
        }
        guard let tree = try? tree(artifact) else {
            throw ServiceError.notFound(
                artifact.deleted
                    ? "artifact \(artifact.name) has been deleted"
                    : "artifact \(artifact.name) is not in this server's store; fetch it where it lies")
        }
        guard tree.isDirectory else {
            guard place.path.isEmpty else { throw Self.nothing(at: place.path, in: artifact) }
            return try file(store.openFile(tree), size: tree.bytes, place)
        }
        let manifest = try store.manifest(of: tree)
        let path = place.path.split(separator: "/").joined(separator: "/")
        if path.isEmpty { return directory(manifest, "", place) }
        guard let entry = manifest.entries.first(where: { $0.path == path }) else {
            throw Self.nothing(at: place.path, in: artifact)
        }
        switch entry.content {
        case .directory: return directory(manifest, path, place)
        case .file(let hash, let bytes): return try file(store.openBlob(hash), size: bytes, place)
        case .link(let target):
            let text = "link to \(target)"
            return ArtifactPreview.file(Array(text.utf8), size: text.utf8.count, place)
        }
    }

    private static func nothing(at path: String, in artifact: Artifact) -> ServiceError {
        .notFound("artifact \(artifact.name) has nothing at \(path.shortened)")
    }

    /// - Parameter descriptor: is closed.
    private func file(_ descriptor: Int32, size: Int, _ place: ArtifactPlace) throws -> JSONValue {
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: min(size, Self.textLimit))
        var filled = 0
        while filled < bytes.count {
            let wanted = bytes.count - filled
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress?.advanced(by: filled), wanted, off_t(filled))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        return ArtifactPreview.file(Array(bytes[..<filled]), size: size, place)
    }

    /// What is directly in a directory.
    private func directory(_ manifest: TreeManifest, _ path: String, _ place: ArtifactPlace) -> JSONValue {
        let prefix = path.isEmpty ? "" : path + "/"
        var entries: [JSONValue] = []
        var total = 0
        var isCut = false
        for entry in manifest.entries where entry.path.hasPrefix(prefix) {
            if case .file(_, let bytes) = entry.content { total += bytes }
            let name = entry.path.dropFirst(prefix.count)
            guard !name.isEmpty, !name.contains("/") else { continue }
            guard entries.count < Self.entryLimit else {
                isCut = true
                continue
            }
            entries.append(Self.entry(String(name), entry.content))
        }
        return .object([
            "kind": "directory", "bytes": .int(total), "truncated": .bool(isCut), "entries": .array(entries),
            "url": .string(place.url),
        ])
    }

    private static func entry(_ name: String, _ content: TreeEntry.Content) -> JSONValue {
        switch content {
        case .file(_, let bytes): ["name": .string(name), "kind": "file", "bytes": .int(bytes)]
        case .directory: ["name": .string(name), "kind": "directory", "bytes": nil]
        case .link: ["name": .string(name), "kind": "link", "bytes": nil]
        }
    }
}

extension TreeManifest {
    var fileCount: Int {
        entries.reduce(0) { count, entry in
            if case .file = entry.content { return count + 1 }
            return count
        }
    }
}
