// Where the store keeps the reference of a key. Keys are any text with slashes; file names are not.

/// Turns a key such as `runs/a/model` into `runs/a/=model`. The sign before the last part lets the keys `a`
/// and `a/b` both exist, as they may in S3. The way back is not needed: a reference holds its key.
enum ReferencePath {
    /// File systems allow names of 255 bytes; a longer part is named by its hash.
    private static let nameLimit = 240

    /// Relative to the namespace's directory; nil for a key without any part.
    static func file(key: String) -> String? {
        var names = parts(of: key).map(encoded)
        guard let last = names.popLast() else { return nil }
        names.append("=" + last)
        return names.joined(separator: "/")
    }

    /// The directory that holds the keys below a key; empty for the namespace's own.
    static func directory(key: String) -> String { parts(of: key).map(encoded).joined(separator: "/") }

    static func parts(of key: String) -> [Substring] {
        key.split(separator: "/", omittingEmptySubsequences: true)
    }

    /// A slash at either end, or twice in a row, means nothing.
    static func normalized(_ key: String) -> String { parts(of: key).joined(separator: "/") }

    /// Percent signs for what a name may not contain or would mean something else.
    static func encoded(_ part: Substring) -> String {
        let bytes = Array(part.utf8)
        let isReserved = part == "." || part == ".." || bytes.first == UInt8(ascii: "=")
        var name: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if byte < 0x20 || byte == UInt8(ascii: "%") || byte == 0x7F || (isReserved && index == 0) {
                let digits = String(byte, radix: 16)
                name.append(contentsOf: "%".utf8)
                name.append(contentsOf: (digits.utf8.count < 2 ? "0" + digits : digits).utf8)
            } else {
                name.append(byte)
            }
        }
        if name.count > nameLimit { return "%~" + ContentHash.of(bytes) }
        return String(decoding: name, as: UTF8.self)
    }
}
