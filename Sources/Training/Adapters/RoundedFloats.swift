// Floats as the elements of files of narrower types.

import Tensors

extension ElementType {
    /// Writes floats as elements of F32, BF16 or F16, rounded to nearest, ties to even.
    /// - Parameter destination: room for `floats.count` elements, of any alignment.
    func write(_ floats: UnsafeBufferPointer<Float>, to destination: UnsafeMutableRawPointer) {
        switch self {
        case .bf16:
            for (index, value) in floats.enumerated() {
                destination.storeBytes(of: Self.bf16Bits(value), toByteOffset: 2 * index, as: UInt16.self)
            }
        case .f16:
            for (index, value) in floats.enumerated() {
                let bits = Float16(value).bitPattern.littleEndian
                destination.storeBytes(of: bits, toByteOffset: 2 * index, as: UInt16.self)
            }
        case .f32:
            UnsafeMutableRawBufferPointer(start: destination, count: 4 * floats.count)
                .copyMemory(from: UnsafeRawBufferPointer(floats))
        default: preconditionFailure("floats are not written as \(self)")
        }
    }

    /// The upper half of a float, one more where the lower is above 0x8000, or is that and the upper is odd.
    private static func bf16Bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        // A NaN whose payload is in the lower half must not become an infinity.
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16).littleEndian
    }
}
