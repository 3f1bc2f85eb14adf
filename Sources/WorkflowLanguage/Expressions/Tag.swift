// Finding `{{...}}` in text, as Argo's substitution does: the first `}}` after a `{{` ends the tag.

/// A piece of text that may hold tags.
package enum TextPiece: Sendable, Hashable {
    case literal(String)
    /// `{{name}}`: what stands between the braces, blanks kept.
    case tag(String)
    /// `{{=expression}}`: what stands after the equals sign.
    case expression(String)
}

package enum Tag {
    /// Whether the text holds a tag at all; most texts do not.
    package static func isIn(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.count >= 4 else { return false }
            var index = 0
            while index + 1 < bytes.count {
                if bytes[index] == 0x7B, bytes[index + 1] == 0x7B { return true }
                index += 1
            }
            return false
        }
    }

    /// The text in pieces. A `{{` that is never closed is literal.
    package static func pieces(of text: String) -> [TextPiece] {
        guard isIn(text) else { return [.literal(text)] }
        let bytes = Array(text.utf8)
        var pieces: [TextPiece] = []
        var literalStart = 0
        var index = 0
        while let open = find("{", in: bytes, from: index) {
            guard let close = find("}", in: bytes, from: open + 2) else { break }
            if open > literalStart { pieces.append(.literal(string(bytes[literalStart..<open]))) }
            let content = string(bytes[(open + 2)..<close])
            pieces.append(content.hasPrefix("=") ? .expression(String(content.dropFirst())) : .tag(content))
            index = close + 2
            literalStart = index
        }
        if literalStart < bytes.count { pieces.append(.literal(string(bytes[literalStart...]))) }
        return pieces
    }

    /// Offset of two equal braces in a row at or after an offset.
    private static func find(_ brace: Character, in bytes: [UInt8], from start: Int) -> Int? {
        guard let wanted = brace.asciiValue else { return nil }
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == wanted, bytes[index + 1] == wanted { return index }
            index += 1
        }
        return nil
    }

    private static func string(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
