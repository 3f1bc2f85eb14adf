// Reads a column of a row group: page after page into levels and values.

/// A column of a row group in memory.
struct ParquetColumn {
    /// How many values there are, those that are missing included, and empty lists.
    var entryCount = 0
    /// One for each entry; empty where all are 0.
    var definitions: [UInt8] = []
    /// As above.
    var repetitions: [UInt8] = []
    /// Those that are there.
    var values = ColumnValues()
}

/// Goes over the pages of a column.
struct ColumnReader {
    private let leaf: ParquetLeaf
    private let codec: PageCodec
    private let limits: TableLimits
    private let budget: MemoryBudget
    private let decoder: ValueDecoder
    private var dictionary: ColumnValues?
    private var column = ParquetColumn()

    private init(_ leaf: ParquetLeaf, _ codec: PageCodec, _ limits: TableLimits, _ budget: MemoryBudget) {
        self.leaf = leaf
        self.codec = codec
        self.limits = limits
        self.budget = budget
        decoder = ValueDecoder(leaf: leaf, budget: budget)
    }

    /// - Parameter bytes: the whole column chunk.
    static func read(
        _ bytes: [UInt8], of chunk: ParquetColumnChunk, _ leaf: ParquetLeaf, limits: TableLimits,
        budget: MemoryBudget
    ) throws(TableProblem) -> ParquetColumn {
        var reader = ColumnReader(leaf, try PageCodec(chunk.codec), limits, budget)
        var cursor = ByteCursor(bytes)
        while reader.column.entryCount < chunk.valueCount {
            let header = try PageHeader(&cursor)
            let page = try cursor.take(header.packedBytes)
            try reader.check(header, bytes, page, remaining: chunk.valueCount - reader.column.entryCount)
            switch header.kind {
            case .data(let definitions, let repetitions):
                try reader.readPage(header, bytes, page, definitions, repetitions)
            case .dataV2(let definitionBytes, let repetitionBytes, let isPacked):
                try reader.readPageV2(header, bytes, page, definitionBytes, repetitionBytes, isPacked)
            case .dictionary: try reader.readDictionary(header, bytes, page)
            case .other: continue
            }
        }
        return reader.column
    }

    private func check(_ header: PageHeader, _ bytes: [UInt8], _ page: Range<Int>, remaining: Int)
        throws(TableProblem)
    {
        if case .other = header.kind { return }
        guard header.unpackedBytes <= limits.pageBytes else {
            throw TableProblem(
                "a page unpacks to \(header.unpackedBytes) bytes, more than \(limits.pageBytes)",
                remedy: "write the file again with smaller pages, if it is not damaged")
        }
        if let checksum = header.checksum, CRC32.checksum(bytes, page) != checksum {
            throw TableProblem("a page has a wrong checksum")
        }
        if case .dictionary = header.kind { return }
        guard header.valueCount <= remaining else {
            throw TableProblem("a page has \(header.valueCount) values where \(remaining) are left")
        }
    }

    private mutating func readDictionary(_ header: PageHeader, _ bytes: [UInt8], _ page: Range<Int>)
        throws(TableProblem)
    {
        guard dictionary == nil, column.entryCount == 0 else {
            throw TableProblem("a column has a dictionary that is not its first page")
        }
        guard header.encoding == .plain || header.encoding == .plainDictionary else {
            throw TableProblem("a dictionary has the encoding \(header.encoding)")
        }
        var cursor = try unpack(bytes, page, to: header.unpackedBytes)
        var values = ColumnValues()
        try decoder.append(header.valueCount, from: &cursor, encoding: .plain, to: &values)
        column.values.share(buffersOf: values)
        dictionary = values
    }

    private func unpack(_ bytes: [UInt8], _ range: Range<Int>, to expected: Int) throws(TableProblem)
        -> ByteCursor
    {
        if case .none = codec {
            guard range.count == expected else {
                throw TableProblem("a page has \(range.count) bytes, not \(expected)")
            }
            return ByteCursor(bytes, range)
        }
        try budget.take(expected)
        return ByteCursor(try codec.unpack(bytes, range, expected: expected))
    }

