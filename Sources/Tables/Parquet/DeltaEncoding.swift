// Numbers as differences, and texts by their lengths or by what they share with the text before. Source:
// apache/parquet-format's Encodings.md.

/// DELTA_BINARY_PACKED.
enum DeltaEncoding {
    /// No writer makes larger blocks.
    private static let maximumBlock = 1 << 20

    /// Reads exactly so many numbers. Differences wrap around; narrower integers are the lower bits.
    static func numbers(_ cursor: inout ByteCursor, count: Int) throws(TableProblem) -> [Int64] {
        if count == 0 && cursor.remaining == 0 { return [] }
        let blockSize = try cursor.size()
        let miniblocks = try cursor.size()
        let total = try cursor.size()
        var value = try cursor.zigzag()
        guard total == count else {
            throw TableProblem("a page has \(total) differences for \(count) values")
        }
        guard (1...maximumBlock).contains(blockSize), (1...blockSize).contains(miniblocks),
            blockSize % miniblocks == 0, blockSize / miniblocks % 8 == 0
        else { throw TableProblem("a page has blocks of a wrong size") }
        var numbers: [Int64] = []
        guard count > 0 else { return numbers }
        numbers.reserveCapacity(count)
        numbers.append(value)
        while numbers.count < count {
            let least = try cursor.zigzag()
            let widths = try cursor.take(miniblocks)
            for index in widths where numbers.count < count {
                let width = Int(cursor.bytes[index])
                guard width <= 64 else { throw TableProblem("differences of \(width) bits are too wide") }
                let size = blockSize / miniblocks
                let range = try cursor.take(size / 8 * width)
                let wanted = min(size, count - numbers.count)
                cursor.bytes.withUnsafeBytes { bytes in
                    let packed = UnsafeRawBufferPointer(rebasing: bytes[range])
                    for place in 0..<wanted {
                        let difference = BitPacking.number(at: place * width, width: width, in: packed)
                        value = value &+ least &+ Int64(bitPattern: difference)
                        numbers.append(value)
                    }
                }
            }
        }
        return numbers
    }

    /// Lengths, as differences.
    static func lengths(_ cursor: inout ByteCursor, count: Int) throws(TableProblem) -> [Int] {
        let numbers = try Self.numbers(&cursor, count: count)
        return try numbers.map { number throws(TableProblem) in
            guard (0...Int64(Int32.max)).contains(number) else {
                throw TableProblem("a text has the impossible length \(number)")
            }
            return Int(number)
        }
    }
}
