// Sprig's encodings of bytes as text, and its digests. What decodes to something other than UTF-8 has U+FFFD
// in the bad places, since an expression's strings are text.

import Text

enum SprigEncodings {
    static let signatures: [String: String] = [
        "b64enc": "text", "b64dec": "text", "b32enc": "text", "b32dec": "text",
        "sha1sum": "text", "sha256sum": "text", "sha512sum": "text", "adler32sum": "text",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let bytes = try call.bytes(0)
        try call.spend(bytes: bytes.count * 2)
        switch call.name {
        case "b64enc": return .string(base64(bytes))
        case "b32enc": return .string(encode(bytes, alphabet: base32Alphabet, bits: 5))
        case "b64dec":
            return .string(try decode(call, bytes, alphabet: base64Alphabet, bits: 6, as: "base64"))
        case "b32dec":
            return .string(try decode(call, bytes, alphabet: base32Alphabet, bits: 5, as: "base32"))
        case "sha1sum": return .string(hex(SprigDigests.sha1(bytes)))
        case "sha256sum": return .string(hex(SprigDigests.sha256(bytes)))
        case "sha512sum": return .string(hex(SprigDigests.sha512(bytes)))
        case "adler32sum": return .string(String(adler32(bytes)))
        default: throw call.error("is not implemented")
        }
    }

    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return SprigText.string(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    /// RFC 4648's standard alphabet, padded.
    static func base64(_ bytes: [UInt8]) -> String { encode(bytes, alphabet: base64Alphabet, bits: 6) }

    private static let base64Alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let base32Alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
    private static let padding = UInt8(ascii: "=")

    /// Letters in a full group: as many as it takes to end on a whole byte.
    private static func group(bits: Int) -> Int { bits == 6 ? 4 : 8 }

    private static func encode(_ bytes: [UInt8], alphabet: [UInt8], bits: Int) -> String {
        var result: [UInt8] = []
        var (buffer, held) = (0, 0)
        for byte in bytes {
            buffer = (buffer << 8 | Int(byte)) & 0xFFFF
            held += 8
            while held >= bits {
                held -= bits
                result.append(alphabet[buffer >> held & (alphabet.count - 1)])
            }
        }
        if held > 0 { result.append(alphabet[buffer << (bits - held) & (alphabet.count - 1)]) }
        while result.count % group(bits: bits) != 0 { result.append(padding) }
        return SprigText.string(result)
    }

    /// Line ends are skipped; padding must be complete. Sprig answers the error's text in place of the
    /// result; here bad input fails.
    private static func decode(
        _ call: SprigCall, _ text: [UInt8], alphabet: [UInt8], bits: Int, as name: String
    ) throws(ExpressionError) -> String {
        let letters = text.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        let body = letters.prefix { $0 != padding }
        let (group, tail) = (group(bits: bits), body.count * bits % 8)
        guard letters.count % group == 0, letters.count - body.count < group, tail < bits,
            letters[body.count...].allSatisfy({ $0 == padding })
        else { throw call.error("the text is not \(name): its length or padding is wrong") }
        var values = [Int](repeating: -1, count: 256)
        for (value, letter) in alphabet.enumerated() { values[Int(letter)] = value }
        var result: [UInt8] = []
        var (buffer, held) = (0, 0)
        for (position, letter) in body.enumerated() {
            guard values[Int(letter)] >= 0 else {
                throw call.error("the text is not \(name): byte \(position) is not of its alphabet")
            }
            buffer = (buffer << bits | values[Int(letter)]) & 0xFFFF
            held += bits
            if held >= 8 {
                held -= 8
                result.append(UInt8(buffer >> held & 0xFF))
            }
        }
        return SprigText.string(result)
    }

    /// RFC 1950's checksum.
    private static func adler32(_ bytes: [UInt8]) -> UInt32 {
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return high << 16 | low
    }
}
