// Finds repositories and their files on disk. Nothing outside of the served directory is ever shown: links
// are followed only where they lead to files inside.
import Glibc
import Text

/// A file as the walk found it.
struct FoundFile: Sendable, Hashable {
    var path: String
    var realPath: String
    var stamp: FileStamp
}

/// Where a repository lies.
enum RepositoryPlace: Sendable, Hashable {
    /// A plain folder.
    case folder(String)
    /// A folder of Hugging Face's cache, with `refs`, `blobs` and `snapshots`.
    case cache(String)
}

struct RepositoryScan: Sendable {
    /// The served directory, without links in it.
    let root: String

    private static let fileLimit = 1_000_000
    private static let depthLimit = 40
    /// What tools keep beside a repository's own files.
    private static let hiddenFolders: Set = [
        ".git", ".cache", ".locks", ".lock", "._____temp", "__pycache__",
    ]

    /// - Throws: if there is no such directory.
    init(directory: String) throws(HubSettingsError) {
        guard let root = Self.realPath(directory), Self.isDirectory(root) else {
            throw HubSettingsError(
                place: directory, problem: "is no directory; name one that holds OWNER/NAME folders")
        }
        self.root = root
    }

    // MARK: Repositories

    /// All repositories of a kind, in the order of their names.
    func repositories(_ kind: RepositoryKind) -> [RepositoryName] {
        var names: Set<RepositoryName> = []
        for name in Self.list(root) {
            if let name = RepositoryName(cacheFolder: name), name.kind == kind, place(of: name) != nil {
                names.insert(name)
            }
        }
        let top = kind == .models ? root : root + "/datasets"
        for owner in Self.list(top) where isRepositoryPart(owner, in: top, kind) {
            let folder = top + "/" + owner
            if holdsFiles(folder) {
                if let name = RepositoryName(kind, [owner]) { names.insert(name) }
                continue
            }
            for part in Self.list(folder) where isInside(folder + "/" + part) {
                if let name = RepositoryName(kind, [owner, part]) { names.insert(name) }
            }
        }
        return names.sorted { $0.id.precedesBytewise($1.id) }
    }

    /// The place of a repository; nil if there is none.
    func place(of name: RepositoryName) -> RepositoryPlace? {
        let top = name.kind == .models ? root : root + "/datasets"
        let parts = name.id.split(separator: "/").map(String.init)
        if isRepositoryPart(parts[0], in: top, name.kind) {
            let folder = top + "/" + name.id
            // A folder with files is a repository; one without is an owner's.
            let isOwners = parts.count == 2 && !holdsFiles(top + "/" + parts[0])
            if parts.count == 1 ? holdsFiles(folder) : isOwners, isInside(folder) {
                return .folder(folder)
            }
        }
        let cache = root + "/" + name.cacheFolder
        return isInside(cache + "/snapshots") ? .cache(cache) : nil
    }

    /// Whether a folder may be an owner or a repository. `datasets` is neither among the models.
    private func isRepositoryPart(_ name: String, in top: String, _ kind: RepositoryKind) -> Bool {
        guard RepositoryName.isPart(name), isInside(top + "/" + name) else { return false }
        if RepositoryName(cacheFolder: name) != nil { return false }
        return kind != .models || (name != "datasets" && name != "spaces" && name != "api")
    }

    private func holdsFiles(_ folder: String) -> Bool {
        Self.list(folder).contains { name in
            var status = stat()
            return stat(folder + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        }
    }

    /// Whether a path is a directory that lies in the served one, however links lead there.
    private func isInside(_ path: String) -> Bool {
        guard let real = Self.realPath(path) else { return false }
        return contains(real) && Self.isDirectory(real)
    }

    private func contains(_ realPath: String) -> Bool {
        root == "/" || realPath.utf8.starts(with: (root + "/").utf8)
    }

    // MARK: Files

    /// The files of a folder, in no order. Links to files inside the served directory count as files, links
    /// to directories are not followed.
    /// - Throws: when there are too many.
    func files(_ folder: String) throws(UnreadableFile) -> [FoundFile] {
        var found: [FoundFile] = []
        var folders = [(path: "", depth: 0)]
        while let (relative, depth) = folders.popLast() {
            for name in Self.list(relative.isEmpty ? folder : folder + "/" + relative) {
                let path = relative.isEmpty ? name : relative + "/" + name
                var status = stat()
                guard lstat(folder + "/" + path, &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR where depth < Self.depthLimit && !Self.hiddenFolders.contains(name):
                    folders.append((path, depth + 1))
                case S_IFREG where !Self.isUnfinished(name):
                    found.append(
                        FoundFile(path: path, realPath: folder + "/" + path, stamp: FileStamp(status)))
                case S_IFLNK:
                    if let file = linkedFile(path, folder + "/" + path) { found.append(file) }
                default: break
                }
            }
            guard found.count <= Self.fileLimit else {
                throw UnreadableFile(
                    path: folder, problem: "it has more than \(Self.fileLimit) files; divide it")
            }
        }
        return found
    }

    private func linkedFile(_ path: String, _ link: String) -> FoundFile? {
        guard let real = Self.realPath(link), contains(real) else { return nil }
        var status = stat()
        guard lstat(real, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return FoundFile(path: path, realPath: real, stamp: FileStamp(status))
    }

    /// Downloads that are under way in the served directory itself.
    private static func isUnfinished(_ name: String) -> Bool {
        name.hasSuffix(".incomplete") || name.hasSuffix(".partial") || name.hasSuffix(".partial.journal")
    }

    // MARK: Revisions of a cache folder

    /// The commits that a cache folder has snapshots of.
    func commits(_ cache: String) -> [String] {
        Self.list(cache + "/snapshots").filter { GitObjects.isDigest($0, digits: 40) }.sorted()
    }

    /// Names of branches and tags with their commits, for as many as have a snapshot.
    func references(_ cache: String) -> [(name: String, commit: String)] {
        let commits = Set(commits(cache))
        var references: [(name: String, commit: String)] = []
        for file in (try? files(cache + "/refs")) ?? [] {
            guard let commit = Self.smallText(file.realPath), commits.contains(commit) else { continue }
            references.append((file.path, commit))
        }
        return references.sorted { $0.name.precedesBytewise($1.name) }
    }

    private static func smallText(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self).split { $0.isWhitespace }.first.map(
            String.init)
    }

    // MARK: System calls

    /// Names in a directory that are valid UTF-8; empty when it cannot be read.
    private static func list(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func realPath(_ path: String) -> String? {
        guard let text = realpath(path, nil) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}
