// TensorBoard's event files: records of a length, two checksums and a protocol buffer, written without its
// library.

/// Bytes of an event file. Formats: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto,
/// tensorflow/core/framework/summary.proto.
enum EventRecord {
    /// The first record of every file.
    static func fileVersion(wallSeconds: Double) -> [UInt8] {
        record(event(wallSeconds: wallSeconds) { $0.addText("brain.Event:2", field: 3) })
    }

    /// Says that a run goes on at a step: readers drop what older files have from this step on.
    static func sessionStart(step: Int, wallSeconds: Double) -> [UInt8] {
        record(
            event(wallSeconds: wallSeconds, step: step) { event in
                // SessionLog { status: START }
                event.addMessage(field: 7) { $0.addInteger(1, field: 1) }
            })
    }

    /// One event with all values of a log line, as `simple_value`, which has 32 bits.
    static func scalars(_ values: [NamedValue], step: Int, wallSeconds: Double) -> [UInt8] {
        record(
            event(wallSeconds: wallSeconds, step: step) { event in
                event.addMessage(field: 5) { summary in
                    for value in values {
                        summary.addMessage(field: 1) { item in
                            item.addText(value.name, field: 1)
                            item.addFloat(Float(value.value), field: 2)
                        }
                    }
                }
            })
    }

    private static func event(
        wallSeconds: Double, step: Int = 0, fill: (inout ProtocolBuffer) -> Void
    ) -> [UInt8] {
        var event = ProtocolBuffer()
        event.addDouble(wallSeconds, field: 1)
        // A field that has its default is left out.
        if step != 0 { event.addInteger(step, field: 2) }
        fill(&event)
        return event.bytes
    }

    /// Length, checksum of the length, data, checksum of the data; all numbers little-endian.
    static func record(_ data: [UInt8]) -> [UInt8] {
        let length = littleEndian(UInt64(data.count))
        return length + littleEndian(maskedCRC(length)) + data + littleEndian(maskedCRC(data))
    }

    /// The checksum turned and shifted, so that a checksum over data that hold checksums stays a good one.
    static func maskedCRC(_ bytes: [UInt8]) -> UInt32 {
        let crc = CRC32C.of(bytes)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }
}

/// A message in the wire format of protocol buffers.
private struct ProtocolBuffer {
    private(set) var bytes: [UInt8] = []

    private enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case lengthDelimited = 2
        case fixed32 = 5
    }

    private mutating func addVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func addKey(_ field: UInt64, _ type: WireType) { addVarint(field << 3 | type.rawValue) }

    mutating func addInteger(_ value: Int, field: UInt64) {
        addKey(field, .varint)
        addVarint(UInt64(bitPattern: Int64(value)))
    }

    mutating func addDouble(_ value: Double, field: UInt64) {
        addKey(field, .fixed64)
        bytes += littleEndian(value.bitPattern)
    }

    mutating func addFloat(_ value: Float, field: UInt64) {
        addKey(field, .fixed32)
        bytes += littleEndian(value.bitPattern)
    }

    mutating func addText(_ text: String, field: UInt64) { addBytes(Array(text.utf8), field: field) }

    mutating func addMessage(field: UInt64, fill: (inout ProtocolBuffer) -> Void) {
        var message = ProtocolBuffer()
        fill(&message)
        addBytes(message.bytes, field: field)
    }

    private mutating func addBytes(_ content: [UInt8], field: UInt64) {
        addKey(field, .lengthDelimited)
        addVarint(UInt64(content.count))
        bytes += content
    }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
