// Sprig's functions that change letters' case or the way that words are joined. The rules are those of
// github.com/huandu/xstrings 1.5 and github.com/Masterminds/goutils 1.1, which sprig 3.3 uses.

import Text

enum SprigCasing {
    static let signatures: [String: String] = [
        "title": "text", "untitle": "text", "initials": "text", "snakecase": "text", "camelcase": "text",
        "kebabcase": "text", "swapcase": "text",
    ]

    static func call(_ call: inout SprigCall) throws(ExpressionError) -> ExpressionValue {
        let scalars = Array(try call.string(0).unicodeScalars)
        try call.spend(steps: scalars.count)
        switch call.name {
        case "title": return .string(titled(scalars))
        case "untitle": return .string(untitled(scalars))
        case "initials": return .string(initials(scalars))
        case "snakecase": return .string(joined(words(of: scalars), by: "_"))
        case "kebabcase": return .string(joined(words(of: scalars), by: "-"))
        case "camelcase": return .string(pascal(scalars))
        case "swapcase": return .string(swapped(scalars))
        default: throw call.error("is not implemented")
        }
    }

    /// Go's `strings.Title`: the first letter after anything that is not a letter, digit or underscore.
    /// Outside ASCII only white space separates.
    private static func titled(_ scalars: [Unicode.Scalar]) -> String {
        var previous: Unicode.Scalar = " "
        return SprigText.string(
            scalars.map { scalar in
                defer { previous = scalar }
                return separatesWords(previous) ? SprigText.title(scalar) : scalar
            })
    }

    private static func separatesWords(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return !(SprigText.isLetter(scalar) || SprigText.isNumber(scalar) || scalar == "_")
        }
        return SprigText.isSpace(scalar)
    }

    private static func untitled(_ scalars: [Unicode.Scalar]) -> String {
        var afterSpace = true
        return SprigText.string(
            scalars.map { scalar in
                defer { afterSpace = SprigText.isSpace(scalar) }
                return afterSpace ? SprigText.lower(scalar) : scalar
            })
    }

    private static func initials(_ scalars: [Unicode.Scalar]) -> String {
        var afterSpace = true
        return SprigText.string(
            scalars.filter { scalar in
                defer { afterSpace = SprigText.isSpace(scalar) }
                return afterSpace && !SprigText.isSpace(scalar)
            })
    }

    /// Upper case becomes lower; lower becomes upper, or title case at the start of a word.
    private static func swapped(_ scalars: [Unicode.Scalar]) -> String {
        var afterSpace = true
        return SprigText.string(
            scalars.map { scalar in
                let category = scalar.properties.generalCategory
                if category == .uppercaseLetter || category == .titlecaseLetter {
                    afterSpace = false
                    return SprigText.lower(scalar)
                }
                if category == .lowercaseLetter {
                    defer { afterSpace = false }
                    return afterSpace ? SprigText.title(scalar) : SprigText.upper(scalar)
                }
                afterSpace = SprigText.isSpace(scalar)
                return scalar
            })
    }

    // MARK: - Camel case

    /// Words joined, each with a capital. Separators at the start and the end stay, and all but one of
    /// several in the middle. A word that begins in capitals keeps only the first of them.
    private static func pascal(_ scalars: [Unicode.Scalar]) -> String {
        guard let first = scalars.firstIndex(where: { !separates($0) }),
            let last = scalars.lastIndex(where: { !separates($0) })
        else { return SprigText.string(scalars) }
        var result = Array(scalars[..<first])
        var separators: [Unicode.Scalar] = []
        var startsWord = true
        var lowering = false
        for scalar in scalars[first...last] {
            if separates(scalar) {
                separators.append(scalar)
                startsWord = true
                continue
            }
            result += separators.dropLast()
            separators = []
            if startsWord {
                lowering = SprigText.isUpper(scalar)
                result.append(SprigText.upper(scalar))
                startsWord = false
            } else {
                lowering = lowering && SprigText.isUpper(scalar)
                result.append(lowering ? SprigText.lower(scalar) : scalar)
            }
        }
        return SprigText.string(result + scalars[(last + 1)...])
    }

    private static func separates(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "-" || scalar == "_" || SprigText.isSpace(scalar)
    }

    // MARK: - Snake and kebab case

    private enum WordKind { case number, capital, letters, separator, punctuation, other }

    private struct Word {
        let kind: WordKind
        let text: ArraySlice<Unicode.Scalar>
    }

    /// Letters for the sake of words: ideographs are none, as they have no words to be told apart.
    private static func isAlphabetic(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FCC, 0x3400...0x4D85, 0x20000...0x2B81D: false
        default: SprigText.isLetter(scalar)
        }
    }

    private static func kind(of scalar: Unicode.Scalar) -> WordKind {
        if separates(scalar) { return .separator }
        if SprigText.isPunctuation(scalar) { return .punctuation }
        if SprigText.isUpper(scalar) { return .capital }
        if isAlphabetic(scalar) { return .letters }
        return SprigText.isNumber(scalar) ? .number : .other
    }

    /// Cuts text where the kind of character changes. A capital begins the word of the small letters after
    /// it: of several capitals the last one does, so `HTTPServer` is `HTTP` and `Server`.
    private static func words(of scalars: [Unicode.Scalar]) -> [Word] {
        let kinds = scalars.map(kind(of:))
        var words: [Word] = []
        var start = 0
        while start < scalars.count {
            var end = start + 1
            while end < scalars.count, kinds[end] == kinds[start] { end += 1 }
            if kinds[start] == .capital, end < scalars.count, kinds[end] == .letters {
                if end - start > 1 {
                    end -= 1
                } else {
                    while end < scalars.count, kinds[end] == .letters { end += 1 }
                }
            }
            words.append(Word(kind: kinds[start], text: scalars[start..<end]))
            start = end
        }
        return words
    }

    /// Words in lower case, joined. A number belongs to the word before it, unless small letters follow: then
    /// it begins a word with them, so `Bld4Floor3rd` gives `bld4_floor_3rd`.
    private static func joined(_ words: [Word], by connector: Unicode.Scalar) -> String {
        var result: [Unicode.Scalar] = []
        var next = 0
        func separate() {
            guard next < words.count else { return }
            let kind = words[next].kind
            if kind != .separator, kind != .punctuation { result.append(connector) }
        }
        func glueLettersAndNumbers() {
            while next < words.count, words[next].kind == .letters || words[next].kind == .number {
                result += words[next].text
                next += 1
            }
        }
        while next < words.count {
            let word = words[next]
            next += 1
            switch word.kind {
            case .separator: result += word.text.map { _ in connector }
            case .punctuation: result += word.text
            case .number:
                result += word.text
                glueLettersAndNumbers()
                separate()
            case .capital, .letters, .other:
                result += word.kind == .capital ? word.text.map(SprigText.lower) : Array(word.text)
                guard next < words.count, words[next].kind == .number else {
                    separate()
                    continue
                }
                guard next + 1 < words.count else { continue }
                let beginsWord = words[next + 1].kind == .letters
                if beginsWord { result.append(connector) }
                result += words[next].text
                next += 1
                if beginsWord { glueLettersAndNumbers() }
                separate()
            }
        }
        return SprigText.string(result)
    }
}
