// Upper and lower case, classes of characters, and the quoted form, as Python's `str` has them.

extension PythonString {
    // MARK: Case

    var uppercased: PythonString { mapped { $0.properties.uppercaseMapping } }

    /// A capital sigma that ends a word becomes the final small sigma, as in Python.
    var lowercased: PythonString {
        let text = scalars
        var result = PythonString()
        for index in text.indices { result.append(Self.lowercase(text, at: index)) }
        return result
    }

    private static func lowercase(_ text: [Unicode.Scalar], at index: Int) -> String {
        guard text[index] == "\u{3A3}" else { return text[index].properties.lowercaseMapping }
        return endsWord(text, at: index) ? "\u{3C2}" : "\u{3C3}"
    }

    private static func endsWord(_ text: [Unicode.Scalar], at index: Int) -> Bool {
        let before = text[..<index].last { !$0.properties.isCaseIgnorable }
        let after = text[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased ?? false && !(after?.properties.isCased ?? false)
    }

    var swappedCase: PythonString {
        let text = scalars
        var result = PythonString()
        for (index, scalar) in text.enumerated() {
            let properties = scalar.properties
            result.append(
                properties.isUppercase ? Self.lowercase(text, at: index) : properties.uppercaseMapping)
        }
        return result
    }

    /// `str.capitalize`: the first character in title case, the others in lower case.
    var capitalized: PythonString {
        let text = scalars
        guard let first = text.first else { return self }
        return PythonString(first.properties.titlecaseMapping) + PythonString(text.dropFirst()).lowercased
    }

    /// `str.title`: each run of letters begins with a capital. The filter `title` is another.
    var titled: PythonString {
        var result = PythonString()
        var afterCased = false
        let text = scalars
        for (index, scalar) in text.enumerated() {
            let properties = scalar.properties
            result.append(afterCased ? Self.lowercase(text, at: index) : properties.titlecaseMapping)
            afterCased = properties.isCased
        }
        return result
    }

    private func mapped(_ mapping: (Unicode.Scalar) -> String) -> PythonString {
        var result = PythonString()
        for scalar in swift.unicodeScalars { result.append(mapping(scalar)) }
        return result
    }

    // MARK: Classes

    /// `str.islower`: has cased characters, all of them small.
    var isLower: Bool { hasOnlyCased { $0.isLowercase } }
    var isUpper: Bool { hasOnlyCased { $0.isUppercase } }

    private func hasOnlyCased(_ test: (Unicode.Scalar.Properties) -> Bool) -> Bool {
        let cased = scalars.lazy.map(\.properties).filter {
            $0.isLowercase || $0.isUppercase || $0.generalCategory == .titlecaseLetter
        }
        return !cased.isEmpty && cased.allSatisfy(test)
    }

    var isTitle: Bool {
        var afterCased = false
        var hasCased = false
        for properties in scalars.lazy.map(\.properties) {
            let isCapital = properties.isUppercase || properties.generalCategory == .titlecaseLetter
            if isCapital && afterCased || properties.isLowercase && !afterCased { return false }
            afterCased = isCapital || properties.isLowercase
            hasCased = hasCased || afterCased
        }
        return hasCased
    }

    /// Whether there are characters, and all pass a test.
    func hasOnly(_ test: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && scalars.allSatisfy(test) }

    static func isAlphabetic(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    static func isDecimal(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.numericType == .decimal }

    static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.numericType == .decimal || scalar.properties.numericType == .digit
    }

    static func isNumeric(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.numericType != nil }

    static func isAlphanumeric(_ scalar: Unicode.Scalar) -> Bool { isAlphabetic(scalar) || isNumeric(scalar) }

    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
            false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    var isIdentifier: Bool {
        let text = scalars
        guard let first = text.first, first == "_" || first.properties.isXIDStart else { return false }
        return text.dropFirst().allSatisfy(\.properties.isXIDContinue)
    }

    // MARK: Quoted

    /// `repr`: quoted by ' unless only that is inside, with escapes for what cannot be printed.
    var repr: PythonString {
        let quote: Unicode.Scalar = contains("'") && !contains("\"") ? "\"" : "'"
        var result = PythonString([quote])
        for scalar in swift.unicodeScalars {
            switch scalar {
            case quote, "\\":
                result.append("\\" as Unicode.Scalar)
                result.append(scalar)
            case "\n": result.append("\\n")
            case "\r": result.append("\\r")
            case "\t": result.append("\\t")
            default:
                if Self.isPrintable(scalar) {
                    result.append(scalar)
                } else {
                    result.append(Self.escape(scalar))
                }
            }
        }
        result.append(quote)
        return result
    }

    /// A character by its number in the shortest of Python's forms `\xhh`, `\uhhhh` and `\Uhhhhhhhh`.
    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        let (mark, width) =
            scalar.value < 0x100 ? ("\\x", 2) : scalar.value < 0x10000 ? ("\\u", 4) : ("\\U", 8)
        return mark + String(repeating: "0", count: width - digits.utf8.count) + digits
    }

    /// With `&`, `<`, `>` and quotes as HTML wants them; marked so that it is not escaped twice.
    var escapedForHTML: PythonString {
        guard !isMarkup else { return self }
        var result = PythonString()
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "&"): result.append("&amp;")
            case UInt8(ascii: "<"): result.append("&lt;")
            case UInt8(ascii: ">"): result.append("&gt;")
            case UInt8(ascii: "'"): result.append("&#39;")
            case UInt8(ascii: "\""): result.append("&#34;")
            default: result.append(byte: byte)
            }
        }
        result.isMarkup = true
        return result
    }
}
