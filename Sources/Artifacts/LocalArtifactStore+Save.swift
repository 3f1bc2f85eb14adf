// Taking files and directories into the store.

import Glibc
package import WorkflowLanguage

extension LocalArtifactStore {
    /// Whether the store may keep the file itself instead of a copy of it.
    package enum Source: Sendable {
        /// Others may still write to the file: it is copied.
        case shared
        /// The private file of an attempt that has ended: it is linked where the file system allows it.
        case attemptEnded
    }

    /// Takes in a file or a directory with all below it. Links are kept as links; sockets, pipes and devices
    /// are left out. Times and owners are not kept.
    /// - Throws: `ArtifactError`, for a path that does not exist with the kind `notFound`.
    package func save(
        path: String, archive: ArchiveStrategy = .tar, source: Source = .shared
    ) throws -> StoredTree {
        let saving = try Saving(store: self, source: source)
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        defer { close(file) }
        guard let status = Disk.status(descriptor: file) else {
            throw ArtifactError(errno: errno, path: path, while: "look at")
        }
        switch status.kind {
        case .file:
            let (hash, bytes) = try saving.saveFile(file, status: status, path: path)
            saving.finish()
            return StoredTree(
                hash: hash, bytes: bytes, isDirectory: false, mode: status.mode, archive: archive)
        case .directory:
            try saving.walk(file, path: path, prefix: "", depth: 0)
            let tree = try saveManifest(
                TreeManifest(mode: status.mode, entries: saving.entries), archive: archive)
            saving.finish()
            return tree
        default:
            throw ArtifactError(.unsupported, path: path, problem: "is neither a file nor a directory")
        }
    }

    /// Takes in bytes as a file.
    package func save(bytes: [UInt8], archive: ArchiveStrategy = .none) throws -> StoredTree {
        let hash = ContentHash.of(bytes)
        let path = blobPath(hash)
        if try !StoreLock(root: root).renew(path) { try Disk.replace(path, with: bytes, durable: isDurable) }
        return StoredTree(hash: hash, bytes: bytes.count, isDirectory: false, mode: 0o644, archive: archive)
    }

    func saveManifest(_ manifest: TreeManifest, archive: ArchiveStrategy) throws -> StoredTree {
        let stored = try save(bytes: manifest.encoded)
        return StoredTree(
            hash: stored.hash, bytes: manifest.bytes, isDirectory: true, mode: manifest.mode, archive: archive
        )
    }

    /// The part of a stored directory at a relative path, or the tree itself for an empty one; nil for
    /// nothing.
    package func part(of tree: StoredTree, path: String) throws -> StoredTree? {
        guard !ReferencePath.parts(of: path).isEmpty else { return tree }
        guard tree.isDirectory else { return nil }
        switch try manifest(of: tree).descendant(path) {
        case .directory(let manifest): return try saveManifest(manifest, archive: tree.archive)
        case .entry(let entry):
            guard case .file(let hash, let bytes) = entry.content else { return nil }
            return StoredTree(
                hash: hash, bytes: bytes, isDirectory: false, mode: entry.mode, archive: tree.archive)
        case nil: return nil
        }
    }
}

/// One call of `save` on its way.
private final class Saving {
    private static let depthLimit = 256
    /// Beyond so many new files one wait for all disks is cheaper than one for each.
    private static let singleSyncLimit = 16

    let store: LocalArtifactStore
    let source: LocalArtifactStore.Source
    private let lock: StoreLock
    private(set) var entries: [TreeEntry] = []
    private var newFiles = 0
    private let buffer: UnsafeMutableRawBufferPointer

    init(store: LocalArtifactStore, source: LocalArtifactStore.Source) throws {
        self.store = store
        self.source = source
        lock = try StoreLock(root: store.root)
        buffer = .allocate(byteCount: 1 << 18, alignment: 4096)
    }

    deinit { buffer.deallocate() }

