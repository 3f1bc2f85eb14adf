// The checksum CRC-32C (Castagnoli), which marks of checkpoints and records of TensorBoard carry.

/// A running CRC-32C: polynomial 0x1EDC6F41, bits reflected, as in RFC 3720, appendix B.4.
package struct CRC32C: Sendable, Hashable {
    private var register: UInt32 = 0xFFFF_FFFF

    package init() {}

    /// The checksum of all bytes so far.
    package var value: UInt32 { ~register }

    package static func of(_ bytes: [UInt8]) -> UInt32 {
        var checksum = CRC32C()
        bytes.withUnsafeBytes { checksum.update($0) }
        return checksum.value
    }

    /// Takes eight bytes a turn: a checkpoint's gigabytes are summed while it is saved.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var sum = register
        Self.table.withUnsafeBufferPointer { table in
            var index = 0
            while index + 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let low = UInt32(truncatingIfNeeded: UInt64(littleEndian: word)) ^ sum
                let high = UInt32(truncatingIfNeeded: UInt64(littleEndian: word) >> 32)
                sum = 0
                for lane in 0..<4 {
                    let shift = UInt32(8 * lane)
                    sum ^= table[(7 - lane) << 8 | Int((low >> shift) & 0xFF)]
                    sum ^= table[(3 - lane) << 8 | Int((high >> shift) & 0xFF)]
                }
                index += 8
            }
            while index < bytes.count {
                sum = sum >> 8 ^ table[Int((sum ^ UInt32(bytes[index])) & 0xFF)]
                index += 1
            }
        }
        register = sum
    }

    /// Eight tables of 256: entry `[k][b]` is what byte b does to the register k bytes later.
    private static let table: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 8 << 8)
        for byte in 0..<256 {
            var sum = UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
            table[byte] = sum
        }
        for index in 256..<table.count {
            let before = table[index - 256]
            table[index] = before >> 8 ^ table[Int(before & 0xFF)]
        }
        return table
    }()
}
