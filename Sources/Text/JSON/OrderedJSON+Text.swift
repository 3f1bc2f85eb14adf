// Writes ordered JSON values: as this program writes JSON, and as Python's `json.dumps` does for chat
// templates.

extension OrderedJSON {
    /// The value without spaces, members in their order; numbers and strings as `JSONValue.compactText` has
    /// them.
    package var compactText: String {
        var bytes: [UInt8] = []
        appendCompact(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value with two spaces of indentation a level, without a newline at the end.
    package var prettyText: String {
        var bytes: [UInt8] = []
        append(to: &bytes, level: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends `compactText` as UTF-8.
    package func appendCompact(to bytes: inout [UInt8]) { append(to: &bytes, level: nil) }

    /// - Parameter level: how deep this value is indented; nil for no line breaks at all.
    private func append(to bytes: inout [UInt8], level: Int?) {
        func breakLine(_ level: Int?) {
            guard let level else { return }
            bytes.append(0x0A)
            bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
        }
        let inner = level.map { $0 + 1 }
        switch self {
        case .array(let elements) where !elements.isEmpty:
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                breakLine(inner)
                element.append(to: &bytes, level: inner)
            }
            breakLine(level)
            bytes.append(UInt8(ascii: "]"))
        case .object(let members) where !members.isEmpty:
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                breakLine(inner)
                JSONValue.appendQuoted(member.key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                if level != nil { bytes.append(0x20) }
                member.value.append(to: &bytes, level: inner)
            }
            breakLine(level)
            bytes.append(UInt8(ascii: "}"))
        default:
            jsonValue.appendCompact(to: &bytes)
        }
    }
}

extension OrderedJSON {
    /// The arguments of Python's `json.dumps` that templates use.
    package struct PythonStyle: Sendable, Hashable {
        /// Writes everything beyond ASCII as `\uXXXX`.
        package var ensuresASCII = false
        package var itemSeparator = ", "
        package var keySeparator = ": "
        /// What a level is indented by; nil for one line.
        package var indent: String?
        /// Sorts members by the code points of their keys.
        package var sortsKeys = false

        package init() {}
    }

    /// The value as Python's `json.dumps` writes it: `1.0` keeps its fraction, and numbers that are not
    /// finite are written as NaN and Infinity, which is no JSON.
    package func pythonText(_ style: PythonStyle = PythonStyle()) -> String {
        var bytes: [UInt8] = []
        appendPython(to: &bytes, style, level: 0)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func appendPython(to bytes: inout [UInt8], _ style: PythonStyle, level: Int) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let flag): bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
        case .int(let number): bytes.append(contentsOf: String(number).utf8)
        case .double(let number): bytes.append(contentsOf: Self.pythonText(of: number).utf8)
        case .string(let text): Self.appendPythonQuoted(text, to: &bytes, ensuresASCII: style.ensuresASCII)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                Self.appendGap(to: &bytes, style, level: level + 1, isFirst: index == 0)
                element.appendPython(to: &bytes, style, level: level + 1)
            }
            if !elements.isEmpty { Self.appendLineBreak(to: &bytes, style, level: level) }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            let order = style.sortsKeys ? members.sorted { $0.key.precedesBytewise($1.key) } : members
            for (index, member) in order.enumerated() {
                Self.appendGap(to: &bytes, style, level: level + 1, isFirst: index == 0)
                Self.appendPythonQuoted(member.key, to: &bytes, ensuresASCII: style.ensuresASCII)
                bytes.append(contentsOf: style.keySeparator.utf8)
                member.value.appendPython(to: &bytes, style, level: level + 1)
            }
            if !members.isEmpty { Self.appendLineBreak(to: &bytes, style, level: level) }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func appendGap(to bytes: inout [UInt8], _ style: PythonStyle, level: Int, isFirst: Bool) {
        if !isFirst { bytes.append(contentsOf: style.itemSeparator.utf8) }
        appendLineBreak(to: &bytes, style, level: level)
    }

    private static func appendLineBreak(to bytes: inout [UInt8], _ style: PythonStyle, level: Int) {
        guard let indent = style.indent else { return }
        bytes.append(0x0A)
        for _ in 0..<level { bytes.append(contentsOf: indent.utf8) }
    }

    private static func pythonText(of number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return number.pythonText
    }

    private static func appendPythonQuoted(_ text: String, to bytes: inout [UInt8], ensuresASCII: Bool) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(UInt8(ascii: scalar))
            case "\u{8}": bytes.append(contentsOf: "\\b".utf8)
            case "\u{C}": bytes.append(contentsOf: "\\f".utf8)
            case "\n": bytes.append(contentsOf: "\\n".utf8)
            case "\r": bytes.append(contentsOf: "\\r".utf8)
            case "\t": bytes.append(contentsOf: "\\t".utf8)
            case "\u{20}"..."\u{7E}": bytes.append(UInt8(ascii: scalar))
            case "\u{0}"..<"\u{20}": appendEscape(of: scalar, to: &bytes)
            default:
                if ensuresASCII {
                    appendEscape(of: scalar, to: &bytes)
                } else {
                    bytes.append(contentsOf: String(scalar).utf8)
                }
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Scalars beyond 16 bits become two escapes, a surrogate pair.
    private static func appendEscape(of scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
            let digits = String(unit, radix: 16)
            bytes.append(contentsOf: "\\u".utf8)
            bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 4 - digits.utf8.count))
            bytes.append(contentsOf: digits.utf8)
        }
    }
}

extension Double {
    /// The number as Python's `repr` writes it: the fewest digits that read back the same, always with a
    /// fraction or an exponent, the latter below 1e-4 and from 1e16 on.
    package var pythonText: String {
        if isNaN { return "nan" }
        if isInfinite { return self < 0 ? "-inf" : "inf" }
        let digits = DecimalDigits(of: self)
        guard digits.digits.isEmpty || (digits.exponent >= -4 && digits.exponent < 16) else {
            return digits.scientificText(minimumExponentDigits: 2)
        }
        let text = digits.plainText
        return text.utf8.contains(UInt8(ascii: ".")) ? text : text + ".0"
    }
}
