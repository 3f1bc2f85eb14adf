// Hugging Face's cache as `huggingface_hub` lays it out, so that transformers, vLLM and others find what was
// downloaded, and what they downloaded is not fetched again.

import Glibc

/// The folder of one repository in the cache:
///
///     models--org--name/refs/main                 the commit that a revision stands for
///     models--org--name/blobs/<digest>            contents, each once
///     models--org--name/snapshots/<commit>/a/b    links to contents, relative
///     models--org--name/trees/<commit>.json       the listing of the commit
///     .locks/models--org--name/<digest>.lock      held while the content is fetched
package struct HubCache: SnapshotStore {
    package let root: String
    private let folder: String
    private let lockFolder: String

    /// - Parameter root: usually `~/.cache/huggingface/hub`.
    package init(root: String, repository: HubRepository) {
        self.root = root
        folder = "\(root)/\(repository.folderName)"
        lockFolder = "\(root)/.locks/\(repository.folderName)"
    }

    package func directory(commit: String) -> String { "\(folder)/snapshots/\(commit)" }

    package func place(of file: SourceFile) throws(DownloadError) -> FilePlace {
        // As the name of a file a tag can do harm; digests are checked by whoever reads them.
        guard let tag = file.tag, HubPath.normalizedETag(tag) == tag else {
            throw DownloadError(
                .server, path: file.path, problem: "the server tells neither digest nor usable ETag of it",
                remedy: "download into a directory with --local_dir")
        }
        return FilePlace(
            destination: "\(folder)/blobs/\(tag)", partial: "\(folder)/blobs/\(tag).incomplete",
            lock: "\(lockFolder)/\(tag).lock")
    }

    package func state(of file: SourceFile, at place: FilePlace, commit: String) -> FilePresence {
        // A blob of another length was damaged by whoever wrote it; it is fetched again.
        func isWhole(_ path: String) -> Bool {
            guard let status = Disk.targetStatus(path), status.kind == .file else { return false }
            return file.remote.sizeBytes == nil || file.remote.sizeBytes == status.sizeBytes
        }
        if isWhole(pointer(file, commit)) { return .complete }
        return isWhole(place.destination) ? .stored : .absent
    }

    package func begin(
        _ listing: SourceListing, wanted: [SourceFile]
    ) throws(DownloadError) {
        guard HubPath.isCommit(listing.commit) else {
            throw DownloadError(
                .server, path: listing.commit, problem: "the hub's name of a commit is no commit's",
                remedy: "check that the endpoint is a hub")
        }
        do {
            for directory in ["\(folder)/blobs", directory(commit: listing.commit), lockFolder] {
                try Disk.makeDirectories(directory)
            }
        } catch {
            throw DownloadError(error)
        }
        CacheTag.mark(root)
        TreeListing.save(listing, in: folder)
    }

    package func add(
        _ file: SourceFile, at place: FilePlace, commit: String
    ) throws(DownloadError) {
        let pointer = pointer(file, commit)
        let depth = file.path.utf8.count { $0 == UInt8(ascii: "/") }
        let target =
            String(repeating: "../", count: depth + 2) + "blobs/" + Disk.name(of: place.destination)
        if Disk.linkTarget(pointer) == target { return }
        do {
            try Disk.makeDirectories(Disk.parent(of: pointer))
        } catch {
            throw DownloadError(error)
        }
        // Under its name at once: another process may look for it at any moment.
        let temporary = "\(directory(commit: commit))/.\(Disk.uniqueSuffix()).tmp"
        if symlink(target, temporary) != 0 {
            let number = errno
            guard number == EPERM || number == ENOTSUP else {
                throw DownloadError(errno: number, path: pointer, while: "create the link")
            }
            // File systems without symbolic links.
            do {
                try FileTree.copy(place.destination, to: temporary)
            } catch {
                throw DownloadError(error)
            }
        }
        guard rename(temporary, pointer) == 0 else {
            let number = errno
            unlink(temporary)
            throw DownloadError(errno: number, path: pointer, while: "create the link")
        }
    }

    package func finish(_ listing: SourceListing, revision: String) throws(DownloadError) {
        guard revision != listing.commit, HubPath.isRevision(revision) else { return }
        let path = "\(folder)/refs/\(revision)"
        guard (try? Disk.read(path, limitBytes: 1024)) != Array(listing.commit.utf8) else { return }
        do {
            try Disk.makeDirectories(Disk.parent(of: path))
            try Disk.replace(path, with: Array(listing.commit.utf8), durable: false)
        } catch {
            throw DownloadError(error)
        }
    }

    package func existing(revision: String, filter: FileFilter) -> ExistingSnapshot? {
        guard HubPath.isRevision(revision) else { return nil }
        var commit = revision
        if !HubPath.isCommit(revision) {
            guard let bytes = try? Disk.read("\(folder)/refs/\(revision)", limitBytes: 1024) else {
                return nil
            }
            commit = String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
            guard HubPath.isCommit(commit) else { return nil }
        }
        return TreeListing.check(directory(commit: commit), commit: commit, folder: folder, filter: filter)
    }

    private func pointer(_ file: SourceFile, _ commit: String) -> String {
        "\(directory(commit: commit))/\(file.path)"
    }
}
