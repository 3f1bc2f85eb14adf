// How the pages of a column are packed, and unpacking them.

/// A codec of parquet.thrift.
enum PageCodec: Sendable {
    case none, snappy, gzip, zstandard, lz4

    /// - Throws: naming the codec and what to do, if it is not read here.
    init(_ number: Int) throws(TableProblem) {
        switch number {
        case 0: self = .none
        case 1: self = .snappy
        case 2: self = .gzip
        case 6: self = .zstandard
        case 7: self = .lz4
        case 3: throw Self.refused("LZO")
        case 4: throw Self.refused("BROTLI")
        case 5: throw Self.refused("LZ4 in Hadoop's framing")
        default: throw TableProblem("the file is packed by the unknown codec \(number)")
        }
    }

    private static func refused(_ name: String) -> TableProblem {
        TableProblem(
            "the file is packed with \(name), which is not read",
            remedy: "write it again packed with snappy, zstd, gzip or not at all")
    }

    /// - Parameter expected: what must come out. Somebody has paid for that memory.
    func unpack(_ bytes: [UInt8], _ range: Range<Int>, expected: Int) throws(TableProblem) -> [UInt8] {
        switch self {
        case .none:
            guard range.count == expected else {
                throw TableProblem("a page has \(range.count) bytes, not \(expected)")
            }
            return Array(bytes[range])
        case .snappy: return try BlockFormats.unpackSnappy(bytes, range, expected: expected)
        case .gzip: return try Unpacker.unpack(bytes, range, packing: .gzip, expected: expected)
        case .zstandard: return try Unpacker.unpack(bytes, range, packing: .zstandard, expected: expected)
        case .lz4: return try BlockFormats.unpackLZ4(bytes, range, expected: expected)
        }
    }
}
