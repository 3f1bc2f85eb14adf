// A repository at one commit, as a value: its files with their digests, its directories, what stands where.
import Crypto
import Text

/// One file of a repository.
struct HubFile: Sendable, Hashable {
    /// Within the repository, parts divided by slashes.
    var path: String
    /// Where the bytes lie; links are resolved.
    var realPath: String
    var stamp: FileStamp
    var sha256: String
    /// The id of Git's blob, of a pointer's for a large file.
    var blobID: String
    /// The length of the text that Git keeps in place of a large file; nil for a file that Git keeps itself.
    var pointerBytes: Int?

    var sizeBytes: Int { stamp.sizeBytes }
    var isLarge: Bool { pointerBytes != nil }
    /// What clients know the content by, and verify it with.
    var etag: String { isLarge ? sha256 : blobID }

    /// - Parameter gitBlob: the blob's id of a file that Git keeps itself; nil for a large one.
    init(path: String, realPath: String, stamp: FileStamp, sha256: String, gitBlob: String?) {
        self.path = path
        self.realPath = realPath
        self.stamp = stamp
        self.sha256 = sha256
        if let gitBlob {
            blobID = gitBlob
        } else {
            let pointer = GitObjects.pointer(sha256: sha256, sizeBytes: stamp.sizeBytes)
            blobID = GitObjects.blobID(pointer)
            pointerBytes = pointer.count
        }
    }
}

struct RepositorySnapshot: Sendable {
    struct Entry: Sendable {
        enum Content: Sendable {
            case file(HubFile)
            /// The id of Git's tree.
            case directory(id: String)
        }

        var path: String
        var content: Content

        var name: String { String(path.split(separator: "/").last ?? "") }
    }

    /// 40 hexadecimal digits.
    let commit: String
    /// In the order of their paths' bytes.
    let files: [HubFile]
    /// Files and directories in the order of their paths' bytes.
    let entries: [Entry]

    /// - Parameter commit: nil counts it from the files.
    init(files: [HubFile], commit: String? = nil) {
        let files = files.sorted { $0.path.precedesBytewise($1.path) }
        self.files = files
        self.commit = commit ?? Self.commit(of: files)
        var entries = files.map { Entry(path: $0.path, content: .file($0)) }
        entries += Self.directories(of: files).map { Entry(path: $0, content: .directory(id: $1)) }
        self.entries = entries.sorted { $0.path.precedesBytewise($1.path) }
    }

    /// When the newest file was written.
    var modified: Timestamp {
        Timestamp(nanoseconds: Int64(files.map(\.stamp.modifiedNanoseconds).max() ?? 0))
    }

    var totalBytes: Int { files.reduce(0) { $0 + $1.sizeBytes } }

    /// SHA-1 over the list of paths, sizes and SHA-256: another content or another name is another commit.
    private static func commit(of files: [HubFile]) -> String {
        var digest = Insecure.SHA1()
        for file in files {
            digest.update(data: Array("\(file.path)\0\(file.sizeBytes) \(file.sha256)\n".utf8))
        }
        return GitObjects.hexadecimal(digest.finalize())
    }

    /// The ids of all directories, as Git would count them.
    private static func directories(of files: [HubFile]) -> [String: String] {
        var children: [[UInt8]: [GitObjects.TreeEntry]] = [:]
        for file in files {
            var path = Array(file.path.utf8)[...]
            var entry: GitObjects.TreeEntry? = .init(name: [], id: file.blobID, isDirectory: false)
            while var added = entry, let slash = path.lastIndex(of: UInt8(ascii: "/")) {
                added.name = Array(path[(slash + 1)...])
                path = path[..<slash]
                // Directories are entered once, their ids follow below.
                entry = children[Array(path)] == nil ? .init(name: [], id: "", isDirectory: true) : nil
                children[Array(path), default: []].append(added)
            }
        }
        var ids: [[UInt8]: String] = [:]
        // Longer paths first: a directory's id needs those inside.
        for path in children.keys.sorted(by: { $0.count > $1.count }) {
            let entries = (children[path] ?? []).map { entry in
                var entry = entry
                if entry.isDirectory { entry.id = ids[path + [UInt8(ascii: "/")] + entry.name] ?? "" }
                return entry
            }
            ids[path] = GitObjects.treeID(entries)
        }
        return Dictionary(
            ids.map { (String(decoding: $0.key, as: UTF8.self), $0.value) }, uniquingKeysWith: { $1 })
    }

    // MARK: Looking up

    /// The place of the first entry whose path is not before this one. Paths are compared by their bytes: to
    /// Swift, texts are equal that differ on disk.
    private func index(of path: String) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].path.precedesBytewise(path) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func entry(_ path: String) -> Entry? {
        let index = index(of: path)
        guard index < entries.count, entries[index].path.utf8.elementsEqual(path.utf8) else { return nil }
        return entries[index]
    }

    func file(_ path: String) -> HubFile? {
        guard case .file(let file)? = entry(path)?.content else { return nil }
        return file
    }

    /// What is in a directory, with all below if wanted; nil if there is no such directory.
    /// - Parameter directory: empty for the top.
    func entries(in directory: String, recursive: Bool) -> [Entry]? {
        var range = entries[...]
        if !directory.isEmpty {
            guard case .directory? = entry(directory)?.content else { return nil }
            // "0" is the byte behind "/".
            range = entries[index(of: directory + "/")..<index(of: directory + "0")]
        }
        if recursive { return Array(range) }
        let depth = directory.isEmpty ? 0 : directory.utf8.count + 1
        return range.filter { !$0.path.utf8.dropFirst(depth).contains(UInt8(ascii: "/")) }
    }
}
