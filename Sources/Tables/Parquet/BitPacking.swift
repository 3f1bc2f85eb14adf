// Numbers of any width in bits, one after another, and the mix of runs and packed numbers that Parquet makes
// of them. Source: apache/parquet-format's Encodings.md.

/// Takes numbers out of a stretch of bits.
enum BitPacking {
    /// The number whose lowest bit is the given one, bits being counted from the lowest of the first byte.
    /// - Precondition: the width is at most 64 and all bits are within the bytes.
    @inline(__always)
    static func number(at bit: Int, width: Int, in bytes: UnsafeRawBufferPointer) -> UInt64 {
        guard width > 0 else { return 0 }
        let index = bit >> 3
        let shift = bit & 7
        var low: UInt64 = 0
        if index + 8 <= bytes.count {
            low = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        } else {
            for place in index..<bytes.count { low |= UInt64(bytes[place]) << UInt64(8 * (place - index)) }
        }
        low >>= UInt64(shift)
        if shift + width > 64 { low |= UInt64(bytes[index + 8]) << UInt64(64 - shift) }
        return width == 64 ? low : low & (1 << UInt64(width) - 1)
    }

    /// Levels of very old files: packed from the highest bit on, without runs.
    static func levels(_ cursor: inout ByteCursor, width: Int, count: Int) throws(TableProblem) -> [UInt8] {
        let (bits, overflowed) = count.multipliedReportingOverflow(by: width)
        guard !overflowed else { throw TableProblem("a page has too many levels") }
        let range = try cursor.take(bits / 8 + (bits % 8 > 0 ? 1 : 0))
        return (0..<count).map { index in
            var level: UInt8 = 0
            for bit in index * width..<(index + 1) * width {
                level = level << 1 | (cursor.bytes[range.lowerBound + bit / 8] >> UInt8(7 - bit % 8) & 1)
            }
            return level
        }
    }

    /// How many bits the numbers from 0 to this one need.
    static func width(of maximum: UInt8) -> Int { 8 - maximum.leadingZeroBitCount }
}

/// The hybrid of runs and packed numbers.
enum HybridRLE {
    /// Reads exactly so many numbers; what a last run has beyond them is passed over.
    ///
    /// - Parameter width: at most 32 and at most the width of a `Number`.
    /// - Precondition: somebody has paid for the memory.
    static func numbers<Number: FixedWidthInteger & UnsignedInteger>(
        _ cursor: inout ByteCursor, width: Int, count: Int, as type: Number.Type
    ) throws(TableProblem) -> [Number] {
        guard (0...min(32, Number.bitWidth)).contains(width) else {
            throw TableProblem("numbers of \(width) bits are too wide")
        }
        var numbers: [Number] = []
        numbers.reserveCapacity(count)
        // Some writers leave out the runs of numbers that have no bits.
        if width == 0 && cursor.remaining == 0 { return [Number](repeating: 0, count: count) }
        while numbers.count < count {
            let head = try cursor.size()
            let wanted = count - numbers.count
            if head & 1 == 0 {
                let range = try cursor.take((width + 7) / 8)
                var value: UInt64 = 0
                for index in range.reversed() { value = value << 8 | UInt64(cursor.bytes[index]) }
                guard width == 64 || value >> UInt64(width) == 0, head > 1 else {
                    throw TableProblem("a run is empty or has a number that is too wide")
                }
                let length = min(head >> 1, wanted)
                numbers.append(contentsOf: repeatElement(Number(truncatingIfNeeded: value), count: length))
            } else {
                try unpack(head >> 1, &cursor, width: width, wanted: wanted, into: &numbers)
            }
        }
        return numbers
    }

    /// - Parameter groups: of eight numbers each.
    private static func unpack<Number: FixedWidthInteger & UnsignedInteger>(
        _ groups: Int, _ cursor: inout ByteCursor, width: Int, wanted: Int, into numbers: inout [Number]
    ) throws(TableProblem) {
        guard groups > 0 else { throw TableProblem("a run is empty") }
        let (count, overflowed) = groups.multipliedReportingOverflow(by: 8)
        let used = overflowed ? wanted : min(count, wanted)
        let (whole, tooMany) = groups.multipliedReportingOverflow(by: width)
        // The last groups of a page may be cut off behind the numbers that count.
        let needed = (used * width + 7) / 8
        let range = try cursor.take(max(needed, tooMany ? needed : min(whole, cursor.remaining)))
        cursor.bytes.withUnsafeBytes { bytes in
            let packed = UnsafeRawBufferPointer(rebasing: bytes[range])
            for index in 0..<used {
                let number = BitPacking.number(at: index &* width, width: width, in: packed)
                numbers.append(Number(truncatingIfNeeded: number))
            }
        }
    }
}
