// A matrix in the memory of whatever computes: the one kind of value that layers and trainers pass around.

/// Memory of a backend, given back with the last reference. `address` may be a device's: only the backend that made it
/// reads it.
// The address never changes; who writes the bytes when is the business of the one thread that trains.
package class DeviceMemory: @unchecked Sendable {
    package let address: UnsafeMutableRawPointer
    package let byteCount: Int

    package init(address: UnsafeMutableRawPointer, byteCount: Int) {
        self.address = address
        self.byteCount = byteCount
    }
}

/// Rows of elements with a fixed distance between them. A vector is a matrix of one row.
package struct Matrix: Sendable {
    /// Keeps the bytes alive.
    package let memory: DeviceMemory
    /// Bytes from the beginning of the memory.
    package let offset: Int
    package let type: ElementType
    package let rows: Int
    package let columns: Int
    /// Elements from one row to the next, at least `columns`.
    package let stride: Int

    /// - Parameter offset: bytes from the beginning of `memory`.
    package init(
        memory: DeviceMemory, offset: Int = 0, type: ElementType, rows: Int, columns: Int, stride: Int? = nil
    ) {
        let stride = stride ?? columns
        precondition(rows >= 0 && columns >= 0 && stride >= columns, "a matrix has no negative sizes")
        let last = rows == 0 ? 0 : ((rows - 1) * stride + columns) * type.byteCount
        precondition(offset >= 0 && offset + last <= memory.byteCount, "a matrix lies within its memory")
        self.memory = memory
        self.offset = offset
        self.type = type
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    private init(_ base: Matrix, offset: Int, rows: Int, columns: Int, stride: Int) {
        memory = base.memory
        self.offset = base.offset + offset
        type = base.type
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    /// Where the first element is.
    package var address: UnsafeMutableRawPointer { memory.address + offset }
    /// Whether rows follow each other without a gap.
    package var isContiguous: Bool { stride == columns || rows <= 1 }
    package var count: Int { rows * columns }

    /// A part of all rows.
    package func columns(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns outside the matrix")
        return Matrix(
            self, offset: range.lowerBound * type.byteCount, rows: rows, columns: range.count,
            stride: stride)
    }

    /// Some neighboring rows.
    package func rows(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows outside the matrix")
        return Matrix(
            self, offset: range.lowerBound * stride * type.byteCount, rows: range.count, columns: columns,
            stride: stride)
    }
}
