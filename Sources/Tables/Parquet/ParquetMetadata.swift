// What a Parquet file's end says of the rest: its schema, its row groups and where their columns lie. Numbers
// of fields and of enumerations are those of apache/parquet-format's parquet.thrift.

/// The file's metadata, as it is written.
struct ParquetMetadata: Sendable {
    var schema: [ParquetSchemaElement] = []
    var rowCount = 0
    var rowGroups: [ParquetRowGroup] = []

    /// More nodes than any table needs would only fill memory.
    private static let maximumNodes = 100_000

    /// - Parameter bytes: the footer without its length and the file's last four letters.
    init(_ bytes: [UInt8]) throws(TableProblem) {
        var reader = ThriftReader(ByteCursor(bytes))
        var isEncrypted = false
        var metadata = (schema: [ParquetSchemaElement](), rowCount: -1, rowGroups: [ParquetRowGroup]())
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch field {
            case 2:
                try reader.readList(kind) { reader, kind throws(TableProblem) in
                    guard metadata.schema.count < Self.maximumNodes else {
                        throw TableProblem("the schema has more than \(Self.maximumNodes) nodes")
                    }
                    metadata.schema.append(try ParquetSchemaElement(&reader, kind))
                }
            case 3: metadata.rowCount = try reader.readSize(kind)
            case 4:
                try reader.readList(kind) { reader, kind throws(TableProblem) in
                    metadata.rowGroups.append(try ParquetRowGroup(&reader, kind))
                }
            case 8:
                isEncrypted = true
                return false
            default: return false
            }
            return true
        }
        if isEncrypted { throw Self.encrypted }
        guard !metadata.schema.isEmpty, metadata.rowCount >= 0 else {
            throw TableProblem("the metadata has no schema or no number of rows")
        }
        (schema, rowCount, rowGroups) = metadata
    }

    static let encrypted = TableProblem(
        "the file is encrypted (Parquet modular encryption)",
        remedy: "decrypt it, or write it again without encryption")
}

/// A node of the schema, which is written as a list in depth-first order.
struct ParquetSchemaElement: Sendable {
    var type: PhysicalType?
    var typeLength = 0
    var repetition = Repetition.required
    var name: String
    var childCount: Int?
    var convertedType: Int?
    var scale = 0
    var logicalType: LogicalType?

    enum Repetition: Int, Sendable { case required, optional, repeated }

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the schema is damaged") }
        var element = (
            type: PhysicalType?.none, typeLength: 0, repetition: Repetition.required, name: String?.none,
            childCount: Int?.none, convertedType: Int?.none, scale: 0, logicalType: LogicalType?.none
        )
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch field {
            case 1:
                let number = try reader.readInteger(kind)
                guard let type = PhysicalType(rawValue: number) else {
                    throw TableProblem("the schema has a column of the unknown physical type \(number)")
                }
                element.type = type
            case 2: element.typeLength = try reader.readSize(kind)
            case 3:
                guard let repetition = Repetition(rawValue: try reader.readInteger(kind)) else {
                    throw TableProblem("the schema has a column of an unknown repetition")
                }
                element.repetition = repetition
            case 4: element.name = try reader.readString(kind)
            case 5: element.childCount = try reader.readSize(kind)
            case 6: element.convertedType = try reader.readInteger(kind)
            case 7: element.scale = try reader.readInteger(kind)
            case 10: element.logicalType = try LogicalType(&reader, kind)
            default: return false
            }
            return true
        }
        guard let name = element.name else { throw TableProblem("the schema has a column without a name") }
        self.name = name
        type = element.type
        typeLength = element.typeLength
        repetition = element.repetition
        childCount = element.childCount
        convertedType = element.convertedType
        scale = element.scale
        logicalType = element.logicalType
    }
}

/// How values lie in pages.
enum PhysicalType: Int, Sendable, Hashable {
    case boolean, int32, int64, int96, float, double, byteArray, fixedLengthByteArray
}

/// The annotation of newer files; older ones have only the converted type.
enum LogicalType: Sendable, Hashable {
    enum Unit: Int, Sendable, Hashable { case milliseconds = 1, microseconds, nanoseconds }

    case string, map, list, enumeration, date, unknown, json, bson, uuid, float16
    case decimal(scale: Int)
    case time(Unit)
    case timestamp(Unit, isUTC: Bool)
    case integer(bits: Int, isSigned: Bool)

