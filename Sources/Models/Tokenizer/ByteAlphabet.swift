// The visible characters that stand for bytes in byte-level vocabularies: "Ġ" for a blank, "Ċ" for a newline.

/// GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and following.
enum ByteAlphabet {
    /// The character of each byte.
    static let scalars: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<UInt32(256)).map { byte in
            if isPrintable(byte) { return byte }
            defer { next += 1 }
            return next
        }
    }()

    /// The byte of each character below U+0144; -1 for those that stand for none.
    static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
        return bytes
    }()

    private static func isPrintable(_ byte: UInt32) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }

    /// Appends the bytes that a text stands for; false, with the buffer as it was, if a character is not in
    /// the alphabet.
    static func appendBytes(of text: UTF8Text, to buffer: inout [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            let start = buffer.count
            var index = 0
            while index < text.count {
                let (value, end) = text.scalar(at: index)
                guard value < UInt32(bytes.count), bytes[Int(value)] >= 0 else {
                    buffer.removeLast(buffer.count - start)
                    return false
                }
                buffer.append(UInt8(truncatingIfNeeded: bytes[Int(value)]))
                index = end
            }
            return true
        }
    }

    /// Appends the characters that stand for bytes.
    static func appendText(of bytes: UTF8Text, to buffer: inout [UInt8]) {
        for byte in bytes { buffer.append(scalar: scalars[Int(byte)]) }
    }
}
