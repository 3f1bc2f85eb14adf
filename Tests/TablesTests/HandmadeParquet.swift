// Parquet files made by hand, byte by byte: what old writers made and pyarrow does not, and what nobody
// should make.

/// A structure of Thrift's compact protocol while it is written; fields must come in rising order.
struct ThriftBytes {
    private(set) var bytes: [UInt8] = []
    private var lastField = 0

    private mutating func field(_ number: Int, _ kind: UInt8) {
        bytes.append(UInt8((number - lastField) << 4) | kind)
        lastField = number
    }

    mutating func integer(_ number: Int, _ value: Int) {
        field(number, 6)
        bytes += varint(UInt64(bitPattern: Int64(value << 1 ^ value >> 63)))
    }

    mutating func bool(_ number: Int, _ value: Bool) { field(number, value ? 1 : 2) }

    mutating func text(_ number: Int, _ value: String) {
        field(number, 8)
        bytes += varint(UInt64(value.utf8.count)) + Array(value.utf8)
    }

    mutating func structure(_ number: Int, _ value: ThriftBytes) {
        field(number, 12)
        bytes += value.closed
    }

    mutating func list(_ number: Int, _ elements: [ThriftBytes]) {
        field(number, 9)
        bytes += [0xFC] + varint(UInt64(elements.count)) + elements.flatMap(\.closed)
    }

    mutating func raw(_ more: [UInt8]) { bytes += more }

    var closed: [UInt8] { bytes + [0] }

    static func with(_ fill: (inout ThriftBytes) -> Void) -> ThriftBytes {
        var value = ThriftBytes()
        fill(&value)
        return value
    }
}

/// A file of one row group and one column.
struct HandmadeParquet {
    /// Depth-first, without the root; a group has children.
    struct Node {
        var name: String
        /// 0 required, 1 optional, 2 repeated.
        var repetition: Int
        var type: Int?
        var children: Int?
        var convertedType: Int?
        var typeLength: Int?
        var scale: Int?
    }

    var nodes: [Node]
    var rows: Int
    var values: Int
    /// The column's pages with their headers.
    var pages: [UInt8]
    var codec = 0
    var fields = 1
    /// What is said instead of the truth.
    var claimedChunkBytes: Int?
    var otherFile: String?

    var bytes: [UInt8] {
        let root = ThriftBytes.with {
            $0.text(4, "schema")
            $0.integer(5, fields)
        }
        let elements = nodes.map { node in
            ThriftBytes.with {
                if let type = node.type { $0.integer(1, type) }
                if let length = node.typeLength { $0.integer(2, length) }
                $0.integer(3, node.repetition)
                $0.text(4, node.name)
                if let children = node.children { $0.integer(5, children) }
                if let converted = node.convertedType { $0.integer(6, converted) }
                if let scale = node.scale { $0.integer(7, scale) }
            }
        }
        let metadata = ThriftBytes.with {
            $0.integer(1, nodes.last?.type ?? 0)
            $0.integer(4, codec)
            $0.integer(5, values)
            $0.integer(7, claimedChunkBytes ?? pages.count)
            $0.integer(9, 4)
        }
        let chunk = ThriftBytes.with {
            if let otherFile { $0.text(1, otherFile) }
            $0.structure(3, metadata)
        }
        let group = ThriftBytes.with {
            $0.list(1, [chunk])
            $0.integer(3, rows)
        }
        let footer = ThriftBytes.with {
            $0.integer(1, 1)
            $0.list(2, [root] + elements)
            $0.integer(3, rows)
            $0.list(4, [group])
        }.closed
        let length = withUnsafeBytes(of: UInt32(footer.count).littleEndian) { Array($0) }
        return Array("PAR1".utf8) + pages + footer + length + Array("PAR1".utf8)
    }

    /// A data page of version 1.
    static func page(
        _ content: [UInt8], values: Int, encoding: Int = 0, levels: Int = 3, unpacked: Int? = nil,
        checksum: Int? = nil
    ) -> [UInt8] {
        let details = ThriftBytes.with {
            $0.integer(1, values)
            $0.integer(2, encoding)
            $0.integer(3, levels)
            $0.integer(4, levels)
        }
        return ThriftBytes.with {
            $0.integer(1, 0)
            $0.integer(2, unpacked ?? content.count)
            $0.integer(3, content.count)
            if let checksum { $0.integer(4, checksum) }
            $0.structure(5, details)
        }.closed + content
    }

    static func dictionary(_ content: [UInt8], values: Int, encoding: Int = 0) -> [UInt8] {
        let details = ThriftBytes.with {
            $0.integer(1, values)
            $0.integer(2, encoding)
        }
        return ThriftBytes.with {
            $0.integer(1, 2)
            $0.integer(2, content.count)
            $0.integer(3, content.count)
            $0.structure(7, details)
        }.closed + content
    }

    static func int32(_ numbers: [Int32]) -> [UInt8] {
        numbers.flatMap { number in withUnsafeBytes(of: number.littleEndian) { Array($0) } }
    }

    static func texts(_ texts: [String]) -> [UInt8] {
        texts.flatMap { int32([Int32($0.utf8.count)]) + Array($0.utf8) }
    }

    /// Levels of one bit or two, a run each, with their size before them.
    static func levels(_ levels: [UInt8]) -> [UInt8] {
        let runs = levels.flatMap { [2, $0] as [UInt8] }
        return int32([Int32(runs.count)]) + runs
    }
}
