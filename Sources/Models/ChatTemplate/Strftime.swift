// `strftime_now`: dates as the C library writes them in its plain locale, in UTC.
import Text

enum Strftime {
    /// Formats a moment by the conversions of strftime, with the flags `-`, `_`, `0`, `^` and `#` and a width
    /// of glibc. What is no conversion stays as it is.
    static func format(
        _ format: String, _ moment: Timestamp, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> String {
        var result = ""
        var rest = Array(format.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            let start = rest
            var flag: Unicode.Scalar?
            while let next = rest.first, "-_0^#".unicodeScalars.contains(next) {
                flag = next
                rest.removeFirst()
            }
            var width = 0
            while let next = rest.first, let digit = Int(String(next)), width < 10_000 {
                width = width * 10 + digit
                rest.removeFirst()
            }
            if rest.first == "E" || rest.first == "O" { rest.removeFirst() }
            if let letter = rest.popFirst(), let text = convert(letter, moment) {
                try budget.allow(textBytes: result.utf8.count + max(width, 40))
                result += adjust(text, flag, width, letter)
            } else {
                result += "%"
                rest = start
            }
        }
        return result
    }

    private static func convert(_ letter: Unicode.Scalar, _ moment: Timestamp) -> String? {
        let civil = CivilTime(moment)
        switch letter {
        // A moment without a zone, which is what templates get in Python, prints none.
        case "Z", "z": return ""
        case "f":
            let digits = String(civil.nanosecond / 1_000)
            return String(repeating: "0", count: 6 - digits.utf8.count) + digits
        case "G": return String(civil.isoWeek.year)
        case "g":
            let digits = String(civil.isoWeek.year % 100)
            return digits.utf8.count < 2 ? "0" + digits : digits
        case "P": return GoTime.strftime(moment, "p")?.lowercased()
        case "v": return nil
        default: return GoTime.strftime(moment, Character(letter))
        }
    }

    private static func adjust(
        _ text: String, _ flag: Unicode.Scalar?, _ width: Int, _ letter: Unicode.Scalar
    ) -> String {
        let isPadded = "CdegHIjklMmSsUuVWwyGY".unicodeScalars.contains(letter)
        let digits = isPadded ? String(text.drop { $0 == "0" || $0 == " " }) : text
        let bare = isPadded && digits.isEmpty ? "0" : digits
        let usualWidth = max(width, text.count)
        func filled(_ fill: String) -> String {
            String(repeating: fill, count: max(usualWidth - bare.count, 0)) + bare
        }
        switch flag {
        case "-": return isPadded ? bare : text
        case "_": return filled(" ")
        case "0": return filled("0")
        case "^": return text.uppercased()
        case "#": return letter == "p" ? text.lowercased() : text.uppercased()
        default:
            return width > 0 ? filled(isPadded && !"ekl".unicodeScalars.contains(letter) ? "0" : " ") : text
        }
    }
}