    /// Directories are reached through their parent's descriptor, so that nobody can swap one for a link
    /// meanwhile.
    func walk(_ descriptor: Int32, path: String, prefix: String, depth: Int) throws {
        guard depth < Self.depthLimit, let directory = fdopendir(dup(descriptor)) else {
            throw ArtifactError(.unsupported, path: path, problem: "directories are nested too deeply")
        }
        defer { closedir(directory) }
        let names = Disk.names(in: directory)
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            guard entries.count < TreeManifest.entryLimit else {
                throw ArtifactError(
                    .unsupported, path: path, problem: "more than \(TreeManifest.entryLimit) files",
                    remedy: "pack them into one archive")
            }
            try add(name, in: descriptor, path: "\(path)/\(name)", relative: prefix + name, depth: depth)
        }
    }

    private func add(
        _ name: String, in directory: Int32, path: String, relative: String, depth: Int
    ) throws {
        let file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else {
            let error = errno
            if error == ELOOP, let target = Disk.linkTarget(name, in: directory) {
                entries.append(TreeEntry(path: relative, mode: 0, content: .link(target: target)))
                return
            }
            // A socket, and a device without its driver.
            if error == ENXIO || error == ENODEV { return }
            throw ArtifactError(errno: error, path: path, while: "read")
        }
        defer { close(file) }
        guard let status = Disk.status(descriptor: file) else { return }
        switch status.kind {
        case .file:
            let (hash, bytes) = try saveFile(file, status: status, path: path)
            entries.append(
                TreeEntry(path: relative, mode: status.mode, content: .file(hash: hash, bytes: bytes)))
        case .directory:
            entries.append(TreeEntry(path: relative, mode: status.mode, content: .directory))
            try walk(file, path: path, prefix: relative + "/", depth: depth + 1)
        default: return
        }
    }

    /// Returns the hash and how many bytes were hashed.
    func saveFile(_ file: Int32, status: Disk.Status, path: String) throws -> (String, Int) {
        let (hash, bytes) = try contentHash(file, path: path)
        let target = store.blobPath(hash)
        if try lock.renew(target) { return (hash, bytes) }
        newFiles += 1
        let syncsEach = store.isDurable && newFiles <= Self.singleSyncLimit
        // A second name elsewhere means that something else may write to the file.
        if case .attemptEnded = source, status.links == 1 {
            if syncsEach && fsync(file) < 0 {
                throw ArtifactError(errno: errno, path: path, while: "save to disk")
            }
            if linkat(AT_FDCWD, "/proc/self/fd/\(file)", AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0 {
                return (hash, bytes)
            }
            if errno == EEXIST { return (hash, bytes) }
        }
        try copy(file, to: target, expected: hash, path: path, syncs: syncsEach)
        return (hash, bytes)
    }

    private func copy(_ file: Int32, to target: String, expected: String, path: String, syncs: Bool) throws {
        let temporary = "\(store.root)/temporary/\(Disk.uniqueSuffix())"
        let copy = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
        guard copy >= 0 else { throw ArtifactError(errno: errno, path: temporary, while: "create") }
        defer { close(copy) }
        var error = FileCopy.copy(from: file, to: copy)
        if error == 0 && syncs && fsync(copy) < 0 { error = errno }
        guard error == 0 else {
            unlink(temporary)
            throw ArtifactError(errno: error, path: temporary, while: "copy \(path)")
        }
        // Somebody may have written to the file after it was hashed; what is stored must be what its name
        // says.
        if case .shared = source {
            lseek(copy, 0, SEEK_SET)
            guard try contentHash(copy, path: temporary).0 == expected else {
                unlink(temporary)
                throw ArtifactError(
                    .invalid, path: path, problem: "was changed while it was saved",
                    remedy: "let only one step write to it")
            }
        }
        guard rename(temporary, target) == 0 else {
            let error = errno
            unlink(temporary)
            throw ArtifactError(errno: error, path: target, while: "rename into place")
        }
    }

    private func contentHash(_ file: Int32, path: String) throws -> (String, Int) {
        var hash = ContentHash()
        var bytes = 0
        while true {
            let length = read(file, buffer.baseAddress, buffer.count)
            if length < 0 && errno == EINTR { continue }
            if length < 0 { throw ArtifactError(errno: errno, path: path, while: "read") }
            if length == 0 { return (hash.finished(), bytes) }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[0..<length]))
            bytes += length
        }
    }

    /// Waits for what was not waited for file by file.
    func finish() {
        if store.isDurable && newFiles > Self.singleSyncLimit { sync() }
    }
}
