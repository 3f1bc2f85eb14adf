// Steps over characters in bytes that are known to be UTF-8.

/// Well-formed UTF-8, as the bytes of a string are. Reading beyond the end never happens, even where the
/// bytes should be broken.
typealias UTF8Text = UnsafeBufferPointer<UInt8>

extension UnsafeBufferPointer<UInt8> {
    /// The character at a place, and the place behind it.
    @inline(__always)
    func scalar(at index: Int) -> (value: UInt32, end: Int) {
        let first = self[index]
        if first < 0x80 { return (UInt32(first), index + 1) }
        return wideScalar(at: index)
    }

    private func wideScalar(at index: Int) -> (value: UInt32, end: Int) {
        let first = self[index]
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1
        guard length > 1, index + length <= count else { return (0xFFFD, index + 1) }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(self[index + offset] & 0x3F) }
        return (value, index + length)
    }

    /// Where the character before a place begins.
    @inline(__always)
    func start(before index: Int) -> Int {
        var start = index - 1
        while start > 0, self[start] & 0xC0 == 0x80, index - start < 4 { start -= 1 }
        return start
    }

    /// Whether the bytes are all ASCII.
    var isASCII: Bool {
        var index = 0
        let words = UnsafeRawBufferPointer(self)
        while index + 8 <= count {
            if words.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 {
                return false
            }
            index += 8
        }
        while index < count {
            if self[index] >= 0x80 { return false }
            index += 1
        }
        return true
    }

    /// A part as text of its own.
    @inline(__always)
    func part(_ range: Range<Int>) -> UTF8Text { UTF8Text(rebasing: self[range]) }
}

extension [UInt8] {
    /// Appends a character's UTF-8.
    mutating func append(scalar value: UInt32) {
        switch value {
        case ..<0x80: append(UInt8(truncatingIfNeeded: value))
        case ..<0x800:
            append(UInt8(truncatingIfNeeded: 0xC0 | value >> 6))
            append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        case ..<0x10000:
            append(UInt8(truncatingIfNeeded: 0xE0 | value >> 12))
            append(UInt8(truncatingIfNeeded: 0x80 | value >> 6 & 0x3F))
            append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        default:
            append(UInt8(truncatingIfNeeded: 0xF0 | value >> 18))
            append(UInt8(truncatingIfNeeded: 0x80 | value >> 12 & 0x3F))
            append(UInt8(truncatingIfNeeded: 0x80 | value >> 6 & 0x3F))
            append(UInt8(truncatingIfNeeded: 0x80 | value & 0x3F))
        }
    }
}
