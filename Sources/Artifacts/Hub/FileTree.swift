// Files of a snapshot taken to where they are wanted: as links to the same bytes, or as copies.

import Glibc

enum FileTree {
    /// Copies a file, sharing its blocks where the file system can; links are followed.
    static func copy(_ source: String, to target: String) throws(ArtifactError) {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ArtifactError(errno: errno, path: source, while: "read") }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard output >= 0 else { throw ArtifactError(errno: errno, path: target, while: "create") }
        defer { close(output) }
        let error = FileCopy.copy(from: input, to: output)
        guard error == 0 else {
            unlink(target)
            throw ArtifactError(errno: error, path: target, while: "write")
        }
    }

    /// A second name for the file where that can be, else a copy.
    static func link(_ source: String, to target: String) throws(ArtifactError) {
        if linkat(AT_FDCWD, source, AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0 { return }
        try copy(source, to: target)
    }
}

extension SnapshotResult {
    /// Puts the files of the snapshot into a directory of their own, which replaces what is there. It appears
    /// complete or not at all.
    /// - Parameter isLinked: the files become second names of the same bytes. Only for bytes that nobody else
    ///   uses: whoever changes the one changes the other.
    package func export(to target: String, isLinked: Bool) throws(DownloadError) {
        let staging = "\(target).\(Disk.uniqueSuffix())"
        do throws(ArtifactError) {
            try Disk.makeDirectories(staging)
            for path in paths {
                let (source, copy) = ("\(directory)/\(path)", "\(staging)/\(path)")
                try Disk.makeDirectories(Disk.parent(of: copy))
                if isLinked {
                    try FileTree.link(source, to: copy)
                } else {
                    try FileTree.copy(source, to: copy)
                }
            }
            Disk.removeTree(target)
            guard rename(staging, target) == 0 else {
                throw ArtifactError(errno: errno, path: target, while: "rename into place")
            }
        } catch {
            Disk.removeTree(staging)
            throw DownloadError(error)
        }
    }
}
