// Making, reading and hashing the texts that open the service: tokens and session ids.

import Crypto

/// The text of a token: `mrt_` and 40 random letters and digits, 238 bits of chance.
package enum TokenText {
    static let prefix = "mrt_"
    private static let randomCount = 40
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// A new token.
    package static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        let characters = (0..<randomCount).map { _ in
            alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
        }
        return prefix + String(decoding: characters, as: UTF8.self)
    }

    /// Whether a text may be a token at all; what is not needs no look into the store.
    static func looksRight(_ text: String) -> Bool {
        text.utf8.count == prefix.utf8.count + randomCount && text.hasPrefix(prefix)
            && text.utf8.dropFirst(prefix.utf8.count).allSatisfy { alphabet.contains($0) }
    }

    /// SHA-256 in lowercase hexadecimal digits. A token has too much chance in it to be found by trying, so that
    /// nothing slower is needed.
    package static func hash(_ text: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var hexadecimal: [UInt8] = []
        for byte in SHA256.hash(data: Array(text.utf8)) {
            hexadecimal += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: hexadecimal, as: UTF8.self)
    }

    /// The token in an `Authorization` header: behind `Bearer`, or the whole value.
    static func token(inHeader value: String) -> String? {
        let parts = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        if parts.count == 1 { return String(parts[0]) }
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " }.prefix { $0 != " " })
    }

    /// Compares to the end whatever differs, so that time does not say how much of a guess was right.
    static func areEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        var difference: UInt8 = left.count == right.count ? 0 : 1
        for (index, byte) in left.enumerated() {
            difference |= byte ^ (index < right.count ? right[index] : ~byte)
        }
        return difference == 0
    }
}

/// The cookies of a request.
enum Cookies {
    /// The value of a cookie; at most the first 50 are looked at.
    static func value(_ name: String, in header: String?) -> String? {
        guard let header, header.utf8.count <= 16 << 10 else { return nil }
        for cookie in header.split(separator: ";").prefix(50) {
            let parts = cookie.drop { $0 == " " }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == name else { continue }
            var value = parts[1]
            if value.count >= 2, value.first == "\"", value.last == "\"" {
                value = value.dropFirst().dropLast()
            }
            return PercentEncoding.decoded(value)
        }
        return nil
    }
}
