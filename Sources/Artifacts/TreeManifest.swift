// A directory as the store keeps it: a list of entries whose bytes are hashed and stored like any file's.

import Text

/// What lies under one name of a stored directory.
package struct TreeEntry: Sendable, Hashable {
    package enum Content: Sendable, Hashable {
        case file(hash: String, bytes: Int)
        case directory
        case link(target: String)
    }

    /// Relative, without `.` and `..`.
    package var path: String
    /// Permission bits; of links 0.
    package var mode: UInt32
    package var content: Content
}

/// The entries of a directory and of all below it, each directory before what is in it.
package struct TreeManifest: Sendable, Hashable {
    private static let format = "martlet-tree 1"
    /// A directory of more entries is refused.
    static let entryLimit = 4_000_000
    static let sizeLimit = 1 << 30

    /// Permission bits of the directory itself.
    package var mode: UInt32
    package var entries: [TreeEntry]

    /// Of all files.
    package var bytes: Int {
        entries.reduce(0) { sum, entry in
            if case .file(_, let bytes) = entry.content { return sum + bytes }
            return sum
        }
    }

    init(mode: UInt32, entries: [TreeEntry]) {
        self.mode = mode
        self.entries = entries
    }

    /// Strings ended by NUL, which no path contains: the format, the mode, then for each entry its kind and
    /// fields.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func put(_ text: String) {
            bytes.append(contentsOf: text.utf8)
            bytes.append(0)
        }
        put(Self.format)
        put(String(mode, radix: 8))
        for entry in entries {
            switch entry.content {
            case .file(let hash, let size): put("f \(String(entry.mode, radix: 8)) \(size) \(hash)")
            case .directory: put("d \(String(entry.mode, radix: 8))")
            case .link(let target): put("l \(target)")
            }
            put(entry.path)
        }
        put("end")
        return bytes
    }

    /// - Throws: `invalid` for bytes that are no complete manifest, or name paths outside the directory.
    init(decoding bytes: [UInt8], path: String) throws(ArtifactError) {
        let damaged = ArtifactError(
            .invalid, path: path, problem: "is no complete list of a directory",
            remedy: "run the step that made the artifact again")
        guard bytes.last == 0 else { throw damaged }
        var texts = bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false)[...]
        func take() throws(ArtifactError) -> String {
            guard let text = texts.popFirst() else { throw damaged }
            return String(decoding: text, as: UTF8.self)
        }
        guard try take() == Self.format, let mode = UInt32(try take(), radix: 8) else { throw damaged }
        var entries: [TreeEntry] = []
        while true {
            let head = try take()
            if head == "end" { break }
            let path = try take()
            guard let entry = TreeEntry(head: head, path: path) else { throw damaged }
            entries.append(entry)
        }
        self.init(mode: mode, entries: entries)
    }

    /// What lies under a relative path: a file's or link's entry, or a directory's manifest; nil for nothing.
    func descendant(_ path: String) -> Descendant? {
        let wanted = path.split(separator: "/").filter { $0 != "." }
        guard !wanted.isEmpty else { return .directory(self) }
        guard !wanted.contains("..") else { return nil }
        let name = wanted.joined(separator: "/")
        guard let entry = entries.first(where: { $0.path == name }) else { return nil }
        guard case .directory = entry.content else { return .entry(entry) }
        let prefix = name + "/"
        let inside = entries.filter { $0.path.hasPrefix(prefix) }.map { entry in
            var entry = entry
            entry.path.removeFirst(prefix.count)
            return entry
        }
        return .directory(TreeManifest(mode: entry.mode, entries: inside))
    }

    enum Descendant {
        case entry(TreeEntry)
        case directory(TreeManifest)
    }
}

extension TreeEntry {
    fileprivate init?(head: String, path: String) {
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !components.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else { return nil }
        if head.hasPrefix("l ") {
            self.init(path: path, mode: 0, content: .link(target: String(head.dropFirst(2))))
            return
        }
        let fields = head.split(separator: " ")
        guard fields.count >= 2, let mode = UInt32(fields[1], radix: 8), mode <= 0o7777 else { return nil }
        if fields[0] == "d" && fields.count == 2 {
            self.init(path: path, mode: mode, content: .directory)
        } else if fields[0] == "f", fields.count == 4, let bytes = Int(fields[2]), fields[3].count == 64 {
            self.init(path: path, mode: mode, content: .file(hash: String(fields[3]), bytes: bytes))
        } else {
            return nil
        }
    }
}
