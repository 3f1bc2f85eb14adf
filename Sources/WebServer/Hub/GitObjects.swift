// Object ids as Git counts them: what the Hub calls `oid` and `blobId`, by which clients verify small files.
import Crypto

enum GitObjects {
    /// A digest's bytes in lower-case hexadecimal.
    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        let digits = Array("0123456789abcdef".utf8)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// What the digest of a blob begins with.
    static func blobHeader(sizeBytes: Int) -> [UInt8] { Array("blob \(sizeBytes)\0".utf8) }

    static func blobID(_ content: [UInt8]) -> String {
        var digest = Insecure.SHA1()
        digest.update(data: blobHeader(sizeBytes: content.count))
        digest.update(data: content)
        return hexadecimal(digest.finalize())
    }

    /// The text that Git keeps in place of a large file (Git LFS specification, version 1).
    static func pointer(sha256: String, sizeBytes: Int) -> [UInt8] {
        Array(
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(sha256)\nsize \(sizeBytes)\n".utf8)
    }

    /// An entry of a tree object.
    struct TreeEntry {
        var name: [UInt8]
        /// 40 hexadecimal digits.
        var id: String
        var isDirectory: Bool

        /// Git sorts directories as if their names ended in a slash.
        var sortKey: [UInt8] { isDirectory ? name + [UInt8(ascii: "/")] : name }
    }

    static func treeID(_ entries: [TreeEntry]) -> String {
        var content: [UInt8] = []
        for entry in entries.sorted(by: { $0.sortKey.lexicographicallyPrecedes($1.sortKey) }) {
            content += Array((entry.isDirectory ? "40000 " : "100644 ").utf8) + entry.name + [0]
            content += bytes(ofHexadecimal: entry.id)
        }
        var digest = Insecure.SHA1()
        digest.update(data: Array("tree \(content.count)\0".utf8))
        digest.update(data: content)
        return hexadecimal(digest.finalize())
    }

    private static func bytes(ofHexadecimal text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    /// Whether a text is a digest of so many hexadecimal digits.
    static func isDigest(_ text: some StringProtocol, digits: Int) -> Bool {
        text.utf8.count == digits
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
