// The values of a column, those that are there, each kind in an array of its own. Texts stay where they were
// unpacked until somebody asks for them.

/// Where a byte array lies.
struct ByteSlice: Hashable {
    /// Which of the buffers.
    var buffer: UInt32
    var start: UInt32
    var count: UInt32
}

/// Values of one physical type; the arrays of others stay empty.
struct ColumnValues {
    var bools: [Bool] = []
    var int32: [Int32] = []
    var int64: [Int64] = []
    var floats: [Float] = []
    var doubles: [Double] = []
    /// Byte arrays of any length, also timestamps of 96 bits.
    var slices: [ByteSlice] = []
    private(set) var buffers: [[UInt8]] = []

    /// How many of them there are.
    func count(of type: PhysicalType) -> Int {
        switch type {
        case .boolean: bools.count
        case .int32: int32.count
        case .int64: int64.count
        case .float: floats.count
        case .double: doubles.count
        case .int96, .byteArray, .fixedLengthByteArray: slices.count
        }
    }

    /// What a value of a type takes, the bytes of byte arrays not counting.
    static func bytes(of type: PhysicalType) -> Int {
        switch type {
        case .boolean: 1
        case .int32, .float: 4
        case .int64, .double: 8
        case .int96, .byteArray, .fixedLengthByteArray: MemoryLayout<ByteSlice>.stride
        }
    }

    /// - Returns: the buffer's number, for slices.
    mutating func add(buffer: [UInt8]) throws(TableProblem) -> UInt32 {
        guard buffer.count <= Int(UInt32.max), buffers.count < Int(Int32.max) else {
            throw TableProblem(
                "a page is larger than 4 GiB", remedy: "write the file again with smaller pages")
        }
        buffers.append(buffer)
        return UInt32(buffers.count - 1)
    }

    /// - Precondition: the index is one of the slices'.
    func bytes(_ index: Int) -> [UInt8] {
        let slice = slices[index]
        return Array(buffers[Int(slice.buffer)][Int(slice.start)..<Int(slice.start) + Int(slice.count)])
    }

    /// The bytes as text; nil if they are not UTF-8.
    func text(_ index: Int) -> String? {
        let slice = slices[index]
        return buffers[Int(slice.buffer)].withUnsafeBufferPointer { bytes in
            let start = Int(slice.start)
            return String(
                validating: UnsafeBufferPointer(rebasing: bytes[start..<start + Int(slice.count)]),
                as: UTF8.self)
        }
    }

    /// Appends the dictionary's values at the indices.
    mutating func append(_ indices: [UInt32], of dictionary: ColumnValues, type: PhysicalType)
        throws(TableProblem)
    {
        let limit = UInt32(clamping: dictionary.count(of: type))
        guard indices.allSatisfy({ $0 < limit }) else {
            throw TableProblem("a page names a value that its dictionary of \(limit) has not")
        }
        switch type {
        case .boolean: bools.append(contentsOf: indices.lazy.map { dictionary.bools[Int($0)] })
        case .int32: int32.append(contentsOf: indices.lazy.map { dictionary.int32[Int($0)] })
        case .int64: int64.append(contentsOf: indices.lazy.map { dictionary.int64[Int($0)] })
        case .float: floats.append(contentsOf: indices.lazy.map { dictionary.floats[Int($0)] })
        case .double: doubles.append(contentsOf: indices.lazy.map { dictionary.doubles[Int($0)] })
        // The dictionary's buffers are the first of the column's own, so its slices need no change.
        case .int96, .byteArray, .fixedLengthByteArray:
            slices.append(contentsOf: indices.lazy.map { dictionary.slices[Int($0)] })
        }
    }

    /// Takes over the buffers of a dictionary, whose slices are then valid here, too.
    /// - Precondition: there are no buffers yet.
    mutating func share(buffersOf dictionary: ColumnValues) {
        precondition(buffers.isEmpty, "a dictionary comes before all values")
        buffers = dictionary.buffers
    }
}
