// Digests of content, in hexadecimal digits.

/// SHA-256 for those who compare content.
package enum ContentDigest {
    package static func sha256(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in SprigDigests.sha256(bytes) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The digest of named values: the same for the same pairs, in whatever order they come.
    package static func sha256(of fields: [String: String]) -> String {
        var text = ""
        // Lengths keep a value from looking like the next name.
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
            text += "\(name.utf8.count) \(name) \(value.utf8.count) \(value)\n"
        }
        return sha256(Array(text.utf8))
    }
}
