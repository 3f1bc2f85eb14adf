// Finds the lines of a log that hold a text or match an expression, however long the log is.

import Glibc
package import Text

/// What is looked for.
package enum LogPattern: Sendable {
    /// Compared byte by byte.
    case text(String)
    /// Compared without regard to case.
    case folded(String)
    case expression(RegularExpression)

    /// - Throws: when it is meant as an expression and is none.
    package init(_ text: String, isExpression: Bool, isCaseSensitive: Bool) throws(RegularExpressionError) {
        if isExpression {
            self = .expression(try RegularExpression(isCaseSensitive ? text : "(?i)" + text))
        } else {
            self = isCaseSensitive ? .text(text) : .folded(text)
        }
    }
}

/// Which lines match.
package struct LogMatches: Sendable, Hashable {
    /// How many do, up to `LogSearch.countLimit`.
    package var total = 0
    /// The numbers of the first of them.
    package var lines: [Int] = []
    /// The first line that was not looked at, where the search ended before the log did.
    package var stoppedAt: Int?

    package init() {}
}

package struct LogSearch: Sendable {
    /// Where counting ends.
    package static let countLimit = 100_000
    /// Of a line no more is looked at.
    private static let lineLimit = 1 << 20

    private let pattern: LogPattern
    private let needle: [UInt8]

    package init(_ pattern: LogPattern) {
        self.pattern = pattern
        switch pattern {
        case .text(let text): needle = Array(text.utf8)
        case .folded(let text): needle = Array(text.lowercased().utf8)
        case .expression: needle = []
        }
    }

    /// Reads the log from a line on; blocks for as long as that takes.
    /// - Parameters:
    ///   - end: the first line that is not looked at.
    ///   - limit: how many numbers are wanted.
    package func matches(
        in index: LogIndex, from first: Int, upTo end: Int = .max, limit: Int
    ) -> LogMatches {
        var found = LogMatches()
        var scratch: [UInt8] = []
        index.scan(from: first, upTo: min(end, index.lines), keptBytes: Self.lineLimit) { view in
            guard view.number >= first else { return true }
            guard matches(view, &scratch) else { return true }
            found.total += 1
            if found.lines.count < limit { found.lines.append(view.number) }
            guard found.total < Self.countLimit else {
                found.stoppedAt = view.number + 1
                return false
            }
            return true
        }
        return found
    }

    private func matches(_ view: LogScanner.View, _ scratch: inout [UInt8]) -> Bool {
        if view.begun.isEmpty { return matches(view.rest, &scratch) }
        var text = view.begun
        text.append(contentsOf: view.rest)
        return text.withUnsafeBytes { matches($0, &scratch) }
    }

    private func matches(_ text: UnsafeRawBufferPointer, _ scratch: inout [UInt8]) -> Bool {
        switch pattern {
        case .expression(let expression): return expression.matches(String(decoding: text, as: UTF8.self))
        case .text: return Self.contains(text, needle)
        case .folded:
            scratch.removeAll(keepingCapacity: true)
            var isASCII = true
            for byte in text {
                if byte >= 0x80 {
                    isASCII = false
                    break
                }
                scratch.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
            }
            // Beyond ASCII, case is not a matter of bytes.
            if !isASCII { scratch = Array(String(decoding: text, as: UTF8.self).lowercased().utf8) }
            return scratch.withUnsafeBytes { Self.contains($0, needle) }
        }
    }

    private static func contains(_ text: UnsafeRawBufferPointer, _ needle: [UInt8]) -> Bool {
        needle.withUnsafeBytes { needle in
            guard let wanted = needle.baseAddress, let first = needle.first else { return true }
            guard var place = text.baseAddress else { return false }
            let end = place + text.count
            while end - place >= needle.count,
                let found = memchr(place, Int32(first), end - place - needle.count + 1)
            {
                if memcmp(found, wanted, needle.count) == 0 { return true }
                place = UnsafeRawPointer(found) + 1
            }
            return false
        }
    }
}