    private mutating func readPage(
        _ header: PageHeader, _ bytes: [UInt8], _ page: Range<Int>, _ definitions: PageEncoding,
        _ repetitions: PageEncoding
    ) throws(TableProblem) {
        var cursor = try unpack(bytes, page, to: header.unpackedBytes)
        let count = header.valueCount
        if leaf.maxRepetition > 0 {
            column.repetitions += try levels(&cursor, repetitions, count, maximum: leaf.maxRepetition)
        }
        try append(count, of: header, from: &cursor) { reader, cursor throws(TableProblem) in
            try reader.levels(&cursor, definitions, count, maximum: reader.leaf.maxDefinition)
        }
    }

    private mutating func readPageV2(
        _ header: PageHeader, _ bytes: [UInt8], _ page: Range<Int>, _ definitionBytes: Int,
        _ repetitionBytes: Int, _ isPacked: Bool
    ) throws(TableProblem) {
        var plain = ByteCursor(bytes, page)
        var repetitions = ByteCursor(bytes, try plain.take(repetitionBytes))
        var definitions = ByteCursor(bytes, try plain.take(definitionBytes))
        let levelBytes = repetitionBytes + definitionBytes
        guard header.unpackedBytes >= levelBytes else {
            throw TableProblem("a page has fewer bytes than its levels")
        }
        var values = ByteCursor(bytes, plain.takeRest())
        // Where there are no values there may be nothing that could be unpacked.
        if isPacked && values.remaining > 0 {
            values = try unpack(
                bytes, values.position..<values.end, to: header.unpackedBytes - levelBytes)
        }
        let count = header.valueCount
        if leaf.maxRepetition > 0 {
            column.repetitions += try runs(&repetitions, count, maximum: leaf.maxRepetition)
        }
        try append(count, of: header, from: &values) { reader, _ throws(TableProblem) in
            try reader.runs(&definitions, count, maximum: reader.leaf.maxDefinition)
        }
    }

    /// Levels of a page of version 1: in runs, with their size before them, or packed as long ago.
    private func levels(_ cursor: inout ByteCursor, _ encoding: PageEncoding, _ count: Int, maximum: UInt8)
        throws(TableProblem) -> [UInt8]
    {
        switch encoding {
        case .rle:
            let size = try cursor.uint32()
            var part = ByteCursor(cursor.bytes, try cursor.take(size))
            return try runs(&part, count, maximum: maximum)
        case .bitPacked:
            try budget.take(count)
            return try checked(
                try BitPacking.levels(&cursor, width: BitPacking.width(of: maximum), count: count), maximum)
        default: throw TableProblem("levels have the encoding \(encoding)")
        }
    }

    private func runs(_ cursor: inout ByteCursor, _ count: Int, maximum: UInt8) throws(TableProblem)
        -> [UInt8]
    {
        try budget.take(count)
        let width = BitPacking.width(of: maximum)
        return try checked(
            try HybridRLE.numbers(&cursor, width: width, count: count, as: UInt8.self), maximum)
    }

    private func checked(_ levels: [UInt8], _ maximum: UInt8) throws(TableProblem) -> [UInt8] {
        guard levels.allSatisfy({ $0 <= maximum }) else { throw TableProblem("a level is too high") }
        return levels
    }

    /// Reads definition levels, then as many values as are there by them.
    private mutating func append(
        _ count: Int, of header: PageHeader, from cursor: inout ByteCursor,
        definitions: (ColumnReader, inout ByteCursor) throws(TableProblem) -> [UInt8]
    ) throws(TableProblem) {
        var present = count
        if leaf.maxDefinition > 0 {
            let levels = try definitions(self, &cursor)
            present = levels.count { $0 == leaf.maxDefinition }
            column.definitions += levels
        }
        column.entryCount += count
        switch header.encoding {
        case .plainDictionary, .rleDictionary:
            // A page of missing values alone may come without what would be empty anyway.
            if present == 0 { return }
            guard let dictionary else { throw TableProblem("a column has no dictionary for its pages") }
            try budget.take(4 + ColumnValues.bytes(of: leaf.type), times: present)
            let width = Int(try cursor.byte())
            let indices = try HybridRLE.numbers(&cursor, width: width, count: present, as: UInt32.self)
            try column.values.append(indices, of: dictionary, type: leaf.type)
        default:
            if present == 0 { return }
            try decoder.append(present, from: &cursor, encoding: header.encoding, to: &column.values)
        }
    }
}
