// The shortest decimal digits of a double, from which Go's notations for numbers are made.

/// A finite double as 0.d1d2d3... times ten to the `point`; the digits are the fewest that read back the
/// same.
struct DecimalDigits {
    var isNegative: Bool
    /// ASCII digits without zeros at either end; empty for zero.
    var digits: [UInt8]
    var point: Int

    /// - Precondition: the number is finite.
    init(of number: Double) {
        precondition(number.isFinite, "only finite numbers have digits")
        isNegative = number.sign == .minus
        digits = []
        point = 0
        var sawPoint = false
        // Swift's description has the shortest digits too, either plain or as 1.5e-07.
        var bytes = number.magnitude.description.utf8[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: ".") {
                sawPoint = true
            } else if byte == UInt8(ascii: "e") {
                point += Int(String(Substring(bytes))) ?? 0
                break
            } else {
                digits.append(byte)
                if !sawPoint { point += 1 }
            }
        }
        let leadingZeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leadingZeros)
        point -= leadingZeros
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        if digits.isEmpty { point = 1 }
    }

    /// The decimal exponent of the first digit.
    var exponent: Int { point - 1 }

    /// As `encoding/json` writes numbers: exponents only below 1e-6 and from 1e21 on.
    var jsonText: String {
        if digits.isEmpty || (exponent >= -6 && exponent < 21) { return plainText }
        // JSON in Go writes 1e-9 with one digit in the exponent, but strconv with at least two.
        return scientificText(minimumExponentDigits: exponent < 0 ? 1 : 2)
    }

    /// As `strconv.FormatFloat(f, 'g', -1, 64)`: exponents below 1e-4 and from
    /// a million on, so that 1000000.0 is shown as 1e+06.
    var generalText: String {
        if digits.isEmpty || (exponent >= -4 && exponent < 6) { return plainText }
        return scientificText(minimumExponentDigits: 2)
    }

    /// Without an exponent.
    var plainText: String {
        var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        if point <= 0 || digits.isEmpty {
            text.append(UInt8(ascii: "0"))
        } else {
            text.append(contentsOf: digits.prefix(point))
            text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, point - digits.count)))
        }
        if digits.count > point, !digits.isEmpty {
            text.append(UInt8(ascii: "."))
            text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, -point)))
            text.append(contentsOf: digits.dropFirst(max(0, point)))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// With an exponent, such as 1.5e+07.
    func scientificText(minimumExponentDigits: Int) -> String {
        var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        text.append(digits.first ?? UInt8(ascii: "0"))
        if digits.count > 1 {
            text.append(UInt8(ascii: "."))
            text.append(contentsOf: digits.dropFirst())
        }
        let shownExponent = digits.isEmpty ? 0 : exponent
        text.append(contentsOf: shownExponent < 0 ? "e-".utf8 : "e+".utf8)
        let exponentDigits = String(shownExponent.magnitude)
        for _ in 0..<max(0, minimumExponentDigits - exponentDigits.utf8.count) {
            text.append(UInt8(ascii: "0"))
        }
        text.append(contentsOf: exponentDigits.utf8)
        return String(decoding: text, as: UTF8.self)
    }
}
