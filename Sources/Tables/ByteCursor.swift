// Reads bytes that nobody vouches for: every step is checked against the end.

/// A place in a range of bytes.
struct ByteCursor {
    let bytes: [UInt8]
    private(set) var position: Int
    let end: Int

    init(_ bytes: [UInt8]) {
        self.init(bytes, 0..<bytes.count)
    }

    /// - Precondition: the range is within the bytes.
    init(_ bytes: [UInt8], _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "the range is in the bytes")
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    var remaining: Int { end - position }

    /// Steps over so many bytes and says where they are.
    mutating func take(_ count: Int) throws(TableProblem) -> Range<Int> {
        guard count >= 0, count <= remaining else {
            throw TableProblem("the data ends early: \(count) bytes are wanted where \(remaining) are left")
        }
        defer { position += count }
        return position..<position + count
    }

    mutating func takeRest() -> Range<Int> {
        defer { position = end }
        return position..<end
    }

    mutating func byte() throws(TableProblem) -> UInt8 {
        guard position < end else { throw TableProblem("the data ends early") }
        defer { position += 1 }
        return bytes[position]
    }

    /// Four bytes, the lowest first.
    mutating func uint32() throws(TableProblem) -> Int {
        let range = try take(4)
        return Int(bytes.integer(at: range.lowerBound, as: UInt32.self))
    }

    /// A number in groups of seven bits, the lowest first (ULEB128).
    mutating func varint() throws(TableProblem) -> UInt64 {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            guard shift < 63 || (shift == 63 && byte < 2) else {
                throw TableProblem("a number has too many bytes")
            }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
            shift += 7
        }
    }

    /// A varint that is a size: it is below 2^62, so that two of them can be added.
    mutating func size() throws(TableProblem) -> Int {
        let number = try varint()
        guard number < 1 << 62 else { throw TableProblem("a size is too large") }
        return Int(number)
    }

    /// A varint in which even numbers stand for positive ones.
    mutating func zigzag() throws(TableProblem) -> Int64 {
        let number = try varint()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }
}

extension [UInt8] {
    /// The integer at an offset, the lowest byte first.
    /// - Precondition: its bytes are there.
    @inline(__always)
    func integer<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number
    {
        precondition(offset >= 0 && offset <= count - MemoryLayout<Number>.size, "the number is in the bytes")
        return withUnsafeBytes {
            Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
    }
}
