// What the store says of an artifact that it holds.

import Text
package import WorkflowLanguage

/// A file or directory in the store, by its content.
package struct StoredTree: Sendable, Hashable {
    /// SHA-256 in hexadecimal: of a file's bytes, or of the list that a directory is kept as.
    package var hash: String
    /// Of the file, or of all files of the directory.
    package var bytes: Int
    package var isDirectory: Bool
    /// Permission bits of the file or of the directory itself.
    package var mode: UInt32
    /// How it was asked to be packed. Nothing is packed here; only listings tell packed directories from
    /// loose ones.
    package var archive: ArchiveStrategy

    package init(hash: String, bytes: Int, isDirectory: Bool, mode: UInt32, archive: ArchiveStrategy = .tar) {
        self.hash = hash
        self.bytes = bytes
        self.isDirectory = isDirectory
        self.mode = mode
        self.archive = archive
    }
}

/// The file behind a key: the tree it names, and the key itself, since long keys have hashed file names.
struct Reference {
    private static let format = "martlet-reference 1"
    static let sizeLimit = 64 << 10

    var key: String
    var tree: StoredTree

    var encoded: [UInt8] {
        let kind = tree.isDirectory ? "directory" : "file"
        let mode = String(tree.mode, radix: 8)
        let text = "\(Self.format)\n\(kind) \(tree.hash) \(tree.bytes) \(mode) \(tree.archive.rawValue)\n"
        return Array(text.utf8) + Array(key.utf8) + Array("\0end\n".utf8)
    }

    init(key: String, tree: StoredTree) {
        self.key = key
        self.tree = tree
    }

    /// Nil for what is no complete reference: a power failure may leave an empty file under a name.
    init?(decoding bytes: [UInt8]) {
        let ending = Array("\0end\n".utf8)
        guard bytes.count > ending.count, bytes.suffix(ending.count).elementsEqual(ending) else { return nil }
        let lines = bytes.dropLast(ending.count).split(
            separator: 10, maxSplits: 2, omittingEmptySubsequences: false)
        guard lines.count == 3, lines[0].elementsEqual(Self.format.utf8) else { return nil }
        let fields = String(decoding: lines[1], as: UTF8.self).split(separator: " ")
        guard fields.count == 5, fields[1].utf8.count == 64, let size = Int(fields[2]),
            let mode = UInt32(fields[3], radix: 8), let archive = ArchiveStrategy(rawValue: String(fields[4]))
        else { return nil }
        key = String(decoding: lines[2], as: UTF8.self)
        tree = StoredTree(
            hash: String(fields[1]), bytes: size, isDirectory: fields[0] == "directory", mode: mode,
            archive: archive)
    }
}
