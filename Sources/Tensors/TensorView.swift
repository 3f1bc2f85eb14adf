// A tensor as it lies in a file: its name, type, shape and bytes, and its elements as floats.

import CKernels

/// A tensor inside a mapped file, which it keeps mapped. Bytes are little-endian, rows last, and may have any
/// alignment.
package struct TensorView: Sendable {
    package let name: String
    package let elementType: ElementType
    package let shape: [Int]
    private let mapping: MappedFile
    private let byteRange: Range<Int>

    init(mapping: MappedFile, entry: SafetensorsHeader.Entry) {
        name = entry.name
        elementType = entry.elementType
        shape = entry.shape
        byteRange = entry.byteRange
        self.mapping = mapping
    }

    /// The path of the file, for errors.
    package var file: String { mapping.path }
    package var elementCount: Int { byteRange.count / elementType.byteCount }
    package var byteCount: Int { byteRange.count }

    /// Valid while this view, the file or the model lives: keep one of them with `withExtendedLifetime` or as a
    /// stored property while the pointer is in use.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: mapping.bytes[byteRange])
    }

    /// All elements as floats; booleans become 0 and 1, wide integers and doubles are rounded.
    package func floats() -> [Float] {
        [Float](unsafeUninitializedCapacity: elementCount) { buffer, count in
            copyFloats(from: 0, into: UnsafeMutableBufferPointer(rebasing: buffer[0..<elementCount]))
            count = elementCount
        }
    }

    /// Fills the buffer with the elements from index `start` on, which must be there.
    package func copyFloats(from start: Int, into destination: UnsafeMutableBufferPointer<Float>) {
        precondition(start >= 0 && start <= elementCount - destination.count, "elements outside the tensor")
        guard let target = destination.baseAddress, let source = bytes.baseAddress, !destination.isEmpty
        else { return }
        let first = source + start * elementType.byteCount
        withExtendedLifetime(mapping) {
            if let type = elementType.kernelType {
                ck_to_f32(type, first, target, Int64(destination.count))
            } else {
                convert(first, into: destination)
            }
        }
    }

    /// What the kernels do not know is rare in models: masks, indices, packed integers.
    private func convert(_ source: UnsafeRawPointer, into destination: UnsafeMutableBufferPointer<Float>) {
        switch elementType {
        case .u64: fill(destination, from: source) { (value: UInt64) in Float(UInt64(littleEndian: value)) }
        case .i64: fill(destination, from: source) { (value: Int64) in Float(Int64(littleEndian: value)) }
        case .f64:
            fill(destination, from: source) { (value: UInt64) in
                Float(Double(bitPattern: UInt64(littleEndian: value)))
            }
        case .u32: fill(destination, from: source) { (value: UInt32) in Float(UInt32(littleEndian: value)) }
        case .i32: fill(destination, from: source) { (value: Int32) in Float(Int32(littleEndian: value)) }
        case .u16: fill(destination, from: source) { (value: UInt16) in Float(UInt16(littleEndian: value)) }
        case .i16: fill(destination, from: source) { (value: Int16) in Float(Int16(littleEndian: value)) }
        case .u8: fill(destination, from: source) { (value: UInt8) in Float(value) }
        case .bool: fill(destination, from: source) { (value: UInt8) in value == 0 ? 0 : 1 }
        case .f8E5M2: convertE5M2(source, into: destination)
        case .f32, .bf16, .f16, .f8E4M3, .i8: preconditionFailure("the kernels convert this type")
        }
    }

    private func fill<Value: BitwiseCopyable>(
        _ destination: UnsafeMutableBufferPointer<Float>, from source: UnsafeRawPointer,
        by float: (Value) -> Float
    ) {
        for index in destination.indices {
            let offset = index * MemoryLayout<Value>.stride
            destination[index] = float(source.loadUnaligned(fromByteOffset: offset, as: Value.self))
        }
    }

    /// The type is the upper half of a half-precision number.
    private func convertE5M2(
        _ source: UnsafeRawPointer, into destination: UnsafeMutableBufferPointer<Float>
    ) {
        let halves = (0..<destination.count).map { index in
            (UInt16(source.load(fromByteOffset: index, as: UInt8.self)) << 8).littleEndian
        }
        halves.withUnsafeBytes {
            ck_to_f32(CK_F16, $0.baseAddress, destination.baseAddress, Int64(halves.count))
        }
    }

    /// Gives the memory of the pages that only this tensor is on back.
    package func release() { mapping.release(byteRange) }

    /// Asks the system to read the tensor ahead.
    package func prefetch() { mapping.prefetch(byteRange) }
}
