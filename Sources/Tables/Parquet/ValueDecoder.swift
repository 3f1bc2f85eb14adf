// Values out of a page, by physical type and encoding. Source: apache/parquet-format's Encodings.md.

/// Appends the values of pages to those of a column.
struct ValueDecoder {
    let leaf: ParquetLeaf
    let budget: MemoryBudget

    /// Reads exactly so many values from the rest of the cursor.
    func append(
        _ count: Int, from cursor: inout ByteCursor, encoding: PageEncoding, to values: inout ColumnValues
    ) throws(TableProblem) {
        try budget.take(ColumnValues.bytes(of: leaf.type), times: count)
        switch (encoding, leaf.type) {
        case (.plain, _): try appendPlain(count, &cursor, &values)
        case (.rle, .boolean):
            let length = try cursor.uint32()
            var runs = ByteCursor(cursor.bytes, try cursor.take(length))
            let bits = try HybridRLE.numbers(&runs, width: 1, count: count, as: UInt8.self)
            values.bools.append(contentsOf: bits.lazy.map { $0 == 1 })
        case (.deltaBinaryPacked, .int32):
            try budget.take(8, times: count)
            let numbers = try DeltaEncoding.numbers(&cursor, count: count)
            values.int32.append(contentsOf: numbers.lazy.map { Int32(truncatingIfNeeded: $0) })
        case (.deltaBinaryPacked, .int64):
            values.int64.append(contentsOf: try DeltaEncoding.numbers(&cursor, count: count))
        case (.deltaLengthByteArray, .byteArray): try appendByLength(count, &cursor, &values)
        case (.deltaByteArray, .byteArray), (.deltaByteArray, .fixedLengthByteArray):
            try appendByPrefix(count, &cursor, &values)
        case (.byteStreamSplit, _): try appendSplit(count, &cursor, &values)
        default:
            throw TableProblem("values of the type \(leaf.type) cannot have the encoding \(encoding)")
        }
    }

    /// Bytes of a value where each has the same number, else nil.
    private var fixedSize: Int? {
        switch leaf.type {
        case .int32, .float: 4
        case .int64, .double: 8
        case .int96: 12
        case .fixedLengthByteArray: leaf.typeLength
        case .boolean, .byteArray: nil
        }
    }

    private func appendPlain(_ count: Int, _ cursor: inout ByteCursor, _ values: inout ColumnValues)
        throws(TableProblem)
    {
        if let fixedSize {
            let range = try cursor.take(try product(count, fixedSize))
            return try appendFixed(count, size: fixedSize, cursor.bytes, range, &values)
        }
        if leaf.type == .byteArray { return try appendByteArrays(count, &cursor, &values) }
        let range = try cursor.take(count / 8 + (count % 8 > 0 ? 1 : 0))
        for index in 0..<count {
            values.bools.append(cursor.bytes[range.lowerBound + index / 8] >> UInt8(index % 8) & 1 == 1)
        }
    }

    private func product(_ count: Int, _ size: Int) throws(TableProblem) -> Int {
        let (product, overflowed) = count.multipliedReportingOverflow(by: size)
        guard !overflowed else { throw TableProblem("a page has impossibly many values") }
        return product
    }

    private func appendFixed(
        _ count: Int, size: Int, _ bytes: [UInt8], _ range: Range<Int>, _ values: inout ColumnValues
    ) throws(TableProblem) {
        let start = range.lowerBound
        switch leaf.type {
        case .int32:
            values.int32.append(
                contentsOf: (0..<count).lazy.map { bytes.integer(at: start + 4 * $0, as: Int32.self) })
        case .int64:
            values.int64.append(
                contentsOf: (0..<count).lazy.map { bytes.integer(at: start + 8 * $0, as: Int64.self) })
        case .float:
            values.floats.append(
                contentsOf: (0..<count).lazy.map {
                    Float(bitPattern: bytes.integer(at: start + 4 * $0, as: UInt32.self))
                })
        case .double:
            values.doubles.append(
                contentsOf: (0..<count).lazy.map {
                    Double(bitPattern: bytes.integer(at: start + 8 * $0, as: UInt64.self))
                })
        default:
            let buffer = try values.add(buffer: bytes)
            values.slices.append(
                contentsOf: (0..<count).lazy.map {
                    ByteSlice(buffer: buffer, start: UInt32(start + size * $0), count: UInt32(size))
                })
        }
    }

