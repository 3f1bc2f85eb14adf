// The bytes of a text file from front to back, unpacked on the way.

/// A text file that may be packed.
struct TextSource: Sendable {
    let file: TableDescriptor
    let packing: TextPacking?
}

/// Reads a text file piece by piece into a buffer from which whole rows are cut. A byte order mark is left
/// out.
final class TextStream {
    static let pieceBytes = 1 << 18

    let path: String
    private let file: TableDescriptor
    private let unpacker: Unpacker?
    private var offset = 0
    private var packed: [UInt8] = []
    private var packedPosition = 0
    private let limitBytes: Int
    private let unit: String
    /// What was read and not yet let go of; rows begin at `start`.
    private(set) var buffer: [UInt8] = []
    private(set) var start = 0
    private(set) var isAtEnd = false

    /// - Parameters limitBytes, unit: how large may be what is in the buffer at a time, and what that is.
    init(_ source: TextSource, limitBytes: Int, of unit: String) throws(TableError) {
        file = source.file
        path = source.file.path
        self.limitBytes = limitBytes
        self.unit = unit
        do {
            unpacker = try source.packing.map { packing throws(TableProblem) in try Unpacker(packing) }
        } catch {
            throw TableError(file: source.file.path, problem: error.problem, remedy: error.remedy)
        }
        while buffer.count < 4, try refill(line: 1) {}
        if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        if buffer.starts(with: [0xFF, 0xFE]) || buffer.starts(with: [0xFE, 0xFF]) {
            throw TableError(
                file: path, problem: "the text is UTF-16",
                remedy: "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
        }
    }

    /// Lets go of everything before this place of the buffer.
    func release(to position: Int) { start = position }

    /// Reads on behind what the buffer has; false at the end. Places in the buffer move by what was let go
    /// of, so callers keep theirs relative to `start`.
    ///
    /// - Parameter line: where the present row began, for the error.
    /// - Throws: also if the present row is larger than a row may be.
    func refill(line: Int) throws(TableError) -> Bool {
        if isAtEnd { return false }
        if start > 0 {
            buffer.removeSubrange(..<start)
            start = 0
        }
        guard buffer.count <= limitBytes else {
            throw TableError(
                file: path, line: line, problem: "\(unit) is longer than \(limitBytes) bytes",
                remedy: "split it; a quote that is never closed also makes a long row")
        }
        let before = buffer.count
        if let unpacker {
            try unpackMore(unpacker)
        } else {
            let piece = try file.read(at: offset, atMost: Self.pieceBytes)
            offset += piece.count
            buffer.append(contentsOf: piece)
        }
        isAtEnd = buffer.count == before
        return !isAtEnd
    }

    /// Unpacks until something comes out or the file ends.
    private func unpackMore(_ unpacker: Unpacker) throws(TableError) {
        let before = buffer.count
        while buffer.count == before {
            if packedPosition == packed.count {
                packed = try file.read(at: offset, atMost: Self.pieceBytes)
                packedPosition = 0
                offset += packed.count
                if packed.isEmpty && (unpacker.isAtBoundary || offset == 0) { return }
            }
            // gzip files may be filled up with zeros, as tapes were.
            if unpacker.isAtBoundary, packed[packedPosition...].allSatisfy({ $0 == 0 }) {
                packedPosition = packed.count
                continue
            }
            do throws(TableProblem) {
                let used = try unpacker.step(
                    packed, packedPosition..<packed.count, into: &buffer, room: 4 * Self.pieceBytes)
                packedPosition += used
                if packed.isEmpty && buffer.count == before {
                    throw TableProblem("the packed data ends early")
                }
            } catch {
                throw TableError(file: path, problem: error.problem, remedy: error.remedy)
            }
        }
    }
}
