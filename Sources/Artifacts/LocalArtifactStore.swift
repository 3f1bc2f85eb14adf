// The local artifact store: bytes by their content's hash, and references by key that name them.
//
//     artifacts/blobs/ab/<hash>            a file's bytes, or the list of a directory
//     artifacts/references/<namespace>/…   one small file a key
//     artifacts/temporary/                 what is being written
//     artifacts/lock                       held shared to look bytes up, exclusively to delete some

import Glibc
import WorkflowLanguage

/// Files and directories that steps gave, kept once each. All calls block; they belong on threads of their
/// own.
///
/// A crash at any instant leaves no half file visible: bytes are complete before they get their name, and a
/// key is published only after its bytes are there. With `isDurable`, `save` returns after the bytes would
/// survive a loss of power and `publish` after the key would; without it only a crash of the process is
/// survived. Saving the same content twice at once is harmless: both write the same bytes under the same
/// name.
///
/// What steps get are copies (shared blocks where the file system can), since a step may edit its input in
/// place. Hard links go only the other way, from the private directory of an attempt that has ended, and into
/// views that are bound read-only.
package final class LocalArtifactStore: Sendable {
    package let root: String
    let isDurable: Bool

    /// - Parameter directory: absolute, usually `artifacts` of the data directory; created when missing.
    package init(directory: String, isDurable: Bool = true) throws {
        root = directory
        self.isDurable = isDurable
        for name in ["blobs", "references", "temporary"] { try Disk.makeDirectories("\(root)/\(name)") }
        // Made once, so that saving a blob never has to look for its directory. The last one is there when all are.
        for first in Disk.exists("\(root)/blobs/ff") ? 0..<0 : 0..<256 {
            let digits = String(first, radix: 16)
            let path = "\(root)/blobs/\(first < 16 ? "0" + digits : digits)"
            if mkdir(path, 0o755) < 0 && errno != EEXIST {
                throw ArtifactError(errno: errno, path: path, while: "create the directory")
            }
        }
    }

    // MARK: Keys

    /// Makes a key name a tree that was saved, replacing what it named before.
    package func publish(key: String, namespace: String, tree: StoredTree) throws {
        let path = try referencePath(key: key, namespace: namespace)
        // Old bytes that get a new name must not be taken for garbage by a collection that runs just now.
        guard try StoreLock(root: root).renew(blobPath(tree.hash)) else {
            throw missing(tree.hash, named: key)
        }
        let reference = Reference(key: ReferencePath.normalized(key), tree: tree)
        do {
            try Disk.replace(path, with: reference.encoded, durable: isDurable)
        } catch  where error.kind == .notFound {
            try Disk.makeDirectories(Disk.parent(of: path))
            try Disk.replace(path, with: reference.encoded, durable: isDurable)
        }
    }

    /// What a key names. A key below one that names a directory means that part of it; a key that only stands
    /// before others means the directory they make. Nil when there is neither.
    package func resolve(key: String, namespace: String) throws -> StoredTree? {
        if let tree = try reference(key: key, namespace: namespace)?.tree { return tree }
        if let part = try partOfDirectory(key: key, namespace: namespace) { return part }
        return try directoryOfKeys(below: key, namespace: namespace)
    }

    /// Forgets a key. Its bytes go with the next collection of garbage unless another key names them.
    package func delete(key: String, namespace: String) throws {
        let path = try referencePath(key: key, namespace: namespace)
        guard unlink(path) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw ArtifactError(errno: errno, path: path, while: "delete")
        }
        var directory = Disk.parent(of: path)
        let top = "\(root)/references"
        while directory.utf8.count > top.utf8.count, rmdir(directory) == 0 {
            directory = Disk.parent(of: directory)
        }
    }

    /// Keys that begin with a prefix, in the order of their bytes. A directory that was saved loose
    /// (`archive: none`) counts as one key a file, as it would in S3.
    package func keys(prefix: String, namespace: String) throws -> [String] {
        // Only whole parts of the prefix narrow the search; the rest is compared.
        let parts = ReferencePath.parts(of: prefix)
        let whole = prefix.hasSuffix("/") ? parts[...] : parts.dropLast()
        let directory = ReferencePath.directory(key: whole.joined(separator: "/"))
        let base = "\(namespaceDirectory(namespace))/\(directory)"
        let wanted = prefix.hasSuffix("/") ? parts.joined(separator: "/") + "/" : parts.joined(separator: "/")
        var keys: [String] = []
        for reference in references(below: base) {
            if reference.tree.isDirectory && reference.tree.archive == .none {
                for entry in try manifest(of: reference.tree).entries {
                    if case .file = entry.content { keys.append(reference.key + "/" + entry.path) }
                }
            } else {
                keys.append(reference.key)
            }
        }
        if let above = try directoryHolding(key: wanted, namespace: namespace) {
            for entry in try manifest(of: above.tree).entries {
                if case .file = entry.content { keys.append(above.key + "/" + entry.path) }
            }
        }
        let isAll = wanted.isEmpty || wanted == "/"
        return Set(keys).filter { isAll || $0.hasPrefix(wanted) }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    // MARK: Bytes

    /// A file's bytes, open for reading; the caller closes the descriptor.
    package func openFile(_ tree: StoredTree) throws -> Int32 {
        precondition(!tree.isDirectory, "a directory has no bytes of its own")
        return try openBlob(tree.hash)
    }

    /// What is in a stored directory; with `openBlob` all that a download as tar needs.
    package func manifest(of tree: StoredTree) throws -> TreeManifest {
        precondition(tree.isDirectory, "a file has no entries")
        let file = try openBlob(tree.hash)
        defer { close(file) }
        let path = blobPath(tree.hash)
        let bytes = try Disk.read(descriptor: file, path: path, limitBytes: TreeManifest.sizeLimit)
        return try TreeManifest(decoding: bytes, path: path)
    }

    /// The bytes of a file of a directory, open for reading; the caller closes the descriptor.
    package func openBlob(_ hash: String) throws -> Int32 {
        let file = open(blobPath(hash), O_RDONLY | O_CLOEXEC)
        if file >= 0 { return file }
        if errno == ENOENT { throw missing(hash, named: "") }
        throw ArtifactError(errno: errno, path: blobPath(hash), while: "open")
    }

    func blobPath(_ hash: String) -> String { "\(root)/blobs/\(hash.prefix(2))/\(hash)" }

    private func missing(_ hash: String, named key: String) -> ArtifactError {
        ArtifactError(
            .notFound, path: key.isEmpty ? blobPath(hash) : key, problem: "the store lacks the bytes \(hash)",
            remedy: "run the step that made the artifact again")
    }

    // MARK: References

    func namespaceDirectory(_ namespace: String) -> String {
        "\(root)/references/\(ReferencePath.encoded(Substring(namespace.isEmpty ? "default" : namespace)))"
    }

    private func referencePath(key: String, namespace: String) throws -> String {
        guard let file = ReferencePath.file(key: key) else {
            throw ArtifactError(
                .unsupported, path: key, problem: "the key is empty", remedy: "give it a name")
        }
        return "\(namespaceDirectory(namespace))/\(file)"
    }

    private func reference(key: String, namespace: String) throws -> Reference? {
        guard !ReferencePath.parts(of: key).isEmpty else { return nil }
        return readReference(try referencePath(key: key, namespace: namespace))
    }

    private func readReference(_ path: String) -> Reference? {
        guard let bytes = try? Disk.read(path, limitBytes: Reference.sizeLimit) else { return nil }
        return Reference(decoding: bytes)
    }

    /// All references in a directory and below it, half-written ones left out.
    func references(below directory: String) -> [Reference] {
        var found: [Reference] = []
        var pending = [directory]
        while let path = pending.popLast() {
            for name in Disk.list(path) ?? [] {
                let inside = "\(path)/\(name)"
                if name.hasPrefix("=") {
                    if let reference = readReference(inside) { found.append(reference) }
                } else if Disk.status(inside)?.kind == .directory {
                    pending.append(inside)
                }
            }
        }
        return found
    }

    /// The nearest key above this one that names a directory.
    private func directoryHolding(key: String, namespace: String) throws -> Reference? {
        var parts = ReferencePath.parts(of: key)
        while parts.count > 1 {
            parts.removeLast()
            if let found = try reference(key: parts.joined(separator: "/"), namespace: namespace) {
                return found.tree.isDirectory ? found : nil
            }
        }
        return nil
    }

    private func partOfDirectory(key: String, namespace: String) throws -> StoredTree? {
        guard let above = try directoryHolding(key: key, namespace: namespace) else { return nil }
        let rest = String(ReferencePath.normalized(key).dropFirst(above.key.count + 1))
        return try part(of: above.tree, path: rest)
    }

    private func directoryOfKeys(below key: String, namespace: String) throws -> StoredTree? {
        let base = "\(namespaceDirectory(namespace))/\(ReferencePath.directory(key: key))"
        let found = references(below: base)
        guard !found.isEmpty else { return nil }
        let prefixLength = ReferencePath.normalized(key).utf8.count
        var builder = TreeBuilder()
        for reference in found {
            let rest = String(decoding: Array(reference.key.utf8.dropFirst(prefixLength)), as: UTF8.self)
            let path = ReferencePath.normalized(rest)
            let inside = reference.tree.isDirectory ? try manifest(of: reference.tree) : nil
            builder.add(reference.tree, manifest: inside, at: path)
        }
        return try saveManifest(TreeManifest(mode: 0o755, entries: builder.entries), archive: .none)
    }
}

/// The store's lock, opened once for an operation that takes it several times.
final class StoreLock {
    private let descriptor: Int32
    private let path: String

    init(root: String) throws {
        path = root + "/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw ArtifactError(errno: errno, path: path, while: "open") }
    }

    deinit { close(descriptor) }

    /// Makes a blob young, which keeps it from a collection of garbage. False when it is not there.
    func renew(_ path: String) throws -> Bool {
        try take(LOCK_SH)
        defer { release() }
        return utimensat(AT_FDCWD, path, nil, 0) == 0
    }

    /// Waits for whoever holds the lock in another way.
    func take(_ kind: Int32) throws {
        while flock(descriptor, kind) < 0 {
            if errno != EINTR { throw ArtifactError(errno: errno, path: path, while: "lock") }
        }
    }

    func release() { _ = flock(descriptor, LOCK_UN) }
}
