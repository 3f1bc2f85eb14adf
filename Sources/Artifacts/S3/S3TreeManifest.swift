// What a directory in a bucket consists of: the object that makes all others one artifact.

import Text

/// The list of a directory: `KEY/.martlet-tree.json`. It is written last; without it nothing of the directory counts.
struct S3TreeManifest: Sendable, Hashable {
    static let name = ".martlet-tree.json"
    /// Under this name an object says that a first upload is under way, or was when its process died.
    static let marker = ".martlet-uploading"
    private static let format = "martlet-tree/1"

    struct File: Sendable, Hashable {
        /// Relative, without `.` and `..`.
        var path: String
        var sizeBytes: Int
        /// SHA-256 in hexadecimal.
        var sha256: String
        var mode: UInt32
    }

    struct Link: Sendable, Hashable {
        var path: String
        var target: String
    }

    /// Below which key the files lie, each under its path: the artifact's own, or one below it for a tree that
    /// replaced another.
    var location: String
    var mode: UInt32
    var files: [File] = []
    /// Path and mode, each before what is in it.
    var directories: [(path: String, mode: UInt32)] = []
    var links: [Link] = []

    static func == (left: Self, right: Self) -> Bool {
        left.encoded == right.encoded
    }

    func hash(into hasher: inout Hasher) { hasher.combine(encoded) }

    var encoded: [UInt8] {
        func member(_ key: String, _ value: OrderedJSON) -> OrderedJSON.Member {
            .init(key: key, value: value)
        }
        func octal(_ mode: UInt32) -> OrderedJSON { .string(String(mode, radix: 8)) }
        let root = OrderedJSON.object([
            member("format", .string(Self.format)), member("location", .string(location)),
            member("mode", octal(mode)),
            member(
                "directories",
                .array(
                    directories.map {
                        .object([member("path", .string($0.path)), member("mode", octal($0.mode))])
                    })),
            member(
                "links",
                .array(
                    links.map {
                        .object([member("path", .string($0.path)), member("target", .string($0.target))])
                    })),
            member(
                "files",
                .array(
                    files.map {
                        .object([
                            member("path", .string($0.path)), member("size", .int($0.sizeBytes)),
                            member("sha256", .string($0.sha256)), member("mode", octal($0.mode)),
                        ])
                    })),
        ])
        var bytes: [UInt8] = []
        root.appendCompact(to: &bytes)
        return bytes
    }

    init(location: String, mode: UInt32) {
        self.location = location
        self.mode = mode
    }

    /// - Throws: `invalid` for bytes that are no manifest, or name paths outside the directory.
    init(decoding bytes: [UInt8], path: String) throws(ArtifactError) {
        let damaged = ArtifactError(
            .invalid, path: path, problem: "is no list of a directory that this version reads",
            remedy: "run the step that made the artifact again, or use a newer martlet")
        guard let root = try? OrderedJSON(parsingUTF8: bytes), root["format"]?.stringValue == Self.format,
            let location = root["location"]?.stringValue, let mode = Self.mode(root)
        else { throw damaged }
        self.init(location: location, mode: mode)
        for item in root["directories"]?.arrayValue ?? [] {
            guard let path = Self.path(item), let mode = Self.mode(item) else { throw damaged }
            directories.append((path: path, mode: mode))
        }
        for item in root["links"]?.arrayValue ?? [] {
            guard let path = Self.path(item), let target = item["target"]?.stringValue else { throw damaged }
            links.append(Link(path: path, target: target))
        }
        for item in root["files"]?.arrayValue ?? [] {
            guard let path = Self.path(item), let mode = Self.mode(item),
                let hash = item["sha256"]?.stringValue,
                let size = item["size"]?.intValue, size >= 0, hash.utf8.count == 64
            else { throw damaged }
            files.append(File(path: path, sizeBytes: size, sha256: hash, mode: mode))
        }
    }

    /// What lies under a relative path: a file with the key of its object, or the directory as one of its own; nil
    /// for nothing, and for a link.
    func part(_ wanted: String) -> Part? {
        if let file = files.first(where: { $0.path == wanted }) {
            return .file(key: "\(location)/\(wanted)", file)
        }
        guard let directory = directories.first(where: { $0.path == wanted }) else { return nil }
        let prefix = wanted + "/"
        func inside(_ path: String) -> String? {
            path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil
        }
        var part = S3TreeManifest(location: "\(location)/\(wanted)", mode: directory.mode)
        for var file in files {
            guard let path = inside(file.path) else { continue }
            file.path = path
            part.files.append(file)
        }
        for link in links {
            if let path = inside(link.path) { part.links.append(Link(path: path, target: link.target)) }
        }
        part.directories = directories.compactMap { item in
            inside(item.path).map { (path: $0, mode: item.mode) }
        }
        return .directory(part)
    }

    enum Part {
        case file(key: String, File)
        case directory(S3TreeManifest)
    }

    private static func mode(_ item: OrderedJSON) -> UInt32? {
        item["mode"]?.stringValue.flatMap { UInt32($0, radix: 8) }.flatMap { $0 <= 0o7777 ? $0 : nil }
    }

    private static func path(_ item: OrderedJSON) -> String? {
        item["path"]?.stringValue.flatMap { isInside($0) ? $0 : nil }
    }

    /// Whether a relative path stays inside its directory.
    static func isInside(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." } && !path.utf8.contains(0)
    }
}
