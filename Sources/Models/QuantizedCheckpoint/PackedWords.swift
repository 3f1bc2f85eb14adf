// Codes of 4 or 8 bits in 32-bit words: where each lies, for every format on disk.

/// Words of a matrix of codes.
enum PackedWords {
    /// Which of 8 outputs nibble j of an AWQ word ("GEMM") belongs to.
    static let awqOrder = [0, 2, 4, 6, 1, 3, 5, 7]

    /// Codes in a word.
    static func perWord(bits: Int) -> Int { 32 / bits }

    /// How many words hold `count` codes, the last one filled up with zeros.
    static func words(for count: Int, bits: Int) -> Int { (count * bits + 31) / 32 }

    /// Codes along one dimension of a matrix, packed: `words` along it, `lanes` across it.
    /// - Parameter code: the code at (position along, lane); asked for positions below `count` only.
    /// - Returns: little-endian bytes of [words, lanes] words.
    static func packed(
        count: Int, lanes: Int, bits: Int, order: [Int]? = nil, _ code: (Int, Int) -> UInt8
    ) -> [UInt32] {
        let perWord = perWord(bits: bits), wordCount = words(for: count, bits: bits)
        var words = [UInt32](repeating: 0, count: wordCount * lanes)
        for word in 0..<wordCount {
            for lane in 0..<lanes {
                var value: UInt32 = 0
                for slot in 0..<perWord {
                    let position = word * perWord + (order?[slot] ?? slot)
                    guard position < count else { continue }
                    value |= UInt32(code(position, lane)) << UInt32(slot * bits)
                }
                words[word * lanes + lane] = value
            }
        }
        return words
    }

    /// [rows, columns] words as [columns, rows].
    static func transposed(_ words: [UInt32], rows: Int, columns: Int) -> [UInt32] {
        var result = [UInt32](repeating: 0, count: words.count)
        for row in 0..<rows {
            for column in 0..<columns { result[column * rows + row] = words[row * columns + column] }
        }
        return result
    }

    /// Little-endian bytes.
    static func bytes(_ words: [UInt32]) -> [UInt8] {
        words.map(\.littleEndian).withUnsafeBytes { Array($0) }
    }

    /// Word `index` of stored bytes at any alignment.
    static func word(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
    }
}
