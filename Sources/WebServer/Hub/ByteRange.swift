// The Range header (RFC 9110, section 14), as far as it is honored: one range of bytes.

/// Which bytes of a body are asked for.
enum ByteRange: Equatable {
    /// All: no header, another unit, several ranges, or what is not understood, as the standard wants.
    case whole
    case part(Range<Int>)
    /// Beyond the end: status 416.
    case unsatisfiable

    /// - Parameters:
    ///   - header: such as `bytes=100-199`, `bytes=100-` or `bytes=-100`.
    ///   - sizeBytes: the length of the whole.
    init(_ header: String?, sizeBytes: Int) {
        self = .whole
        guard let header, header.lowercased().hasPrefix("bytes=") else { return }
        let text = header.dropFirst("bytes=".count).filter { $0 != " " }
        let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count == 2 else { return }
        let (first, last) = (Self.number(bounds[0]), Self.number(bounds[1]))
        switch (first, last) {
        case (.some(let first), .some(let last)) where first <= last:
            self = first < sizeBytes ? .part(first..<(min(last, sizeBytes - 1) + 1)) : .unsatisfiable
        case (.some(let first), nil) where bounds[1].isEmpty:
            self = first < sizeBytes ? .part(first..<sizeBytes) : .unsatisfiable
        case (nil, .some(let count)) where bounds[0].isEmpty:
            self = count > 0 && sizeBytes > 0 ? .part(max(0, sizeBytes - count)..<sizeBytes) : .unsatisfiable
        default: return
        }
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }
}
