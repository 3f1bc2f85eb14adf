// Taking text apart and putting it together, as the methods of Python's `str` do.

extension PythonString {
    /// What `str.isspace` and `\s` take for white space.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F,
            0x3000:
            true
        default: false
        }
    }

    /// Whether `str.splitlines` ends a line there.
    static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    enum Side {
        case left, right, both
    }

    /// Without the given characters, or white space, at its ends.
    func stripped(_ side: Side, of characters: PythonString? = nil) -> PythonString {
        let set = characters.map { Set($0.scalars) }
        let isStripped: (Unicode.Scalar) -> Bool = { set?.contains($0) ?? Self.isSpace($0) }
        let text = swift.unicodeScalars
        var start = text.startIndex
        var end = text.endIndex
        if side != .right {
            while start < end, isStripped(text[start]) { start = text.index(after: start) }
        }
        if side != .left {
            while end > start, isStripped(text[text.index(before: end)]) { end = text.index(before: end) }
        }
        return PythonString(String(text[start..<end]))
    }

    /// How many pieces are made at most where no limit is given: a list of one more is refused.
    private static let mostPieces = TemplateLimits.elements + 1

    /// `str.split` by a separator.
    /// - Parameter limit: how many times at most; negative for no limit.
    func split(by separator: PythonString, limit: Int) -> [PythonString] {
        var pieces: [PythonString] = []
        var start = 0
        for offset in offsets(of: separator, limit: limit < 0 ? Self.mostPieces : limit) {
            pieces.append(between(start, offset))
            start = offset + separator.utf8.count
        }
        pieces.append(between(start, utf8.count))
        return pieces
    }

    /// `str.rsplit` by a separator.
    func splitFromRight(by separator: PythonString, limit: Int) -> [PythonString] {
        var pieces: [PythonString] = []
        var end = utf8.count
        for offset in offsetsFromRight(of: separator, limit: limit < 0 ? Self.mostPieces : limit) {
            pieces.append(between(offset + separator.utf8.count, end))
            end = offset
        }
        pieces.append(between(0, end))
        return pieces.reversed()
    }

    /// `str.split` without a separator: words between white space.
    func words(limit: Int) -> [PythonString] {
        let limit = limit < 0 ? Self.mostPieces : limit
        let text = swift.unicodeScalars
        var pieces: [PythonString] = []
        var index = text.startIndex
        while true {
            while index < text.endIndex, Self.isSpace(text[index]) { index = text.index(after: index) }
            guard index < text.endIndex else { return pieces }
            if pieces.count == limit {
                pieces.append(PythonString(String(text[index...])))
                return pieces
            }
            let start = index
            while index < text.endIndex, !Self.isSpace(text[index]) { index = text.index(after: index) }
            pieces.append(PythonString(String(text[start..<index])))
        }
    }

    /// `str.rsplit` without a separator.
    func wordsFromRight(limit: Int) -> [PythonString] {
        let limit = limit < 0 ? Self.mostPieces : limit
        let text = swift.unicodeScalars
        var pieces: [PythonString] = []
        var end = text.endIndex
        while true {
            while end > text.startIndex, Self.isSpace(text[text.index(before: end)]) {
                end = text.index(before: end)
            }
            guard end > text.startIndex else { return pieces.reversed() }
            if pieces.count == limit {
                pieces.append(PythonString(String(text[..<end])))
                return pieces.reversed()
            }
            var start = end
            while start > text.startIndex, !Self.isSpace(text[text.index(before: start)]) {
                start = text.index(before: start)
            }
            pieces.append(PythonString(String(text[start..<end])))
            end = start
        }
    }

    /// `str.splitlines`: no empty line behind the last line break.
    func lines(keepingBreaks: Bool) -> [PythonString] {
        let text = swift.unicodeScalars
        var lines: [PythonString] = []
        var start = text.startIndex
        while start < text.endIndex {
            let end = text[start...].firstIndex(where: Self.isLineBreak) ?? text.endIndex
            var next = end
            if next < text.endIndex {
                next = text.index(after: next)
                if text[end] == "\r", next < text.endIndex, text[next] == "\n" {
                    next = text.index(after: next)
                }
            }
            lines.append(PythonString(String(text[start..<(keepingBreaks ? next : end)])))
            start = next
        }
        return lines
    }

    /// `str.replace`. An empty text is found before each code point and at the end.
    /// - Parameter limit: how many times at most; negative for no limit.
    func replacing(
        _ old: PythonString, with new: PythonString, limit: Int, budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        try budget.charge(bytes: utf8.count)
        var remaining = limit < 0 ? Int.max : limit
        var result = PythonString()
        var start = 0
        var search = 0
        while remaining > 0, let offset = offset(of: old, from: search) {
            remaining -= 1
            result.append(between(start, offset))
            result.append(new)
            guard result.utf8.count <= TemplateLimits.textBytes else { break }
            start = offset + old.utf8.count
            search = old.isEmpty ? self.offset(ofScalarBehind: offset) : start
        }
        try budget.allow(textBytes: result.utf8.count + utf8.count - start)
        result.append(between(start, utf8.count))
        return result
    }

    /// The byte behind the code point at a byte; behind the end for the end itself.
    private func offset(ofScalarBehind offset: Int) -> Int {
        var next = offset + 1
        while next < utf8.count, utf8[next] & 0xC0 == 0x80 { next += 1 }
        return next
    }

    /// The texts one after the other with this one between them.
    func joining(_ pieces: [PythonString], budget: TemplateBudget) throws(TemplateFailure) -> PythonString {
        var result = PythonString()
        for (index, piece) in pieces.enumerated() {
            if index > 0 { result.append(self) }
            result.append(piece)
            try budget.charge()
            guard result.utf8.count <= TemplateLimits.textBytes else {
                try budget.allow(textBytes: result.utf8.count)
                break
            }
        }
        try budget.charge(bytes: result.utf8.count)
        return result
    }
}

extension Int {
    /// The sum, or the largest or smallest number where it does not fit.
    func addingClamped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