    /// Nil for annotations that came later than this; the values are then read as what they are physically.
    init?(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the schema is damaged") }
        var type: LogicalType?
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            let parts = try LogicalType.Parts(&reader, kind)
            switch field {
            case 1: type = .string
            case 2: type = .map
            case 3: type = .list
            case 4: type = .enumeration
            case 5: type = .decimal(scale: parts.first ?? 0)
            case 6: type = .date
            case 7: type = parts.unit.map { .time($0) }
            case 8:
                let isUTC = parts.flag ?? false
                type = parts.unit.map { .timestamp($0, isUTC: isUTC) }
            case 10: type = .integer(bits: parts.first ?? 64, isSigned: parts.flag ?? true)
            case 11: type = .unknown
            case 12: type = .json
            case 13: type = .bson
            case 14: type = .uuid
            case 15: type = .float16
            default: break
            }
            return true
        }
        guard let type else { return nil }
        self = type
    }

    /// What the annotations' structures are made of: an integer in field 1, a truth in 1 or 2, a unit in 2.
    private struct Parts {
        var first: Int?
        var flag: Bool?
        var unit: Unit?

        init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
            guard kind == .structure else { throw TableProblem("the schema is damaged") }
            var parts = (first: Int?.none, flag: Bool?.none, unit: Unit?.none)
            try reader.readStructure { reader, field, kind throws(TableProblem) in
                switch kind {
                case .byte, .int16, .int32, .int64:
                    let number = try reader.readInteger(kind)
                    if field == 1 { parts.first = number }
                case .isTrue, .isFalse: parts.flag = try reader.readBool(kind)
                case .structure:
                    try reader.readStructure { _, field, _ throws(TableProblem) in
                        parts.unit = Unit(rawValue: field)
                        return false
                    }
                default: return false
                }
                return true
            }
            (first, flag, unit) = parts
        }
    }
}

/// Rows that lie together, column by column.
struct ParquetRowGroup: Sendable {
    var columns: [ParquetColumnChunk] = []
    var rowCount = 0

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the list of row groups is damaged") }
        var group = (columns: [ParquetColumnChunk]?.none, rowCount: Int?.none)
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch field {
            case 1:
                var columns: [ParquetColumnChunk] = []
                try reader.readList(kind) { reader, kind throws(TableProblem) in
                    columns.append(try ParquetColumnChunk(&reader, kind))
                }
                group.columns = columns
            case 3: group.rowCount = try reader.readSize(kind)
            default: return false
            }
            return true
        }
        guard let columns = group.columns, let rowCount = group.rowCount else {
            throw TableProblem("a row group has no columns or no number of rows")
        }
        self.columns = columns
        self.rowCount = rowCount
    }
}

/// Where a column of a row group lies.
struct ParquetColumnChunk: Sendable {
    var type: PhysicalType
    var codec: Int
    var valueCount: Int
    /// From its first page, which may be a dictionary, to its last.
    var range: Range<Int>

    init(_ reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the list of columns is damaged") }
        var chunk: ParquetColumnChunk?
        var isEncrypted = false
        var otherFile: String?
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            switch field {
            case 1: otherFile = try reader.readString(kind)
            case 3: chunk = try ParquetColumnChunk(metadata: &reader, kind)
            case 8, 9:
                isEncrypted = true
                return false
            default: return false
            }
            return true
        }
        if isEncrypted { throw ParquetMetadata.encrypted }
        if let otherFile, !otherFile.isEmpty {
            throw TableProblem(
                "a column lies in another file, \(otherFile)", remedy: "write the table as one file")
        }
        guard let chunk else { throw TableProblem("a column has no metadata") }
        self = chunk
    }

    private init(metadata reader: inout ThriftReader, _ kind: ThriftReader.Kind) throws(TableProblem) {
        guard kind == .structure else { throw TableProblem("the metadata of a column is damaged") }
        var numbers: [Int: Int] = [:]
        try reader.readStructure { reader, field, kind throws(TableProblem) in
            guard [1, 4, 5, 7, 9, 11].contains(field) else { return false }
            numbers[field] = try reader.readSize(kind)
            return true
        }
        guard let type = numbers[1].flatMap({ PhysicalType(rawValue: $0) }), let codec = numbers[4],
            let valueCount = numbers[5], let byteCount = numbers[7], let data = numbers[9]
        else { throw TableProblem("the metadata of a column is not complete") }
        self.type = type
        self.codec = codec
        self.valueCount = valueCount
        // Some writers say 0 where there is no dictionary; nothing can lie there.
        let dictionary = numbers[11].flatMap { $0 > 0 ? $0 : nil }
        let start = min(data, dictionary ?? data)
        range = start..<start + byteCount
    }
}
