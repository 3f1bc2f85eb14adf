// gzip and Zstandard data through the system's libraries.

import CCompression

/// One stream that is being unpacked; members or frames may follow one another.
final class Unpacker {
    private let stream: OpaquePointer
    private let packing: TextPacking
    /// Whether the stream may end here: a member is complete and the next has not begun.
    private(set) var isAtBoundary = false

    init(_ packing: TextPacking) throws(TableProblem) {
        self.packing = packing
        let format = packing == .gzip ? MARTLET_UNPACK_GZIP : MARTLET_UNPACK_ZSTD
        var status: Int32 = 0
        guard let stream = martlet_unpacker_open(Int32(bitPattern: format.rawValue), &status) else {
            throw Self.problem(status, packing)
        }
        self.stream = stream
    }

    deinit { martlet_unpacker_close(stream) }

    /// Unpacks from the input's range what fits into the output's free capacity, at most `limit` bytes.
    /// - Returns: how many bytes of input were used; fewer than there are if the output is full, or if the
    ///   stream is
    ///   at a boundary.
    func step(_ input: [UInt8], _ range: Range<Int>, into output: inout [UInt8], room: Int)
        throws(TableProblem) -> Int
    {
        var consumed: Int64 = 0
        var status: Int32 = 0
        let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
            var written: Int64 = 0
            input.withUnsafeBufferPointer { source in
                status = martlet_unpacker_step(
                    stream, source.baseAddress.map { $0 + range.lowerBound }, Int64(range.count), &consumed,
                    buffer.baseAddress, Int64(room), &written)
            }
            initialized = Int(written)
        }
        let code = martlet_unpack_status(rawValue: UInt32(bitPattern: status))
        guard code == MARTLET_UNPACK_MORE || code == MARTLET_UNPACK_END else {
            throw Self.problem(status, packing)
        }
        isAtBoundary = code == MARTLET_UNPACK_END
        if output.isEmpty {
            output = piece
        } else {
            output.append(contentsOf: piece)
        }
        return Int(consumed)
    }

    private static func problem(_ status: Int32, _ packing: TextPacking) -> TableProblem {
        let (name, library) =
            packing == .gzip ? ("gzip", "libz.so.1 (zlib1g)") : ("Zstandard", "libzstd.so.1 (libzstd1)")
        return switch martlet_unpack_status(rawValue: UInt32(bitPattern: status)) {
        case MARTLET_UNPACK_NO_LIBRARY:
            TableProblem("the data is packed with \(name)", remedy: "install the library \(library)")
        case MARTLET_UNPACK_NO_MEMORY:
            TableProblem("there is no memory left to unpack \(name) data", remedy: "free some memory")
        default: TableProblem("the \(name) data is damaged")
        }
    }
}

extension Unpacker {
    /// What a stretch of data holds when it is unpacked, which must be exactly so many bytes.
    ///
    /// The memory grows with what really comes out: a false size costs nothing.
    static func unpack(_ input: [UInt8], _ range: Range<Int>, packing: TextPacking, expected: Int)
        throws(TableProblem) -> [UInt8]
    {
        let unpacker = try Unpacker(packing)
        var output: [UInt8] = []
        var position = range.lowerBound
        // One byte more than is expected lets the library see its end, and shows what is too long.
        let full = expected + 1
        var room = min(full, max(1 << 16, (range.count &* 8)))
        while output.count < full {
            let before = output.count
            let used = try unpacker.step(input, position..<range.upperBound, into: &output, room: room)
            position += used
            if unpacker.isAtBoundary && position == range.upperBound { break }
            if used == 0 && output.count == before { break }
            room = min(full - output.count, max(output.count, 1 << 16))
        }
        guard output.count == expected, unpacker.isAtBoundary else {
            throw TableProblem("a page unpacks to \(output.count) bytes or more, not to \(expected)")
        }
        return output
    }
}
