// Laying stored trees out as files.

import Glibc

extension LocalArtifactStore {
    package enum Access: Sendable {
        /// Copies that their owner may edit; blocks are shared where the file system can.
        case writable
        /// Hard links into the store, for a place that its reader sees read-only and nobody else writes to.
        case readOnly
    }

    /// Creates the file or directory at `path`, whose parent must exist and whose own place must be free.
    /// - Parameters:
    ///   - mode: permission bits in place of those saved.
    ///   - recurseMode: whether `mode` also applies to all below a directory.
    package func materialize(
        _ tree: StoredTree, at path: String, access: Access = .writable, mode: UInt32? = nil,
        recurseMode: Bool = false
    ) throws {
        guard tree.isDirectory else {
            return try materializeFile(tree.hash, at: path, mode: mode ?? tree.mode, access: access)
        }
        let manifest = try manifest(of: tree)
        var modes: [(path: String, mode: UInt32)] = []
        try makeDirectory(path)
        modes.append((path, mode ?? manifest.mode))
        for entry in manifest.entries {
            let target = "\(path)/\(entry.path)"
            switch entry.content {
            case .directory:
                try makeDirectory(target)
                modes.append((target, recurseMode ? mode ?? entry.mode : entry.mode))
            case .file(let hash, _):
                let bits = recurseMode ? mode ?? entry.mode : entry.mode
                try materializeFile(hash, at: target, mode: bits, access: access)
            case .link(let link):
                guard symlink(link, target) == 0 else {
                    throw ArtifactError(errno: errno, path: target, while: "create the link")
                }
            }
        }
        // Deepest first, since a directory may lose the right to enter it.
        for (directory, bits) in modes.reversed() where bits != 0o755 {
            guard chmod(directory, bits) == 0 else {
                throw ArtifactError(errno: errno, path: directory, while: "set the mode of")
            }
        }
    }

    private func makeDirectory(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 else {
            throw ArtifactError(errno: errno, path: path, while: "create the directory")
        }
    }

    private func materializeFile(_ hash: String, at path: String, mode: UInt32, access: Access) throws {
        if case .readOnly = access, linkFile(hash, at: path, mode: mode) { return }
        let source = try openBlob(hash)
        defer { close(source) }
        let target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode | 0o200)
        guard target >= 0 else { throw ArtifactError(errno: errno, path: path, while: "create") }
        defer { close(target) }
        let error = FileCopy.copy(from: source, to: target)
        guard error == 0 else { throw ArtifactError(errno: error, path: path, while: "write") }
        // The process's mask takes bits away when a file is made.
        guard fchmod(target, mode) == 0 else {
            throw ArtifactError(errno: errno, path: path, while: "set the mode of")
        }
    }

    /// False where there can be no link, or the mode would be another: it belongs to the bytes, not to the
    /// name.
    private func linkFile(_ hash: String, at path: String, mode: UInt32) -> Bool {
        let blob = blobPath(hash)
        guard let status = Disk.status(blob), (status.mode & 0o111 != 0) == (mode & 0o111 != 0),
            status.mode & 0o400 != 0
        else { return false }
        return link(blob, path) == 0
    }
}
