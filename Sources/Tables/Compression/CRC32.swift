// The checksum that Parquet pages may carry: CRC-32 as gzip has it (polynomial 0x04C11DB7, reflected).

/// The checksum of bytes.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }

    /// - Precondition: the range is within the bytes.
    static func checksum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        var sum = ~UInt32(0)
        table.withUnsafeBufferPointer { table in
            bytes[range].withUnsafeBufferPointer { bytes in
                for byte in bytes { sum = table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8 }
            }
        }
        return ~sum
    }
}
