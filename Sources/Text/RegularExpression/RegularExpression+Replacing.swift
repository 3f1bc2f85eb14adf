// Replacing and splitting by a regular expression, as the methods of Go's Regexp do.

extension RegularExpression {
    /// Replaces every match by the template, in which `$1`, `$name` and `${name}` stand for groups and `$$`
    /// for a dollar sign. A name is as long as it can be: `$1x` means the group "1x". Unknown groups are
    /// empty.
    package func replacingAll(in text: String, with template: String) -> String {
        let parts = TemplatePart.parts(of: template, names: names)
        return replacing(in: text) { match, bytes, output in
            for part in parts {
                switch part {
                case .literal(let literal): output.append(contentsOf: literal)
                case .group(let index):
                    if let range = match.groups[index] { output.append(contentsOf: bytes[range]) }
                }
            }
        }
    }

    /// Replaces every match by a text taken as it is.
    package func replacingAll(in text: String, literal: String) -> String {
        replacing(in: text) { _, _, output in output.append(contentsOf: literal.utf8) }
    }

    /// The pieces between matches. At most `limit` pieces are made, the last being the whole rest; none if
    /// the limit is 0, all if it is negative.
    package func split(_ text: String, limit: Int = -1) -> [String] {
        if limit == 0 { return [] }
        if text.isEmpty, !pattern.isEmpty { return [""] }
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var pieceStart = 0
        var lastMatchStart = 0
        for match in allMatches(in: text, limit: limit < 0 ? .max : limit) {
            if limit > 0, pieces.count == limit - 1 { break }
            lastMatchStart = match.range.lowerBound
            // An empty match before the first character separates nothing.
            if match.range.upperBound != 0 {
                pieces.append(String(decoding: bytes[pieceStart..<lastMatchStart], as: UTF8.self))
            }
            pieceStart = match.range.upperBound
        }
        if lastMatchStart != bytes.count {
            pieces.append(String(decoding: bytes[pieceStart...], as: UTF8.self))
        }
        return pieces
    }

    private func replacing(
        in text: String, by append: (Match, _ text: [UInt8], _ output: inout [UInt8]) -> Void
    ) -> String {
        let matches = allMatches(in: text)
        guard !matches.isEmpty else { return text }
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var position = 0
        for match in matches {
            output.append(contentsOf: bytes[position..<match.range.lowerBound])
            append(match, bytes, &output)
            position = match.range.upperBound
        }
        output.append(contentsOf: bytes[position...])
        return String(decoding: output, as: UTF8.self)
    }
}

/// A piece of a replacement template.
private enum TemplatePart {
    case literal([UInt8])
    case group(Int)

    static func parts(of template: String, names: [String?]) -> [TemplatePart] {
        var rest = Array(template.utf8)[...]
        var parts: [TemplatePart] = []
        while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
            parts.append(.literal(Array(rest[..<dollar])))
            rest = rest[(dollar + 1)...]
            if rest.first == UInt8(ascii: "$") {
                parts.append(.literal([UInt8(ascii: "$")]))
                rest.removeFirst()
            } else if let name = takeName(of: &rest) {
                if let index = groupIndex(of: name, names: names) { parts.append(.group(index)) }
            } else {
                // What is no reference stays, as in Go.
                parts.append(.literal([UInt8(ascii: "$")]))
            }
        }
        parts.append(.literal(Array(rest)))
        return parts
    }

    private static func takeName(of rest: inout ArraySlice<UInt8>) -> String? {
        let isBraced = rest.first == UInt8(ascii: "{")
        let text = String(decoding: isBraced ? rest.dropFirst() : rest, as: UTF8.self)
        let name = text.unicodeScalars.prefix { scalar in
            scalar == "_" || scalar.properties.numericType == .decimal || scalar.properties.isAlphabetic
        }
        guard !name.isEmpty else { return nil }
        let length = name.reduce(0) { $0 + UTF8.width($1) }
        let end = rest.startIndex + length + (isBraced ? 1 : 0)
        if isBraced {
            guard end < rest.endIndex, rest[end] == UInt8(ascii: "}") else { return nil }
        }
        rest = rest[(end + (isBraced ? 1 : 0))...]
        return String(name)
    }

    private static func groupIndex(of name: String, names: [String?]) -> Int? {
        if name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return Int(name).flatMap { names.indices.contains($0) ? $0 : nil }
        }
        return names.firstIndex(of: name)
    }
}
