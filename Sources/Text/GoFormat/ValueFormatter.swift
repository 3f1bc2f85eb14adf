// One verb applied to one value, as Go's fmt package does it.

import Glibc

struct ValueFormatter {
    var flags = FormatFlags()

    func text(_ value: JSONValue, verb: Unicode.Scalar) -> String {
        if verb == "v", flags.plus {
            // With %v the plus asks for the names of fields, which maps always show, and for no signs.
            var plain = self
            plain.flags.plus = false
            return plain.text(value, verb: verb)
        }
        if verb == "T" { return flags.padded(value.goTypeName) }
        switch value {
        case .null: return verb == "v" ? flags.padded("<nil>") : "%!\(verb)(<nil>)"
        case .bool(let flag):
            if verb == "t" || verb == "v" { return flags.padded(String(flag)) }
        case .int(let number):
            if let text = integer(number, verb: verb) { return text }
        case .double(let number):
            if let text = float(number, verb: verb) { return text }
        case .string(let string):
            if let text = self.string(string, verb: verb) { return text }
        case .array(let elements):
            return "[" + elements.map { element($0, verb: verb) }.joined(separator: " ") + "]"
        case .object(let members):
            let parts = members.sortedByKey.map {
                element(.string($0.key), verb: verb) + ":" + element($0.value, verb: verb)
            }
            return "map[" + parts.joined(separator: " ") + "]"
        }
        return "%!\(verb)(\(value.goTypeName)=\(ValueFormatter().text(value, verb: "v")))"
    }

    private func element(_ value: JSONValue, verb: Unicode.Scalar) -> String {
        // Inside lists and maps Go shows a missing value as <nil> whatever the verb.
        value.isNull ? "<nil>" : text(value, verb: verb)
    }

    // MARK: Integers

    private func integer(_ number: Int, verb: Unicode.Scalar) -> String? {
        switch verb {
        case "d", "v": return digits(of: number, radix: 10)
        case "b": return digits(of: number, radix: 2)
        case "o": return digits(of: number, radix: 8, prefix: flags.sharp ? "0" : "")
        case "O": return digits(of: number, radix: 8, prefix: "0o")
        case "x": return digits(of: number, radix: 16, prefix: flags.sharp ? "0x" : "")
        case "X": return digits(of: number, radix: 16, prefix: flags.sharp ? "0X" : "", uppercase: true)
        case "c": return flags.padded(String(Character(scalar(of: number))))
        case "q":
            var quoted = "'"
            GoFormat.appendEscaped(scalar(of: number), quote: "'", to: &quoted)
            return flags.padded(quoted + "'")
        case "U":
            let value = UInt64(bitPattern: Int64(number))
            let hexadecimal = String(value, radix: 16, uppercase: true)
            let width = max(4, flags.precision ?? 4)
            var text =
                "U+" + String(repeating: "0", count: max(0, width - hexadecimal.utf8.count)) + hexadecimal
            if flags.sharp, let scalar = Unicode.Scalar(UInt32(clamping: value)), GoFormat.isPrintable(scalar)
            {
                text += " '\(Character(scalar))'"
            }
            return spacePadded(text)
        default: return nil
        }
    }

    private func scalar(of number: Int) -> Unicode.Scalar {
        UInt32(exactly: number).flatMap { Unicode.Scalar($0) } ?? "\u{FFFD}"
    }

    private func digits(of number: Int, radix: Int, prefix: String = "", uppercase: Bool = false) -> String {
        if number == 0, flags.precision == 0 { return spacePadded("") }
        let sign = number < 0 ? "-" : flags.plus ? "+" : flags.space ? " " : ""
        var digits = String(number.magnitude, radix: radix, uppercase: uppercase)
        var minimum = flags.precision ?? 0
        if flags.precision == nil, flags.zero, !flags.minus, let width = flags.width {
            minimum = width - sign.utf8.count
        }
        // The leading zero of %#o counts as one if padding already gave one.
        digits = String(repeating: "0", count: max(0, minimum - digits.utf8.count)) + digits
        let shownPrefix = prefix == "0" && digits.utf8.first == 0x30 ? "" : prefix
        return spacePadded(sign + shownPrefix + digits)
    }

    /// Pads with spaces even where zeros were asked for: those are part of the number already.
    private func spacePadded(_ text: String) -> String {
        var spaces = flags
        spaces.zero = false
        return spaces.padded(text)
    }

    // MARK: Floating point

    private func float(_ number: Double, verb: Unicode.Scalar) -> String? {
        var body: String
        let magnitude = number.magnitude
        switch verb {
        case "v", "g", "G":
            body =
                flags.precision.map { Self.printed(magnitude, "g", precision: $0, sharp: flags.sharp) }
                ?? GoFormat.double(magnitude)
        case "f", "F":
            body = Self.printed(magnitude, "f", precision: flags.precision ?? 6, sharp: flags.sharp)
        case "e", "E":
            body = Self.printed(magnitude, "e", precision: flags.precision ?? 6, sharp: flags.sharp)
        default: return nil
        }
        if verb == "E" || verb == "G" { body = body.uppercased() }
        if number.isNaN { body = "NaN" }
        if number.isInfinite { body = "Inf" }
        var sign = number.sign == .minus && !number.isNaN ? "-" : flags.plus ? "+" : flags.space ? " " : ""
        if number.isInfinite, sign.isEmpty { sign = "+" }
        guard flags.zero, !flags.minus, number.isFinite, let width = flags.width else {
            return spacePadded(sign + body)
        }
        let zeros = max(0, width - sign.utf8.count - body.utf8.count)
        return sign + String(repeating: "0", count: zeros) + body
    }

    /// The C library's printf rounds exactly, half to even, as Go does.
    private static func printed(_ number: Double, _ verb: String, precision: Int, sharp: Bool) -> String {
        // The usual one, a duration that has not begun; the way below needs a tenth of a millisecond at first.
        if number == 0, verb == "f", precision > 0 { return "0." + String(repeating: "0", count: precision) }
        let format = "%\(sharp ? "#" : "").*\(verb)"
        // 310 digits stand before the point of the largest double.
        var buffer = [CChar](repeating: 0, count: precision + 350)
        let count = withVaList([Int32(clamping: precision), number]) {
            vsnprintf(&buffer, buffer.count, format, $0)
        }
        return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Strings

    private func string(_ text: String, verb: Unicode.Scalar) -> String? {
        switch verb {
        case "s", "v":
            if verb == "v", flags.sharp { return flags.padded(GoFormat.quote(text)) }
            return flags.padded(truncated(text))
        case "q":
            let content = truncated(text)
            // With #, as a raw literal wherever one can hold the text.
            let isRaw =
                flags.sharp
                && content.unicodeScalars.allSatisfy { $0 == "\t" || ($0 != "`" && GoFormat.isPrintable($0)) }
            return flags.padded(isRaw ? "`\(content)`" : GoFormat.quote(content))
        case "x", "X":
            let bytes = flags.precision.map { Array(text.utf8.prefix($0)) } ?? Array(text.utf8)
            let prefix = flags.sharp ? "0\(verb)" : ""
            let pairs = bytes.map { GoFormat.hexadecimal(UInt32($0), digits: 2, uppercase: verb == "X") }
            if flags.space { return flags.padded(pairs.map { prefix + $0 }.joined(separator: " ")) }
            return flags.padded((bytes.isEmpty ? "" : prefix) + pairs.joined())
        default: return nil
        }
    }

    private func truncated(_ text: String) -> String {
        guard let precision = flags.precision else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(precision)))
    }
}
