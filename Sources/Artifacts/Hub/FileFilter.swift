// Which files of a repository are wanted: patterns as Python's `fnmatch` and so `huggingface_hub` has them.

/// A shell pattern that a whole path must match, `*` crossing slashes. Source: Python's `fnmatchcase`.
package struct FilePattern: Sendable, Hashable {
    private enum Part: Hashable {
        case star
        case any
        case scalar(Unicode.Scalar)
        case oneOf([ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    private let parts: [Part]

    /// - Parameter text: one that ends in `/` stands for all that is in that directory.
    package init(_ text: String) {
        var scalars = Array(text.unicodeScalars.map { $0 == "\\" ? "/" : $0 })
        if scalars.last == "/" { scalars.append("*") }
        var parts: [Part] = []
        var index = 0
        while index < scalars.count {
            let scalar = scalars[index]
            index += 1
            switch scalar {
            case "*": if parts.last != .star { parts.append(.star) }
            case "?": parts.append(.any)
            case "[":
                if let (part, end) = Self.set(scalars, from: index) {
                    parts.append(part)
                    index = end
                } else {
                    parts.append(.scalar("["))
                }
            default: parts.append(.scalar(scalar))
            }
        }
        self.parts = parts
    }

    /// What stands in brackets, and the index behind them; nil without a closing one.
    private static func set(_ scalars: [Unicode.Scalar], from start: Int) -> (Part, Int)? {
        var end = start
        if end < scalars.count, scalars[end] == "!" { end += 1 }
        if end < scalars.count, scalars[end] == "]" { end += 1 }
        while end < scalars.count, scalars[end] != "]" { end += 1 }
        guard end < scalars.count else { return nil }
        var members = scalars[start..<end]
        let isNegated = members.first == "!"
        if isNegated { members = members.dropFirst() }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let low = members.popFirst() {
            if members.first == "-", let high = members.dropFirst().first {
                members = members.dropFirst(2)
                // A range written backwards matches nothing.
                if low <= high { ranges.append(low...high) }
            } else {
                ranges.append(low...low)
            }
        }
        return (.oneOf(ranges, isNegated: isNegated), end + 1)
    }

    /// In time proportional to the product of both lengths at most: only the last star is ever tried again.
    package func matches(_ path: String) -> Bool {
        let text = Array(path.unicodeScalars.map { $0 == "\\" ? "/" : $0 })
        var (position, part) = (0, 0)
        var retry: (part: Int, position: Int)?
        while position < text.count {
            if part < parts.count, parts[part] == .star {
                part += 1
                retry = (part, position)
            } else if part < parts.count, Self.matches(parts[part], text[position]) {
                part += 1
                position += 1
            } else if let last = retry {
                retry = (last.part, last.position + 1)
                (part, position) = (last.part, last.position + 1)
            } else {
                return false
            }
        }
        return parts[part...].allSatisfy { $0 == .star }
    }

    private static func matches(_ part: Part, _ scalar: Unicode.Scalar) -> Bool {
        switch part {
        case .star, .any: true
        case .scalar(let wanted): wanted == scalar
        case .oneOf(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        }
    }
}

/// The choice among a repository's files.
package struct FileFilter: Sendable, Hashable {
    package var include: [FilePattern]
    package var exclude: [FilePattern]

    /// - Parameters:
    ///   - include: all files if empty.
    ///   - exclude: stronger than `include`.
    package init(include: [String] = [], exclude: [String] = []) {
        self.include = include.map { FilePattern($0) }
        self.exclude = exclude.map { FilePattern($0) }
    }

    package func takes(_ path: String) -> Bool {
        (include.isEmpty || include.contains { $0.matches(path) })
            && !exclude.contains { $0.matches(path) }
    }
}
