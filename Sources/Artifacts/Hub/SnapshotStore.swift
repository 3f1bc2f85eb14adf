// Where a snapshot lies on this machine, and what other tools expect to find beside it.

/// The files of one source on disk.
package protocol SnapshotStore: Sendable {
    /// The file system that all bytes go to: a directory, which need not exist yet.
    var root: String { get }
    /// Where the files of a commit lie under their paths.
    func directory(commit: String) -> String
    /// Where the content of a file goes.
    /// - Throws: `DownloadError` for a file that this store cannot take.
    func place(of file: SourceFile) throws(DownloadError) -> FilePlace
    /// How much of a file is there.
    func state(of file: SourceFile, at place: FilePlace, commit: String) -> FilePresence
    /// Makes a file whose content is in its place part of the commit. Doing it twice is harmless.
    func add(_ file: SourceFile, at place: FilePlace, commit: String) throws(DownloadError)
    /// Called before the first file of a listing is fetched.
    /// - Parameter wanted: the files of the listing that are to be there.
    func begin(_ listing: SourceListing, wanted: [SourceFile]) throws(DownloadError)
    /// Called when all wanted files of a listing are there.
    func finish(_ listing: SourceListing, revision: String) throws(DownloadError)
    /// What is there of a revision, without asking anybody.
    func existing(revision: String, filter: FileFilter) -> ExistingSnapshot?
}

/// The paths of one file while it is fetched.
package struct FilePlace: Sendable, Hashable {
    package var destination: String
    package var partial: String
    /// Held by the process that fetches it.
    package var lock: String
}

package enum FilePresence: Sendable, Hashable {
    /// Part of the commit; nothing is to be done.
    case complete
    /// The content is there, but not under the commit.
    case stored
    case absent
}

/// A snapshot that was found on disk.
package struct ExistingSnapshot: Sendable, Hashable {
    package var directory: String
    package var commit: String
    /// Wanted files that are not there; empty also where nobody knows which files the commit has.
    package var missing: [String]
    /// Whether it is known which files the commit has.
    package var isListed: Bool
    package var files: Int
    package var bytes: Int

    package var isComplete: Bool { isListed && missing.isEmpty }
}

extension ExistingSnapshot {
    /// Files below a directory that a filter takes; hidden directories at the top are bookkeeping.
    static func counted(_ directory: String, _ filter: FileFilter) -> (files: Int, bytes: Int) {
        var (files, bytes) = (0, 0)
        func count(_ inside: String, _ depth: Int) {
            let names = Disk.list(inside.isEmpty ? directory : "\(directory)/\(inside)") ?? []
            for name in names where depth < 64 {
                let path = inside.isEmpty ? name : "\(inside)/\(name)"
                if Disk.status("\(directory)/\(path)")?.kind == .directory {
                    if path != ".cache" { count(path, depth + 1) }
                } else if let status = Disk.targetStatus("\(directory)/\(path)"), status.kind == .file,
                    filter.takes(path)
                {
                    files += 1
                    bytes += status.sizeBytes
                }
            }
        }
        count("", 0)
        return (files, bytes)
    }
}

/// What makes a directory a cache for programs that make backups.
enum CacheTag {
    /// The first line is the standard's; the rest is free text.
    static let text = """
        Signature: 8a477f597d28d172789f06886806bc55
        # This directory is a cache of downloads; it need not be saved. See https://bford.info/cachedir/

        """

    /// Marks the directory unless it is marked. A mark that cannot be written is no failure.
    static func mark(_ directory: String) {
        let path = directory + "/CACHEDIR.TAG"
        if !Disk.exists(path) { try? Disk.write(Array(text.utf8), to: path) }
    }
}
