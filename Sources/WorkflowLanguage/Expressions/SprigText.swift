// Go's rules for text that sprig's functions lean on: strings as bytes, one character mapped to one,
// and the `%v` form of values.

import Text

enum SprigText {
    static func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    static func isSpace(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }

    static func isUpper(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .uppercaseLetter
    }

    static func isLower(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .lowercaseLetter
    }

    static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    static func isNumber(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            true
        default: false
        }
    }

    // Go maps one character to one, so the sharp s stays as it is in upper case.
    static func upper(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        single(scalar.properties.uppercaseMapping) ?? scalar
    }

    static func title(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        single(scalar.properties.titlecaseMapping) ?? scalar
    }

    /// Only the dotted capital I has a longer lower case; Go takes its first character.
    static func lower(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        scalar.properties.lowercaseMapping.unicodeScalars.first ?? scalar
    }

    private static func single(_ mapping: String) -> Unicode.Scalar? {
        let scalars = mapping.unicodeScalars
        return scalars.count == 1 ? scalars.first : nil
    }

    static func map(_ text: String, _ transform: (Unicode.Scalar) -> Unicode.Scalar) -> String {
        string(text.unicodeScalars.lazy.map(transform))
    }

    /// The text without the characters at its start and its end that are to go.
    static func trim(_ text: String, _ goes: (Unicode.Scalar) -> Bool) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !goes($0) }),
            let last = scalars.lastIndex(where: { !goes($0) })
        else { return "" }
        return String(text.unicodeScalars[first...last])
    }

    /// Where the bytes first occur.
    static func index(of part: [UInt8], in text: [UInt8]) -> Int? {
        ByteSearch(for: part).find(in: text, from: 0)
    }

    /// The text's pieces between occurrences of a separator that is not empty; at most `limit` pieces if that
    /// is positive.
    static func split(_ text: [UInt8], by separator: [UInt8], limit: Int) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        let search = ByteSearch(for: separator)
        while limit <= 0 || pieces.count < limit - 1, let found = search.find(in: text, from: start) {
            pieces.append(text[start..<found])
            start = found + separator.count
        }
        pieces.append(text[start...])
        return pieces
    }
}

/// Finds bytes in linear time (Knuth, Morris and Pratt), since both sides may come from a user and be long.
struct ByteSearch {
    private let part: [UInt8]
    /// For each length matched so far plus one, the longest proper prefix that is also a suffix of it.
    private let fallback: [Int]

    init(for part: [UInt8]) {
        var fallback = [Int](repeating: 0, count: part.count)
        var matched = 0
        for position in part.indices.dropFirst() {
            while matched > 0, part[position] != part[matched] { matched = fallback[matched - 1] }
            if part[position] == part[matched] { matched += 1 }
            fallback[position] = matched
        }
        self.part = part
        self.fallback = fallback
    }

    /// Where the bytes first occur at or after a position; the position itself for no bytes.
    func find(in text: [UInt8], from start: Int) -> Int? {
        if part.isEmpty { return start }
        var matched = 0
        var position = start
        while position < text.count {
            while matched > 0, text[position] != part[matched] { matched = fallback[matched - 1] }
            if text[position] == part[matched] { matched += 1 }
            position += 1
            if matched == part.count { return position - matched }
        }
        return nil
    }
}

extension [UInt8] {
    func hasSuffix(_ suffix: [UInt8]) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}

extension SprigCall {
    /// A value as Go's `%v` prints it, which is what sprig's `toString` does with all but strings.
    mutating func display(_ value: ExpressionValue) throws(ExpressionError) -> String {
        if case .string(let text) = value { return text }
        try spend(walking: value)
        return SprigText.display(value)
    }
}

extension SprigText {
    /// The text of a value whose size was paid for.
    static func display(_ value: ExpressionValue) -> String {
        switch value {
        case .none: "<nil>"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): GoFormat.double(number)
        case .string(let text): text
        case .array(let elements): "[" + elements.map(display).joined(separator: " ") + "]"
        case .object(let members):
            "map["
                + members.sortedByKey.map { "\($0.key):\(display($0.value))" }.joined(separator: " ") + "]"
        case .time(let moment, let zone):
            GoTime.format(moment, layout: "2006-01-02 15:04:05.999999999 -0700 MST", zone: zone)
        case .duration(let span): GoDuration.format(span)
        }
    }
}
