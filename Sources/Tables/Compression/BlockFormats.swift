// The two block formats of Parquet that are small enough to be read here: Snappy and LZ4.

/// Unpacks blocks whose unpacked size is known. Sources: google/snappy's format_description.txt and lz4's
/// lz4_Block_format.md.
enum BlockFormats {
    /// - Parameter expected: what the data must unpack to.
    static func unpackSnappy(_ input: [UInt8], _ range: Range<Int>, expected: Int)
        throws(TableProblem) -> [UInt8]
    {
        var cursor = ByteCursor(input, range)
        let size = try cursor.size()
        guard size == expected else {
            throw TableProblem("a Snappy page says that it unpacks to \(size) bytes, not to \(expected)")
        }
        // Three bytes can make 64 at most, so a larger claim needs no memory to be refused.
        guard size <= cursor.remaining &* 32 else { throw damaged("Snappy") }
        return try fill(size, from: cursor.takeRest(), of: input, name: "Snappy") { block in
            block.readSnappy()
        }
    }

    /// A raw LZ4 block, without a frame around it.
    static func unpackLZ4(_ input: [UInt8], _ range: Range<Int>, expected: Int)
        throws(TableProblem) -> [UInt8]
    {
        // A length grows by 255 with each byte, so a block cannot make more of itself.
        guard expected <= (range.count &* 256) &+ 64 else { throw damaged("LZ4") }
        return try fill(expected, from: range, of: input, name: "LZ4") { block in
            block.readLZ4()
        }
    }

    private static func damaged(_ name: String) -> TableProblem {
        TableProblem("the \(name) data is damaged")
    }

    private static func fill(
        _ size: Int, from range: Range<Int>, of input: [UInt8], name: String,
        by read: (inout BlockReader) -> Bool
    ) throws(TableProblem) -> [UInt8] {
        var isWhole = false
        let output = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            input.withUnsafeBytes { bytes in
                var block = BlockReader(
                    input: UnsafeRawBufferPointer(rebasing: bytes[range]),
                    output: UnsafeMutableRawBufferPointer(buffer))
                // A buffer without room may have more capacity than was asked for.
                block.outputEnd = size
                isWhole = read(&block) && block.written == size
                initialized = isWhole ? size : 0
            }
        }
        guard isWhole else { throw damaged(name) }
        return output
    }
}

/// Reads one block. False means damaged data; nothing is read or written outside the two buffers.
private struct BlockReader {
    let input: UnsafeRawBufferPointer
    let output: UnsafeMutableRawBufferPointer
    var position = 0
    var written = 0
    var outputEnd = 0

    init(input: UnsafeRawBufferPointer, output: UnsafeMutableRawBufferPointer) {
        self.input = input
        self.output = output
    }

    mutating func readSnappy() -> Bool {
        while position < input.count {
            let tag = Int(input[position])
            position += 1
            switch tag & 3 {
            case 0:
                var length = tag >> 2
                if length >= 60 {
                    guard let number = number(bytes: length - 59) else { return false }
                    length = number
                }
                guard copyLiteral(length + 1) else { return false }
            case 1:
                guard let low = number(bytes: 1) else { return false }
                guard copyBack((tag >> 5) << 8 | low, length: 4 + (tag >> 2 & 7)) else { return false }
            case let kind:
                guard let offset = number(bytes: kind == 2 ? 2 : 4) else { return false }
                guard copyBack(offset, length: 1 + tag >> 2) else { return false }
            }
        }
        return true
    }

    mutating func readLZ4() -> Bool {
        while position < input.count {
            let token = Int(input[position])
            position += 1
            guard let literal = extended(token >> 4), copyLiteral(literal) else { return false }
            // The last sequence has no copy.
            if position == input.count { return true }
            guard let offset = number(bytes: 2), let length = extended(token & 15) else { return false }
            guard copyBack(offset, length: length + 4) else { return false }
        }
        return true
    }

    /// A length of LZ4: 15 means that more bytes are added, up to the first that is not 255.
    private mutating func extended(_ start: Int) -> Int? {
        guard start == 15 else { return start }
        var length = start
        while position < input.count {
            let byte = Int(input[position])
            position += 1
            length += byte
            if byte < 255 { return length }
        }
        return nil
    }

    private mutating func number(bytes count: Int) -> Int? {
        guard count <= input.count - position else { return nil }
        var number = 0
        for index in 0..<count { number |= Int(input[position + index]) << (8 * index) }
        position += count
        return number
    }

    private mutating func copyLiteral(_ count: Int) -> Bool {
        guard count <= input.count - position, count <= outputEnd - written else { return false }
        guard count > 0, let source = input.baseAddress, let target = output.baseAddress else {
            return count == 0
        }
        (target + written).copyMemory(from: source + position, byteCount: count)
        position += count
        written += count
        return true
    }

    /// Repeats what was written `offset` bytes before; the two stretches may overlap, which repeats a
    /// pattern.
    private mutating func copyBack(_ offset: Int, length: Int) -> Bool {
        guard offset > 0, offset <= written, length <= outputEnd - written, let start = output.baseAddress
        else {
            return false
        }
        let target = start + written
        if offset >= length {
            target.copyMemory(from: target - offset, byteCount: length)
        } else {
            for index in 0..<length {
                target.storeBytes(
                    of: (target + index - offset).load(as: UInt8.self), toByteOffset: index, as: UInt8.self)
            }
        }
        written += length
        return true
    }
}
