// A manifest's bytes, looked over once before any parser sees them: what no parser accepts is refused here
// with its place, and what would cost a parser too much is refused here unparsed.

/// Checked UTF-8 text without a byte order mark.
struct SourceText {
    let bytes: [UInt8]
    /// Characters of the private use area U+E000 to U+EFFF that the text does not use, for `YAMLStream`'s
    /// marks.
    let unusedScalars: [Unicode.Scalar]

    /// How many unused characters are looked for.
    static let wantedScalars = 18

    init(_ input: [UInt8], limits: ReadLimits) throws(ReadFailure) {
        guard input.count <= limits.fileBytes else {
            throw ReadFailure(
                line: 1, column: 1,
                message: "the file has \(input.count) bytes; at most \(limits.fileBytes) are read",
                remedy: "split it, or pass large data as an artifact instead of in the manifest")
        }
        if input.starts(with: [0xFF, 0xFE]) || input.starts(with: [0xFE, 0xFF]) {
            throw ReadFailure(
                line: 1, column: 1, message: "the file is UTF-16", remedy: "save it as UTF-8")
        }
        bytes = input.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(input.dropFirst(3)) : input
        let scan = Self.scan(bytes)
        if let offset = scan.badOffset {
            throw Self.badByte(in: bytes, at: offset)
        }
        guard scan.marks <= limits.nodes else {
            throw ReadFailure(
                line: 1, column: 1,
                message:
                    "the file has \(scan.marks) items, keys, commas and stars; the limit is \(limits.nodes)",
                remedy: "split it, or pass large data as an artifact instead of in the manifest")
        }
        unusedScalars = Self.unused(in: bytes, anyPrivate: scan.hasPrivateScalars)
        guard unusedScalars.count == Self.wantedScalars else {
            throw ReadFailure(
                line: 1, column: 1, message: "the file uses every character of the private use area",
                remedy: "write such characters as escapes (\"\\uE000\")")
        }
    }

    /// Whether the first character that is not blank opens a JSON object or array.
    var looksLikeJSON: Bool {
        let first = bytes.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// The line and column, counted from 1, of a byte. Columns count Unicode scalars, as the YAML parser's
    /// do.
    static func place(of offset: Int, in bytes: [UInt8]) -> (line: Int, column: Int) {
        var line = 1
        var column = 1
        for index in bytes.indices.prefix(offset) {
            let byte = bytes[index]
            let crlf = byte == 0x0D && index + 1 < bytes.count && bytes[index + 1] == 0x0A
            if byte == 0x0A || (byte == 0x0D && !crlf) {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80, !crlf {
                column += 1
            }
        }
        return (line, column)
    }
}

extension SourceText {
    private struct Scan {
        var badOffset: Int?
        /// Never less than half the nodes that the text can hold, apart from those that aliases add.
        var marks = 0
        var hasPrivateScalars = false
    }

    private static func scan(_ bytes: [UInt8]) -> Scan {
        var scan = Scan()
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x80 {
                switch byte {
                case UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: "*"):
                    scan.marks += 1
                case UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "?"):
                    if index + 1 == bytes.count || bytes[index + 1] <= 0x20 { scan.marks += 1 }
                case 0x00...0x08, 0x0B, 0x0C, 0x0E...0x1F, 0x7F:
                    scan.badOffset = index
                    return scan
                default: break
                }
                index += 1
                continue
            }
            let length = sequenceLength(bytes, at: index)
            guard length > 0 else {
                scan.badOffset = index
                return scan
            }
            if byte == 0xEE { scan.hasPrivateScalars = true }
            index += length
        }
        return scan
    }

    /// The length of the well-formed, allowed sequence that begins here, or 0. YAML allows neither the C1
    /// controls except NEL nor U+FFFE and U+FFFF.
    private static func sequenceLength(_ bytes: [UInt8], at index: Int) -> Int {
        let lead = bytes[index]
        func follows(_ count: Int) -> Bool {
            guard index + count < bytes.count else { return false }
            return (1...count).allSatisfy { bytes[index + $0] & 0xC0 == 0x80 }
        }
        switch lead {
        case 0xC2...0xDF:
            guard follows(1) else { return 0 }
            return lead == 0xC2 && bytes[index + 1] < 0xA0 && bytes[index + 1] != 0x85 ? 0 : 2
        case 0xE0...0xEF:
            guard follows(2) else { return 0 }
            let second = bytes[index + 1]
            if lead == 0xE0 && second < 0xA0 { return 0 }
            if lead == 0xED && second > 0x9F { return 0 }
            return lead == 0xEF && second == 0xBF && bytes[index + 2] >= 0xBE ? 0 : 3
        case 0xF0...0xF4:
            guard follows(3) else { return 0 }
            let second = bytes[index + 1]
            return (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F) ? 0 : 4
        default:
            return 0
        }
    }

    private static func badByte(in bytes: [UInt8], at offset: Int) -> ReadFailure {
        let place = place(of: offset, in: bytes)
        let byte = bytes[offset]
        let hex = (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        if byte < 0x80 {
            return ReadFailure(
                line: place.line, column: place.column,
                message: "a control character (0x\(hex)) is not allowed",
                remedy:
                    "remove it, or write it as an escape in double quotes: \"\\x\(hex)\""
            )
        }
        return ReadFailure(
            line: place.line, column: place.column,
            message: "the file is not UTF-8 text (byte 0x\(hex) here)",
            remedy: "save it as UTF-8; binary data belongs into an artifact")
    }

    private static func unused(in bytes: [UInt8], anyPrivate: Bool) -> [Unicode.Scalar] {
        var used: Set<UInt32> = []
        if anyPrivate {
            for index in bytes.indices where bytes[index] == 0xEE && index + 2 < bytes.count {
                used.insert(0xE000 | UInt32(bytes[index + 1] & 0x3F) << 6 | UInt32(bytes[index + 2] & 0x3F))
            }
        }
        var unused: [Unicode.Scalar] = []
        for value in UInt32(0xE000)..<0xF000 where !used.contains(value) && unused.count < wantedScalars {
            if let scalar = Unicode.Scalar(value) { unused.append(scalar) }
        }
        return unused
    }
}
