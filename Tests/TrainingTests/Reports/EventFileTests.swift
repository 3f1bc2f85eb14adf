// TensorBoard's event files: framing, checksums and the records of a run, byte by byte.

import Testing

@testable import Training

@Suite("TensorBoard event files")
struct EventFileTests {
    @Test("The first record is that of every event file")
    func fileVersion() {
        let record = EventRecord.fileVersion(wallSeconds: 1_700_000_000.5)
        // 1_700_000_000.5 as a double: 0x41D954FC40200000.
        let data: [UInt8] =
            [0x09, 0x00, 0x00, 0x20, 0x40, 0xFC, 0x54, 0xD9, 0x41, 0x1A, 0x0D] + Array("brain.Event:2".utf8)
        // Every event file begins with these twelve bytes: the length 24 and its masked checksum.
        #expect(
            Array(record.prefix(12)) == [0x18, 0, 0, 0, 0, 0, 0, 0, 0xA3, 0x7F, 0x4B, 0x22])
        #expect(Array(record[12..<36]) == data)
        #expect(Array(record[36...]) == EventRecord.record(data).suffix(4))
        #expect(record.count == 40)
    }

    @Test("Values are a summary of simple values")
    func scalars() {
        let record = EventRecord.scalars([NamedValue("train/loss", 0.5)], step: 300, wallSeconds: 2)
        let data: [UInt8] =
            [0x09, 0, 0, 0, 0, 0, 0, 0, 0x40]  // wall_time = 2.0
            + [0x10, 0xAC, 0x02]  // step = 300
            + [0x2A, 0x13, 0x0A, 0x11]  // summary { value {
            + [0x0A, 0x0A] + Array("train/loss".utf8)  // tag
            + [0x15, 0, 0, 0, 0x3F]  // simple_value = 0.5f
        #expect(Array(record[12..<(record.count - 4)]) == data)
        #expect(record.count == data.count + 16)
    }

    @Test("A run that goes on says so with the step from which older values are void")
    func sessionStart() {
        let record = EventRecord.sessionStart(step: 21, wallSeconds: 2)
        #expect(
            Array(record[12..<(record.count - 4)])
                == [0x09, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x10, 21, 0x3A, 0x02, 0x08, 0x01])
    }

    /// 0xE3069283 turned right by 15 bits is 0x2507C60D; plus 0xA282EAD8.
    @Test("A checksum is masked by turning and adding")
    func mask() {
        #expect(EventRecord.maskedCRC(Array("123456789".utf8)) == 0x2507_C60D &+ 0xA282_EAD8)
    }
}
