// The digest that says whether rows are the same as before.

import Crypto

/// SHA-256, fed piece by piece.
struct ContentDigest: Sendable {
    private var hash = SHA256()

    init() {}

    /// The digest of a text in hexadecimal digits.
    static func hex(of text: String) -> String {
        var digest = ContentDigest()
        digest.update(Array(text.utf8))
        return digest.finishedHex()
    }

    mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The digest of all that was fed, 32 bytes. More may be fed afterwards.
    func finished() -> [UInt8] { Array(hash.finalize()) }

    /// The same in hexadecimal digits.
    func finishedHex() -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in finished() {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
