// Whether all bytes of a tree are there, for those who want to use it much later than it was saved.

extension LocalArtifactStore {
    /// Looks at every file of the tree, but reads none.
    package func isWhole(_ tree: StoredTree) -> Bool {
        guard Disk.exists(blobPath(tree.hash)) else { return false }
        guard tree.isDirectory else { return true }
        guard let manifest = try? manifest(of: tree) else { return false }
        return manifest.entries.allSatisfy { entry in
            if case .file(let hash, _) = entry.content { return Disk.exists(blobPath(hash)) }
            return true
        }
    }
}
