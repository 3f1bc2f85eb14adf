// Cuts Swift source into words and signs, leaving out comments and the insides of texts, so that rules about code
// never stumble over prose.

/// A word or a sign of the source.
struct SourceToken: Sendable {
    var text: String
    /// Counted from 1.
    var line: Int
    /// Whether something blank stands before it.
    var followsSpace: Bool

    var isWord: Bool { text.utf8.first.map(SourceTokens.isWordByte) ?? false }
}

/// Reads a source from front to back.
struct SourceTokens {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var followsSpace = true
    private var tokens: [SourceToken] = []

    static func read(_ text: String) -> [SourceToken] {
        var reader = SourceTokens(bytes: Array(text.utf8))
        reader.readAll()
        return reader.tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xFF:
            true
        default: false
        }
    }

    private func byte(_ offset: Int = 0) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    private func starts(with text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        return (0..<count).allSatisfy { bytes[position + $0] == text.utf8Start[$0] }
    }

    private mutating func skip(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
    }

    private mutating func readAll() {
        while let next = byte() {
            if next == UInt8(ascii: " ") || next == UInt8(ascii: "\n") || next == UInt8(ascii: "\t") {
                skip()
                followsSpace = true
            } else if starts(with: "//") {
                while let next = byte(), next != UInt8(ascii: "\n") { skip() }
            } else if starts(with: "/*") {
                skipBlockComment()
            } else if next == UInt8(ascii: "\"") || isRawText {
                let (begin, space) = (line, followsSpace)
                skipText()
                tokens.append(SourceToken(text: "\"\"", line: begin, followsSpace: space))
                followsSpace = false
            } else {
                readToken()
            }
        }
    }

    private mutating func readToken() {
        let start = position
        let begin = line
        if let first = byte(), Self.isWordByte(first) {
            while let next = byte(), Self.isWordByte(next) { skip() }
        } else {
            skip()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        tokens.append(SourceToken(text: text, line: begin, followsSpace: followsSpace))
        followsSpace = false
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                skip(2)
            } else if starts(with: "*/") {
                depth -= 1
                skip(2)
            } else {
                skip()
            }
        } while depth > 0 && position < bytes.count
        followsSpace = true
    }

    /// `#"` and `##"` begin a text in which a single backslash is nothing special.
    private var isRawText: Bool {
        var offset = 0
        while byte(offset) == UInt8(ascii: "#") { offset += 1 }
        return offset > 0 && byte(offset) == UInt8(ascii: "\"")
    }

    private mutating func skipText() {
        var hashes = 0
        while byte() == UInt8(ascii: "#") {
            hashes += 1
            skip()
        }
        let quotes = starts(with: "\"\"\"") ? 3 : 1
        skip(quotes)
        while position < bytes.count {
            if byte() == UInt8(ascii: "\\"), isFollowedByHashes(hashes, after: 1) {
                skip(1 + hashes)
                if byte() == UInt8(ascii: "(") { skipInterpolation() } else { skip() }
            } else if isClosing(quotes: quotes, hashes: hashes) {
                skip(quotes + hashes)
                return
            } else {
                skip()
            }
        }
    }

    private func isFollowedByHashes(_ count: Int, after offset: Int) -> Bool {
        (0..<count).allSatisfy { byte(offset + $0) == UInt8(ascii: "#") }
    }

    private func isClosing(quotes: Int, hashes: Int) -> Bool {
        (0..<quotes).allSatisfy { byte($0) == UInt8(ascii: "\"") }
            && isFollowedByHashes(hashes, after: quotes)
    }

    /// Code inside of a text may hold parentheses and texts of its own.
    private mutating func skipInterpolation() {
        var depth = 0
        repeat {
            if byte() == UInt8(ascii: "\"") || isRawText {
                skipText()
                continue
            }
            if byte() == UInt8(ascii: "(") { depth += 1 }
            if byte() == UInt8(ascii: ")") { depth -= 1 }
            skip()
        } while depth > 0 && position < bytes.count
    }
}
