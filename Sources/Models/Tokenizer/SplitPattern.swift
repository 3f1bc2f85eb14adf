// What a text is split at, or what is replaced in it: a fixed text, a known pattern, a regular expression.

import Glibc

/// The `pattern` of a normalizer or pre-tokenizer.
enum SplitPattern: Sendable {
    case literal([UInt8])
    case scanner(SplitScanner)
    case expression(BacktrackingExpression)

    /// Calls `body` for each match from left to right; matches do not overlap. An empty match directly after
    /// another match does not count.
    @inline(__always)
    func forEachMatch(in text: UTF8Text, _ body: (Range<Int>) -> Void) {
        switch self {
        case .scanner(let scanner):
            let categories = ScalarCategories.shared
            var start = 0
            while start < text.count {
                let end = scanner.end(in: text, from: start, categories: categories)
                body(start..<end)
                start = end
            }
        case .literal(let literal):
            guard !literal.isEmpty else { return }
            var start = 0
            while let match = Self.find(literal, in: text, from: start) {
                body(match)
                start = match.upperBound
            }
        case .expression(let expression): expression.forEachMatch(in: text, body)
        }
    }

    /// How many times longer a text may become where every match is replaced.
    func growth(replacedBy content: [UInt8]) -> Int {
        switch self {
        case .literal(let literal): 1 + content.count / max(1, literal.count)
        // An expression may match between any two characters.
        case .scanner, .expression: 1 + content.count
        }
    }

    static func find(_ literal: [UInt8], in text: UTF8Text, from start: Int) -> Range<Int>? {
        guard let first = literal.first, let address = text.baseAddress else { return nil }
        var index = start
        while index + literal.count <= text.count {
            let length = text.count - literal.count + 1 - index
            guard let found = memchr(address + index, Int32(first), length) else { return nil }
            index = UnsafeRawPointer(found) - UnsafeRawPointer(address)
            if memcmp(found, literal, literal.count) == 0 { return index..<(index + literal.count) }
            index += 1
        }
        return nil
    }

    /// - Returns: the text with every match replaced, nil if there is none.
    func replacing(_ text: UTF8Text, with content: [UInt8]) -> [UInt8]? {
        var result: [UInt8]?
        var copied = 0
        forEachMatch(in: text) { match in
            var buffer = result ?? []
            result = nil
            if buffer.isEmpty { buffer.reserveCapacity(text.count + text.count / 4) }
            buffer.append(contentsOf: text.part(copied..<match.lowerBound))
            buffer.append(contentsOf: content)
            result = buffer
            copied = match.upperBound
        }
        result?.append(contentsOf: text.part(copied..<text.count))
        return result
    }
}
