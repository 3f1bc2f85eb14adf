// The checksum against published answers, and in pieces.

import TestSupport
import Testing

@testable import Training

@Suite("CRC-32C")
struct CRC32CTests {
    /// The check value of the polynomial, and the examples of RFC 3720, appendix B.4.
    private static let known: [(bytes: [UInt8], expected: UInt32)] = [
        (Array("123456789".utf8), 0xE306_9283),
        ([], 0),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ([UInt8](0..<32), 0x46DD_794E),
        ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
    ]

    @Test("Known texts have their known checksums", arguments: known)
    func knownAnswers(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.of(bytes) == expected)
    }

    @Test("The checksum does not depend on how the bytes come in pieces")
    func pieces() {
        var chance = SeededGenerator(seed: 7)
        for count in [1, 7, 8, 9, 63, 64, 200] {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &chance) }
            let cut = Int.random(in: 0...count, using: &chance)
            var checksum = CRC32C()
            bytes[..<cut].withUnsafeBytes { checksum.update($0) }
            bytes[cut...].withUnsafeBytes { checksum.update($0) }
            #expect(checksum.value == CRC32C.of(bytes))
        }
    }
}
