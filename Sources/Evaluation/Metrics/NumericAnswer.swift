// Numbers as people and models write them.

package enum NumericAnswer {
    /// Reads `1,234.50`, `$12`, `-7`, `50%` (as 50), `3/4`, `1e3`, with blanks, currency signs and a final
    /// full stop or comma; nil for anything else, and for numbers that are not finite.
    package static func parse(_ text: String) -> Double? {
        let leftOut = Set(" ,$€£¥%￥\u{A0}\t\n".unicodeScalars)
        var scalars = text.unicodeScalars.filter { !leftOut.contains($0) }
        while scalars.last == "." { scalars.removeLast() }
        let plain = String(String.UnicodeScalarView(scalars)).replacingMinus
        let parts = plain.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let top = decimal(parts[0]), let bottom = decimal(parts[1]), bottom != 0 {
            return top / bottom
        }
        return parts.count == 1 ? decimal(parts[0]) : nil
    }

    /// `Double` would also read hexadecimal digits, `inf` and `nan`.
    private static func decimal(_ text: Substring) -> Double? {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.contains(where: { (0x30...0x39).contains($0) }),
            bytes.allSatisfy({ (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0) }),
            let number = Double(text.hasPrefix(".") ? "0" + text : String(text)), number.isFinite
        else { return nil }
        return number
    }

    /// Whether two numbers are the same but for the last digits of a double.
    package static func areEqual(_ one: Double, _ other: Double) -> Bool {
        abs(one - other) <= 1e-9 * max(1, abs(one), abs(other))
    }
}

extension String {
    /// With ASCII's minus for the typographic one.
    fileprivate var replacingMinus: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\u{2212}" ? "-" : $0 }))
    }
}