    /// Each has its length in four bytes before it.
    private func appendByteArrays(_ count: Int, _ cursor: inout ByteCursor, _ values: inout ColumnValues)
        throws(TableProblem)
    {
        let buffer = try values.add(buffer: cursor.bytes)
        var slices: [ByteSlice] = []
        slices.reserveCapacity(count)
        var position = cursor.position
        let end = cursor.end
        cursor.bytes.withUnsafeBytes { bytes in
            while slices.count < count, end - position >= 4 {
                let length = Int(
                    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
                guard length <= end - position - 4 else { break }
                slices.append(
                    ByteSlice(buffer: buffer, start: UInt32(position + 4), count: UInt32(length)))
                position += 4 + length
            }
        }
        guard slices.count == count else { throw TableProblem("a page ends before its last value") }
        _ = try cursor.take(position - cursor.position)
        values.slices.append(contentsOf: slices)
    }

    /// All lengths, then all bytes.
    private func appendByLength(_ count: Int, _ cursor: inout ByteCursor, _ values: inout ColumnValues)
        throws(TableProblem)
    {
        try budget.take(16, times: count)
        let lengths = try DeltaEncoding.lengths(&cursor, count: count)
        let buffer = try values.add(buffer: cursor.bytes)
        for length in lengths {
            let range = try cursor.take(length)
            values.slices.append(
                ByteSlice(buffer: buffer, start: UInt32(range.lowerBound), count: UInt32(length)))
        }
    }

    /// How much of the value before is shared, then the rest of each value.
    private func appendByPrefix(_ count: Int, _ cursor: inout ByteCursor, _ values: inout ColumnValues)
        throws(TableProblem)
    {
        try budget.take(32, times: count)
        let prefixes = try DeltaEncoding.lengths(&cursor, count: count)
        let suffixes = try DeltaEncoding.lengths(&cursor, count: count)
        var text: [UInt8] = []
        var places: [Range<Int>] = []
        var last = 0..<0
        for (prefix, suffix) in zip(prefixes, suffixes) {
            guard prefix <= last.count else {
                throw TableProblem("a text shares more than the one before has")
            }
            let rest = try cursor.take(suffix)
            // What is shared is written out again, so a small page may become a large text.
            try budget.take(prefix + suffix)
            guard text.count + prefix + suffix <= Int(UInt32.max) else {
                throw TableProblem(
                    "a page unpacks to more than 4 GiB", remedy: "write the file again with smaller pages")
            }
            let start = text.count
            // A slice of the text appended to the text itself would make a copy of all of it each time.
            text.append(contentsOf: repeatElement(0, count: prefix))
            text.withUnsafeMutableBytes { bytes in
                let shared = UnsafeRawBufferPointer(
                    rebasing: bytes[last.lowerBound..<last.lowerBound + prefix])
                UnsafeMutableRawBufferPointer(rebasing: bytes[start...]).copyMemory(from: shared)
            }
            text.append(contentsOf: cursor.bytes[rest])
            last = start..<text.count
            guard leaf.type == .byteArray || last.count == leaf.typeLength else {
                throw TableProblem("a value has \(last.count) bytes, not \(leaf.typeLength)")
            }
            places.append(last)
        }
        let buffer = try values.add(buffer: text)
        values.slices.append(
            contentsOf: places.lazy.map {
                ByteSlice(buffer: buffer, start: UInt32($0.lowerBound), count: UInt32($0.count))
            })
    }

    /// All first bytes, then all second bytes, and so on.
    private func appendSplit(_ count: Int, _ cursor: inout ByteCursor, _ values: inout ColumnValues)
        throws(TableProblem)
    {
        guard let fixedSize, leaf.type != .int96 else {
            throw TableProblem("values of the type \(leaf.type) cannot be split into streams")
        }
        let size = try product(count, fixedSize)
        let range = try cursor.take(size)
        try budget.take(size)
        var bytes = [UInt8](repeating: 0, count: size)
        for stream in 0..<fixedSize {
            for index in 0..<count {
                bytes[index &* fixedSize &+ stream] = cursor.bytes[range.lowerBound + stream * count + index]
            }
        }
        try appendFixed(count, size: fixedSize, bytes, 0..<size, &values)
    }
}
