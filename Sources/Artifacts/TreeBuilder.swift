// Puts stored trees together into one directory: keys with a common beginning read as one artifact.

/// Collects entries by path; of two under one path the later counts.
struct TreeBuilder {
    private var byPath: [String: TreeEntry] = [:]

    /// Each directory comes before what is in it, since its path is the beginning of theirs.
    var entries: [TreeEntry] {
        byPath.values.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    /// - Parameter manifest: of a directory; nil for a file.
    mutating func add(_ tree: StoredTree, manifest: TreeManifest?, at path: String) {
        var parents = path.split(separator: "/")
        while parents.count > 1 {
            parents.removeLast()
            let parent = parents.joined(separator: "/")
            if byPath[parent] == nil {
                byPath[parent] = TreeEntry(path: parent, mode: 0o755, content: .directory)
            }
        }
        guard let manifest else {
            byPath[path] = TreeEntry(
                path: path, mode: tree.mode, content: .file(hash: tree.hash, bytes: tree.bytes))
            return
        }
        byPath[path] = TreeEntry(path: path, mode: manifest.mode, content: .directory)
        for entry in manifest.entries {
            var entry = entry
            entry.path = path + "/" + entry.path
            byPath[entry.path] = entry
        }
    }
}
