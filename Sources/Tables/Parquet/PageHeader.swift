// What stands before each page of a column: its size, its kind, how it is encoded.

/// How values are written; numbers of parquet.thrift.
enum PageEncoding: Int, Sendable {
    case plain = 0
    case plainDictionary = 2
    case rle = 3
    case bitPacked = 4
    case deltaBinaryPacked = 5
    case deltaLengthByteArray = 6
    case deltaByteArray = 7
    case rleDictionary = 8
    case byteStreamSplit = 9
}

/// A page's header.
struct PageHeader {
    enum Kind {
        case data(definitions: PageEncoding, repetitions: PageEncoding)
        /// Levels stand before the values, not packed, with these sizes.
        case dataV2(definitionBytes: Int, repetitionBytes: Int, isPacked: Bool)
        case dictionary
        /// An index, or something newer than this.
        case other
    }

    var kind: Kind
    var unpackedBytes: Int
    var packedBytes: Int
    var checksum: UInt32?
    var valueCount = 0
    var encoding = PageEncoding.plain

    /// Reads a header and leaves the cursor at the page's bytes.
    init(_ cursor: inout ByteCursor) throws(TableProblem) {
        var reader = ThriftReader(cursor)
        var sizes: [Int: Int] = [:]
        var details: [Int: PageDetails] = [:]
        var checksum: UInt32?
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch field {
            case 1, 2, 3: sizes[field] = try reader.readSize(kind)
            case 4: checksum = UInt32(truncatingIfNeeded: try reader.readInteger(kind))
            case 5, 7, 8: details[field] = try PageDetails(&reader, kind)
            default: return false
            }
            return true
        }
        _ = try cursor.take(reader.cursor.position - cursor.position)
        guard let type = sizes[1], let unpacked = sizes[2], let packed = sizes[3] else {
            throw TableProblem("the header of a page is not complete")
        }
        (unpackedBytes, packedBytes, self.checksum) = (unpacked, packed, checksum)
        switch type {
        case 0:
            let page = try Self.require(details[5])
            kind = .data(
                definitions: try Self.encoding(page.numbers[3]),
                repetitions: try Self.encoding(page.numbers[4]))
            (valueCount, encoding) = (try Self.require(page.numbers[1]), try Self.encoding(page.numbers[2]))
        case 2:
            let page = try Self.require(details[7])
            kind = .dictionary
            (valueCount, encoding) = (try Self.require(page.numbers[1]), try Self.encoding(page.numbers[2]))
        case 3:
            let page = try Self.require(details[8])
            kind = .dataV2(
                definitionBytes: try Self.require(page.numbers[5]),
                repetitionBytes: try Self.require(page.numbers[6]), isPacked: page.isPacked ?? true)
            (valueCount, encoding) = (try Self.require(page.numbers[1]), try Self.encoding(page.numbers[4]))
        default: kind = .other
        }
    }

    private static func require<Value>(_ value: Value?) throws(TableProblem) -> Value {
        guard let value else { throw TableProblem("the header of a page is not complete") }
        return value
    }

    private static func encoding(_ number: Int?) throws(TableProblem) -> PageEncoding {
        let number = try require(number)
        guard let encoding = PageEncoding(rawValue: number) else {
            throw TableProblem(
                "a page has the unknown encoding \(number)",
                remedy: "write the file again without it, if it is not damaged")
        }
        return encoding
    }
}

/// The part of a header that depends on the page's kind: numbers by field, and a truth of version 2.
private struct PageDetails {
    var numbers: [Int: Int] = [:]
    var isPacked: Bool?

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the header of a page is damaged") }
        var numbers: [Int: Int] = [:]
        var isPacked: Bool?
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch kind {
            case .int16, .int32, .int64: numbers[field] = try reader.readSize(kind)
            case .isTrue, .isFalse: isPacked = try reader.readBool(kind)
            default: return false
            }
            return true
        }
        (self.numbers, self.isPacked) = (numbers, isPacked)
    }
}
