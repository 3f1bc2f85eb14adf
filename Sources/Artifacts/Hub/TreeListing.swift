// The listing of a commit, kept beside the files: with it anybody can tell offline whether all are there.

import Text

/// `trees/<commit>.json` of Hugging Face's cache. A commit never changes, so neither does its listing.
enum TreeListing {
    static let limitBytes = 1 << 30

    /// nil unless git's name of every file is known.
    static func json(_ listing: SourceListing) -> OrderedJSON? {
        var files: [(path: [UInt8], member: OrderedJSON.Member)] = []
        for file in listing.files {
            guard let object = file.gitObjectID, let size = file.remote.sizeBytes else { return nil }
            var entry: [OrderedJSON.Member] = [
                .init(key: "size", value: .int(size)), .init(key: "blob_id", value: .string(object)),
            ]
            if case .sha256(let digest) = file.remote.digest {
                entry.append(.init(key: "lfs_sha256", value: .string(digest)))
                entry.append(.init(key: "lfs_size", value: .int(size)))
            }
            files.append((Array(file.path.utf8), .init(key: file.path, value: .object(entry))))
        }
        files.sort { $0.path.lexicographicallyPrecedes($1.path) }
        return .object([
            .init(key: "format_version", value: .int(1)),
            .init(key: "files", value: .object(files.map(\.member))),
        ])
    }

    /// Paths and sizes of the files; nil without a listing that can be read.
    static func read(_ path: String) -> [(path: String, sizeBytes: Int?)]? {
        guard let bytes = try? Disk.read(path, limitBytes: limitBytes),
            let json = try? JSONValue(parsingUTF8: bytes), json["format_version"]?.intValue == 1,
            let files = json["files"]?.objectValue
        else { return nil }
        return files.map { path, entry in
            (path, entry["lfs_size"]?.intValue ?? entry["size"]?.intValue)
        }
    }

    /// - Parameter folder: of the repository.
    static func path(in folder: String, commit: String) -> String { "\(folder)/trees/\(commit).json" }

    /// Saves the listing unless it is there. One that cannot be saved is no failure.
    static func save(_ listing: SourceListing, in folder: String) {
        let path = path(in: folder, commit: listing.commit)
        guard HubPath.isCommit(listing.commit), !Disk.exists(path), let json = json(listing) else { return }
        try? Disk.makeDirectories(Disk.parent(of: path))
        try? Disk.replace(path, with: Array(json.prettyText.utf8), durable: false)
    }

    /// A snapshot compared with its listing.
    static func check(
        _ directory: String, commit: String, folder: String, filter: FileFilter
    ) -> ExistingSnapshot? {
        guard Disk.targetStatus(directory)?.kind == .directory else { return nil }
        guard let listed = read(path(in: folder, commit: commit)) else {
            let (files, bytes) = ExistingSnapshot.counted(directory, filter)
            guard files > 0 else { return nil }
            return ExistingSnapshot(
                directory: directory, commit: commit, missing: [], isListed: false, files: files,
                bytes: bytes)
        }
        var found = ExistingSnapshot(
            directory: directory, commit: commit, missing: [], isListed: true, files: 0, bytes: 0)
        for (path, size) in listed where filter.takes(path) && HubPath.problem(of: path) == nil {
            let status = Disk.targetStatus("\(directory)/\(path)")
            if let status, status.kind == .file, size == nil || size == status.sizeBytes {
                found.files += 1
                found.bytes += status.sizeBytes
            } else {
                found.missing.append(path)
            }
        }
        found.missing.sort()
        return found
    }
}
