// Characters that YAML's parser must not see as they are, and those that stand in for them.

/// Stand-ins for `*`, so that an alias arrives as a plain scalar that says so, and for the byte order mark,
/// which the parser's conversion of text drops at the beginning of a scalar.
struct TextMask {
    let star: Unicode.Scalar
    let byteOrderMark: Unicode.Scalar
    private let isUsed: Bool

    /// - Parameter free: two characters that the text does not have.
    init(free: (Unicode.Scalar, Unicode.Scalar), text: [UInt8]) {
        star = free.0
        byteOrderMark = free.1
        isUsed = text.contains { $0 == UInt8(ascii: "*") || $0 == 0xEF }
    }

    /// The text with stand-ins. A mark that begins a line stays, for YAML skips it.
    func masked(_ text: [UInt8]) -> [UInt8] {
        guard isUsed else { return text }
        let starBytes = Array(String(Character(star)).utf8)
        let markBytes = Array(String(Character(byteOrderMark)).utf8)
        var masked: [UInt8] = []
        masked.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "*") {
                masked += starBytes
            } else if byte == 0xEF, index > 0, text[index - 1] != 0x0A,
                text[index...].starts(with: [0xEF, 0xBB, 0xBF])
            {
                masked += markBytes
                index += 2
            } else {
                masked.append(byte)
            }
            index += 1
        }
        return masked
    }

    func unmasked(_ text: String) -> String {
        guard isUsed, text.unicodeScalars.contains(where: { $0 == star || $0 == byteOrderMark }) else {
            return text
        }
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            scalars.append(scalar == star ? "*" : scalar == byteOrderMark ? "\u{FEFF}" : scalar)
        }
        return String(scalars)
    }
}
