// The compact protocol of Apache Thrift, in which Parquet writes its metadata. Source: the Thrift project's
// doc/specs/thrift-compact-protocol.md.

/// Reads structures field by field; fields that nobody asks for are stepped over.
struct ThriftReader {
    /// What a field holds, by the protocol's numbers.
    enum Kind: UInt8 {
        case isTrue = 1, isFalse, byte, int16, int32, int64, double, binary, list, set, map, structure, uuid
    }

    /// Deeper nesting is refused, so that reading cannot exhaust the stack.
    private static let maximumDepth = 64

    private(set) var cursor: ByteCursor
    private var depth = 0

    init(_ cursor: ByteCursor) { self.cursor = cursor }

    /// Reads a structure. The body reads the value of a field and returns true, or returns false to have it
    /// stepped over.
    mutating func readStructure(
        _ body: (inout ThriftReader, _ field: Int, _ kind: Kind) throws(TableProblem) -> Bool
    ) throws(TableProblem) {
        try descend()
        defer { depth -= 1 }
        var field = 0
        while true {
            let head = try cursor.byte()
            if head == 0 { return }
            guard let kind = Kind(rawValue: head & 15) else {
                throw TableProblem("the metadata has a field of an unknown kind")
            }
            let step = Int(head >> 4)
            if step == 0 {
                let number = try cursor.zigzag()
                guard (0...Int64(Int16.max)).contains(number) else {
                    throw TableProblem("the metadata has a field with a wrong number")
                }
                field = Int(number)
            } else {
                field += step
            }
            if try !body(&self, field, kind) { try skip(kind) }
        }
    }

    /// Reads a list, calling the body for each element.
    mutating func readList(
        _ kind: Kind, _ body: (inout ThriftReader, _ kind: Kind) throws(TableProblem) -> Void
    ) throws(TableProblem) {
        guard kind == .list || kind == .set else { throw wrongKind() }
        let (count, element) = try listHead()
        for _ in 0..<count { try body(&self, element) }
    }

    mutating func readInteger(_ kind: Kind) throws(TableProblem) -> Int {
        switch kind {
        case .byte: return Int(Int8(bitPattern: try cursor.byte()))
        case .int16, .int32, .int64: return Int(try cursor.zigzag())
        default: throw wrongKind()
        }
    }

    /// An integer that must not be negative: a size, a count, an offset. Below 2^62, so that two can be
    /// added.
    mutating func readSize(_ kind: Kind) throws(TableProblem) -> Int {
        let number = try readInteger(kind)
        guard number >= 0, number < 1 << 62 else {
            throw TableProblem("the metadata has the impossible size \(number)")
        }
        return number
    }

    /// The value of a field; in lists booleans are bytes.
    func readBool(_ kind: Kind) throws(TableProblem) -> Bool {
        switch kind {
        case .isTrue: return true
        case .isFalse: return false
        default: throw wrongKind()
        }
    }

    mutating func readString(_ kind: Kind) throws(TableProblem) -> String {
        guard kind == .binary else { throw wrongKind() }
        let range = try cursor.take(try cursor.size())
        return String(decoding: cursor.bytes[range], as: UTF8.self)
    }

    private mutating func skip(_ kind: Kind) throws(TableProblem) {
        switch kind {
        case .isTrue, .isFalse: break
        case .byte: _ = try cursor.byte()
        case .int16, .int32, .int64: _ = try cursor.varint()
        case .double: _ = try cursor.take(8)
        case .uuid: _ = try cursor.take(16)
        case .binary: _ = try cursor.take(try cursor.size())
        case .structure: try readStructure { _, _, _ throws(TableProblem) in false }
        case .list, .set:
            try descend()
            let (count, element) = try listHead()
            for _ in 0..<count { try skipElement(element) }
            depth -= 1
        case .map: try skipMap()
        }
    }

    private mutating func skipMap() throws(TableProblem) {
        try descend()
        let count = try cursor.size()
        if count > 0 {
            let kinds = try cursor.byte()
            guard let key = Kind(rawValue: kinds >> 4), let value = Kind(rawValue: kinds & 15) else {
                throw TableProblem("the metadata has a map of unknown kinds")
            }
            guard count <= cursor.remaining else { throw TableProblem("the metadata ends early") }
            for _ in 0..<count {
                try skipElement(key)
                try skipElement(value)
            }
        }
        depth -= 1
    }

    /// Each element takes a byte at least, so that a false count ends soon.
    private mutating func skipElement(_ kind: Kind) throws(TableProblem) {
        if kind == .isTrue || kind == .isFalse {
            _ = try cursor.byte()
        } else {
            try skip(kind)
        }
    }

    private mutating func listHead() throws(TableProblem) -> (count: Int, element: Kind) {
        let head = try cursor.byte()
        let count = head >> 4 == 15 ? try cursor.size() : Int(head >> 4)
        guard let element = Kind(rawValue: head & 15) else {
            // An empty list may leave out what it has none of.
            guard count == 0 else { throw TableProblem("the metadata has a list of an unknown kind") }
            return (0, .byte)
        }
        guard count <= cursor.remaining else { throw TableProblem("the metadata ends early") }
        return (count, element)
    }

    private mutating func descend() throws(TableProblem) {
        guard depth < Self.maximumDepth else { throw TableProblem("the metadata is nested too deeply") }
        depth += 1
    }

    private func wrongKind() -> TableProblem { TableProblem("the metadata has a field of a wrong kind") }
}
