// Text as Go's fmt and strconv packages make it, since manifests and their results show such text.

package enum GoFormat {
    /// Widths and precisions above this are cut to it, so that a format string cannot ask for gigabytes.
    package static let maximumWidth = 10_000

    /// As `strconv.Quote`: a Go string literal in double quotes, with everything that is not printable
    /// escaped.
    package static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            appendEscaped(scalar, quote: "\"", to: &quoted)
        }
        return quoted + "\""
    }

    /// As Go prints a float64 with %v, `strconv.FormatFloat(f, 'g', -1, 64)`: 0.1, 100000, 1e+06, NaN, +Inf.
    package static func double(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        return DecimalDigits(of: number).generalText
    }

    /// Appends a character as it stands in a Go literal with the given quotes.
    static func appendEscaped(_ scalar: Unicode.Scalar, quote: Unicode.Scalar, to text: inout String) {
        switch scalar {
        case quote, "\\": text += "\\\(scalar)"
        case "\u{07}": text += "\\a"
        case "\u{08}": text += "\\b"
        case "\u{0C}": text += "\\f"
        case "\n": text += "\\n"
        case "\r": text += "\\r"
        case "\t": text += "\\t"
        case "\u{0B}": text += "\\v"
        case _ where isPrintable(scalar): text.unicodeScalars.append(scalar)
        case _ where scalar.value < 0x80: text += "\\x" + hexadecimal(scalar.value, digits: 2)
        case _ where scalar.value < 0x10000: text += "\\u" + hexadecimal(scalar.value, digits: 4)
        default: text += "\\U" + hexadecimal(scalar.value, digits: 8)
        }
    }

    /// Letters, marks, numbers, punctuation, symbols and the ASCII space.
    static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value >= 0x20 }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }

    static func hexadecimal(_ value: UInt32, digits: Int, uppercase: Bool = false) -> String {
        let text = String(value, radix: 16, uppercase: uppercase)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
