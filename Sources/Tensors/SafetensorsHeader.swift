// What a safetensors file says about its tensors, read from its first bytes and checked before it is believed.
// The format: 8 bytes of little-endian length, that many bytes of JSON, then the tensors' bytes one after another.

/// The checked header of a safetensors file: every tensor lies inside the file, none overlap, no byte is left
/// over, and each has as many bytes as its shape and type say.
package struct SafetensorsHeader: Sendable {
    /// The longest JSON that is read; the reference library has the same limit.
    package static let maximumByteCount = 100_000_000
    /// No framework has tensors of more dimensions than this.
    package static let maximumDimensions = 64
    /// Larger files are refused, so that no sum of offsets can overflow.
    static let maximumFileByteCount = 1 << 56

    /// A tensor as the header has it.
    package struct Entry: Sendable, Hashable {
        package var name: String
        package var elementType: ElementType
        package var shape: [Int]
        /// Where its bytes are, counted from the beginning of the file.
        package var byteRange: Range<Int>
    }

    /// In the order of their bytes in the file.
    package let entries: [Entry]
    /// The strings under `__metadata__`.
    package let metadata: [String: String]

    /// - Parameters:
    ///   - bytes: the file, or at least its beginning up to the end of the header.
    ///   - fileByteCount: how long the whole file is.
    ///   - file: the path, for errors.
    package init(
        parsing bytes: UnsafeRawBufferPointer, fileByteCount: Int, file: String
    ) throws(SafetensorsError) {
        let length = try Self.jsonLength(bytes, fileByteCount: fileByteCount, file: file)
        var parser = SafetensorsHeaderParser(
            bytes: UnsafeRawBufferPointer(rebasing: bytes[8..<(8 + length)]), file: file,
            dataByteCount: fileByteCount - 8 - length)
        let contents = try parser.parse()
        metadata = contents.metadata
        entries = try Self.checked(
            contents.entries, dataStart: 8 + length, fileByteCount: fileByteCount, file: file)
    }

    private static func jsonLength(
        _ bytes: UnsafeRawBufferPointer, fileByteCount: Int, file: String
    ) throws(SafetensorsError) -> Int {
        let again = "download or copy the file again"
        guard fileByteCount >= 8, bytes.count >= 8, fileByteCount <= maximumFileByteCount else {
            throw SafetensorsError(
                file: file, problem: "the file has \(fileByteCount) bytes and so no safetensors header",
                remedy: again)
        }
        let announced = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard announced <= UInt64(maximumByteCount) else {
            throw SafetensorsError(
                file: file,
                problem: "the header is said to have \(announced) bytes, more than \(maximumByteCount)",
                remedy: "this is not a safetensors file, or it is damaged: " + again)
        }
        let length = Int(announced)
        guard length >= 2, length <= fileByteCount - 8, length <= bytes.count - 8 else {
            throw SafetensorsError(
                file: file,
                problem: "the header is said to have \(length) bytes, the file has \(fileByteCount) in all",
                remedy: "the file was cut off, or is none of safetensors: " + again)
        }
        return length
    }

    /// Sorts by place and checks that the tensors fill the rest of the file without gap or overlap.
    private static func checked(
        _ entries: [Entry], dataStart: Int, fileByteCount: Int, file: String
    ) throws(SafetensorsError) -> [Entry] {
        let sorted = entries.sorted { one, other in
            let (a, b) = (one.byteRange, other.byteRange)
            return (a.lowerBound, a.upperBound) < (b.lowerBound, b.upperBound)
        }
        var end = 0
        for entry in sorted {
            guard entry.byteRange.lowerBound == end else {
                let fault = entry.byteRange.lowerBound < end ? "overlaps another tensor" : "leaves a gap"
                throw SafetensorsError(
                    file: file, tensor: entry.name,
                    problem: "its offset \(entry.byteRange.lowerBound) \(fault), \(end) was expected",
                    remedy: "the file was written wrongly: save the model again with the safetensors library")
            }
            end = entry.byteRange.upperBound
        }
        let present = fileByteCount - dataStart
        guard end == present else {
            throw SafetensorsError(
                file: file,
                problem: end > present
                    ? "the file is \(end - present) bytes shorter than its header says"
                    : "the file has \(present - end) bytes after its last tensor",
                remedy: "it was cut off or damaged: download or copy it again")
        }
        return sorted.map { entry in
            var entry = entry
            let range = entry.byteRange
            entry.byteRange = (range.lowerBound + dataStart)..<(range.upperBound + dataStart)
            return entry
        }
    }
}
