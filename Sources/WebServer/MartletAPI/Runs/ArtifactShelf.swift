// The artifacts of a run's nodes as the store has them: what they are, and how they begin.

import Artifacts
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
    /// What a step calls the artifact's file, whose ending says what it is; empty for its name.
    var fileName = ""

    /// Where the bytes are.
    var url: String {
        let inside = path.isEmpty ? "" : "/" + PercentEncoding.encoded(path, keeping: "/")
        let (node, name) = (PercentEncoding.encoded(node), PercentEncoding.encoded(name))
        if inside.isEmpty { return "/\(isInput ? "input-" : "")artifacts-by-uid/\(uid)/\(node)/\(name)" }
        return "/artifact-files/\(PercentEncoding.encoded(namespace))/workflows/"
            + "\(PercentEncoding.encoded(run))/\(node)/\(isInput ? "inputs" : "outputs")/\(name)\(inside)"
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
            // What lies elsewhere is not asked for its size: a list of thousands would ask thousands of times.
            "place": .text((try? RemoteArtifact(artifact))?.display),
        ])
    }

    /// What the artifact's key names in the local store; nil for artifacts that lie elsewhere.
    func tree(_ artifact: Artifact) throws -> StoredTree? {
        guard let location = try ArtifactLocation(artifact), case .key(let key) = location else { return nil }
        return try store.resolve(key: key, namespace: namespace)
    }

    // MARK: Previews

    /// How a content begins. Blocks for as long as its server takes.
    static func preview(_ content: ArtifactContent, _ place: ArtifactPlace) throws -> JSONValue {
        switch content {
        case .text(let bytes): return ArtifactPreview.file(bytes, size: bytes.count, place)
        case .file(let source, _, let size):
            let bytes = try source.read(at: 0, count: min(size, textLimit))
            return ArtifactPreview.file(bytes, size: size, place)
        case .directory(let manifest, _, _): return directory(manifest, place)
        case .stream(let stream, _, let size):
            var bytes: [UInt8] = []
            while bytes.count <= textLimit, let piece = try stream.next() { bytes += piece }
            // Of a length that nobody told it is known that there is more.
            return ArtifactPreview.file(
                Array(bytes.prefix(textLimit)), size: max(size ?? 0, bytes.count), place)
        }
    }

    /// What is directly in a directory.
    private static func directory(_ manifest: TreeManifest, _ place: ArtifactPlace) -> JSONValue {
        var entries: [JSONValue] = []
        var total = 0
        var isCut = false
        for entry in manifest.entries {
            if case .file(_, let bytes) = entry.content { total += bytes }
            guard !entry.path.contains("/") else { continue }
            guard entries.count < entryLimit else {
                isCut = true
                continue
            }
            entries.append(Self.entry(entry.path, entry.content))
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
