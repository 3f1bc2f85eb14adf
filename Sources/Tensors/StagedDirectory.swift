// A directory that appears at its path complete and on disk, or not at all.

import Glibc

/// A directory that is filled under a temporary name beside its place. Without `commit` it is deleted.
package final class StagedDirectory {
    /// Where to write.
    package let stagingPath: String
    private let path: String
    private let parent: String
    private let asidePath: String
    private var isCommitted = false

    /// - Throws: when the directory cannot be made; its parents are.
    package init(path: String) throws(FileError) {
        var path = path[...]
        while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        guard let name = path.split(separator: "/").last, name != ".", name != "..", !path.utf8.contains(0)
        else {
            throw FileError(
                path: String(path), problem: "this is not the name of a directory that can be made",
                remedy: "give a new name")
        }
        let prefix = path.dropLast(name.count)
        self.path = String(path)
        parent = prefix.isEmpty ? "." : String(prefix)
        var random = SystemRandomNumberGenerator()
        let stem = "\(prefix).\(name.prefix(100)).\(String(random.next(), radix: 16))"
        (stagingPath, asidePath) = (stem + ".tmp", stem + ".old")
        try Self.makeDirectories(parent)
        guard mkdir(stagingPath, 0o755) == 0 else {
            throw FileError(errno: errno, path: self.path, while: "create")
        }
    }

    deinit {
        if !isCommitted { Self.remove(stagingPath) }
    }

    /// Brings the directory to disk and gives it its name. What had the name before is deleted, after the new
    /// one has taken its place; a crash between leaves it beside, under a name with a dot.
    package func commit() throws(FileError) {
        try Self.sync(stagingPath)
        let hadOther = rename(path, asidePath) == 0
        guard hadOther || errno == ENOENT else {
            throw FileError(errno: errno, path: path, while: "replace")
        }
        guard rename(stagingPath, path) == 0 else {
            let number = errno
            if hadOther { rename(asidePath, path) }
            throw FileError(errno: number, path: path, while: "rename")
        }
        isCommitted = true
        try Self.sync(parent)
        if hadOther { Self.remove(asidePath) }
    }

    private static func makeDirectories(_ path: String) throws(FileError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += "\(part)/"
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else {
                throw FileError(errno: errno, path: made, while: "create")
            }
        }
    }

    private static func sync(_ directory: String) throws(FileError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(errno: errno, path: directory, while: "open") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(errno: errno, path: directory, while: "write") }
    }

    /// Deletes a tree, following no links. What cannot be deleted stays: the work is done by then.
    private static func remove(_ path: String) {
        if unlink(path) == 0 || errno != EISDIR { return }
        for name in names(in: path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    /// The names in a directory but for `.` and `..`, sorted; none if it cannot be read.
    package static func names(in directory: String) -> [String] {
        guard let listing = opendir(directory) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

// MARK: The place

extension StagedDirectory {
    /// Why a model must not be written to `path`, and what to do; nil if it may.
    /// - Parameters:
    ///   - existOK: another model there may be replaced.
    ///   - sources: directories that are read meanwhile.
    package static func obstacle(
        at path: String, existOK: Bool, sources: [String]
    ) -> (problem: String, remedy: String)? {
        guard let place = realPath(path) else { return nil }
        for source in sources {
            guard let used = realPath(source) else { continue }
            if used == place || used.hasPrefix(place == "/" ? "/" : place + "/") {
                return ("the command reads \(source), which is there", "give another output directory")
            }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            return ("there is a file of this name", "give another output directory")
        }
        let names = names(in: path)
        if names.isEmpty { return nil }
        guard existOK else {
            return (
                "the directory exists and is not empty", "give another output directory, or --exist_ok true"
            )
        }
        guard names.contains("config.json") else {
            return (
                "the directory has no config.json: it is no model, and is not replaced",
                "give another output directory"
            )
        }
        return nil
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
