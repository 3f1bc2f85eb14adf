// Memory of a training step: taken in order, given back in the opposite one, as forward and backward passes need it.

/// A stack of matrices. What is taken after a mark is given back by `release(to:)`; nothing is zeroed.
package final class ActivationArena {
    /// A height of the stack.
    package struct Mark: Sendable, Hashable {
        fileprivate let offset: Int
    }

    private let memory: DeviceMemory
    private var offset = 0
    /// The highest that the stack has been.
    package private(set) var peakByteCount = 0

    /// - Parameter byteCount: the most that it may hold. Pages take up memory from when they are first written.
    package init(byteCount: Int, backend: any ComputeBackend) throws(OutOfMemory) {
        memory = try backend.allocate(byteCount: byteCount, purpose: "activations")
    }

    package var mark: Mark { Mark(offset: offset) }

    package func release(to mark: Mark) {
        precondition(mark.offset <= offset, "marks are released in the opposite order")
        offset = mark.offset
    }

    /// A matrix of undefined contents.
    package func matrix(_ rows: Int, _ columns: Int, _ type: ElementType) throws(OutOfMemory) -> Matrix {
        let byteCount = (rows * columns * type.byteCount + 63) / 64 * 64
        guard offset + byteCount <= memory.byteCount else {
            throw OutOfMemory(byteCount: offset + byteCount, purpose: "activations of a training step")
        }
        defer {
            offset += byteCount
            peakByteCount = max(peakByteCount, offset)
        }
        return Matrix(memory: memory, offset: offset, type: type, rows: rows, columns: columns)
    }
}
