// A file or a directory on its way into a bucket.

import Glibc

/// Saves under one key. An upload that is interrupted leaves nothing that `S3TreeDownload` would see: a directory
/// counts from the moment its manifest is there, and a directory that replaces another is written beside it.
struct S3TreeUpload {
    let client: S3Client
    let key: String
    var isCancelled: @Sendable () -> Bool = { false }
    /// Small files sent at once.
    static let filesAtOnce = 16
    /// The metadata that names an object's SHA-256.
    static let digestName = "martlet-sha256"
    private static let depthLimit = 256

    private var manifestKey: String { "\(key)/\(S3TreeManifest.name)" }
    private var markerKey: String { "\(key)/\(S3TreeManifest.marker)" }

    /// What was saved.
    struct Saved: Sendable, Hashable {
        var files: Int
        var bytes: Int
    }

    /// - Throws: `ArtifactError`.
    func save(_ path: String) throws -> Saved {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw ArtifactError(errno: errno, path: path, while: "read") }
        defer { close(file) }
        guard let status = Disk.status(descriptor: file) else {
            throw ArtifactError(errno: errno, path: path, while: "look at")
        }
        switch status.kind {
        case .file:
            let upload = S3Upload(descriptor: file, path: path, sizeBytes: status.sizeBytes)
            _ = try send(upload, to: key)
            try removeDirectory()
            return Saved(files: 1, bytes: status.sizeBytes)
        case .directory: return try saveDirectory(path, mode: status.mode)
        default: throw ArtifactError(.unsupported, path: path, problem: "is neither a file nor a directory")
        }
    }

    /// - Returns: the file's SHA-256.
    private func send(_ upload: S3Upload, to key: String) throws -> String {
        let digest = try Self.digest(of: upload)
        _ = try client.put(
            file: upload, at: key, metadata: [(name: Self.digestName, value: digest)],
            isCancelled: isCancelled)
        // Who writes while we send would otherwise make an object that disagrees with its own digest.
        let size = Disk.status(descriptor: upload.descriptor)?.sizeBytes
        guard size == upload.sizeBytes else {
            throw ArtifactError(
                .invalid, path: upload.path, problem: "changed while it was sent",
                remedy: "save it after whoever writes it is done")
        }
        return digest
    }

    private func saveDirectory(_ path: String, mode: UInt32) throws -> Saved {
        let earlier = try client.get(manifestKey)
        let isFresh = try client.list(prefix: key + "/", limit: 1).isEmpty
        let location = isFresh ? key : "\(key)/.martlet/\(Disk.uniqueSuffix())"
        var manifest = S3TreeManifest(location: location, mode: mode)
        try walk(path, prefix: "", into: &manifest, depth: 0)
        for file in manifest.files { _ = try client.bucket.checked("\(location)/\(file.path)") }
        if isFresh { _ = try client.put([], at: markerKey) }
        let hashes = try sendFiles(manifest, from: path)
        for index in manifest.files.indices { manifest.files[index].sha256 = hashes[index] }
        let condition = earlier.map { S3Condition.matches(etag: $0.etag) } ?? .absent
        let etag = try client.put(
            manifest.encoded, at: manifestKey, condition: condition, type: "application/json")
        // An answer that was lost on the way makes the second try meet the first one's object.
        guard try etag != nil || client.get(manifestKey)?.body == manifest.encoded else {
            throw ArtifactError(
                .transfer, path: client.bucket.display(key),
                problem: "another writer saved this key at the same time; theirs is kept",
                remedy: "give each step a key of its own")
        }
        try removeLeftovers(keeping: manifest)
        return Saved(files: manifest.files.count, bytes: manifest.files.reduce(0) { $0 + $1.sizeBytes })
    }

    private func sendFiles(_ manifest: S3TreeManifest, from path: String) throws -> [String] {
        let (files, location) = (manifest.files, manifest.location)
        let sender = self
        return try ParallelLoop.map(files.count, threads: Self.filesAtOnce) { index in
            if sender.isCancelled() { throw S3Client.cancelled(sender.client.bucket.display(sender.key)) }
            let name = "\(path)/\(files[index].path)"
            let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { throw ArtifactError(errno: errno, path: name, while: "read") }
            defer { close(descriptor) }
            let upload = S3Upload(descriptor: descriptor, path: name, sizeBytes: files[index].sizeBytes)
            return try sender.send(upload, to: "\(location)/\(files[index].path)")
        }
    }

    /// Links are kept as links; sockets, pipes and devices are left out.
    private func walk(
        _ path: String, prefix: String, into manifest: inout S3TreeManifest, depth: Int
    ) throws(ArtifactError) {
        guard depth < Self.depthLimit else {
            throw ArtifactError(.unsupported, path: path, problem: "directories are nested too deeply")
        }
        guard let names = Disk.list(path) else {
            throw ArtifactError(errno: errno, path: path, while: "read the directory")
        }
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let (inside, relative) = ("\(path)/\(name)", prefix + name)
            guard let status = Disk.status(inside) else { continue }
            switch status.kind {
            case .file:
                manifest.files.append(
                    .init(path: relative, sizeBytes: status.sizeBytes, sha256: "", mode: status.mode))
            case .directory:
                manifest.directories.append((path: relative, mode: status.mode))
                try walk(inside, prefix: relative + "/", into: &manifest, depth: depth + 1)
            case .link:
                manifest.links.append(.init(path: relative, target: Disk.linkTarget(inside) ?? ""))
            case .other: continue
            }
            guard manifest.files.count <= S3Client.listLimit else {
                throw ArtifactError(
                    .unsupported, path: path, problem: "more than \(S3Client.listLimit) files",
                    remedy: "pack them into one archive")
            }
        }
    }

    /// What the key held before: a file of that name, the files of an earlier tree, an interrupted upload's.
    private func removeLeftovers(keeping manifest: S3TreeManifest) throws {
        var kept = Set(manifest.files.map { "\(manifest.location)/\($0.path)" })
        kept.insert(manifestKey)
        var gone = try client.list(prefix: key + "/").map(\.key).filter { !kept.contains($0) }
        if try client.head(key) != nil { gone.append(key) }
        try remove(gone)
    }

    /// A file replaces what was a directory before.
    private func removeDirectory() throws {
        let inside = try client.list(prefix: key + "/").map(\.key)
        // The manifest goes first: without it the rest counts for nothing.
        if inside.contains(manifestKey) {
            try client.delete(manifestKey)
            try remove(inside.filter { $0 != manifestKey })
        }
    }

    private func remove(_ keys: [String]) throws {
        let client = client
        _ = try ParallelLoop.map(keys.count, threads: Self.filesAtOnce) { try client.delete(keys[$0]) }
    }

    private static func digest(of upload: S3Upload) throws(ArtifactError) -> String {
        var hash = ContentHash()
        var offset = 0
        while offset < upload.sizeBytes {
            let count = min(1 << 20, upload.sizeBytes - offset)
            let bytes = try S3Client.read(upload, at: offset, count: count)
            bytes.withUnsafeBytes { hash.update($0) }
            offset += count
        }
        return hash.finished()
    }
}
