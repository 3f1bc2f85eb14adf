// What an unquoted word of YAML means. The rules are those of the reader that Kubernetes and Argo use
// (goyaml.v2, then conversion to JSON), because `0777`, `1_000`, `on` and `2024-01-01` must mean here what
// they mean there.

import Text

enum YAMLScalar {
    /// A scalar that has no JSON value.
    struct Refusal: Error {
        var message: String
        var remedy: String?
    }

    private static let tagPrefix = "tag:yaml.org,2002:"
    static let textTag = tagPrefix + "str"

    /// - Parameter plain: whether the scalar was written without quotes, and not as a block.
    /// - Parameter tag: the scalar's tag, empty when it has none.
    static func resolve(_ text: String, plain: Bool, tag: String) throws(Refusal) -> JSONValue {
        let prefix = Self.tagPrefix
        guard tag.hasPrefix(prefix) else {
            // Tags of an application (`!name`) leave text as it is.
            return plain && tag.isEmpty ? try resolvePlain(text) : .string(text)
        }
        switch tag.dropFirst(prefix.count) {
        case "int", "float", "bool", "null":
            return try resolve(text, as: String(tag.dropFirst(prefix.count)))
        case "binary":
            guard let bytes = Base64.decode(text) else {
                throw Refusal(message: "!!binary needs base64 text", remedy: nil)
            }
            return .string(String(decoding: bytes, as: UTF8.self))
        default:
            return .string(text)
        }
    }

    /// The words that are not text. Unlike in YAML 1.1, a lone `y` or `n` stays text: it is a coordinate or
    /// an answer far more often than a truth value.
    private static let words: [String: JSONValue] = [
        "": .null, "~": .null, "null": .null, "Null": .null, "NULL": .null,
        "true": true, "True": true, "TRUE": true, "yes": true, "Yes": true, "YES": true,
        "on": true, "On": true, "ON": true,
        "false": false, "False": false, "FALSE": false, "no": false, "No": false, "NO": false,
        "off": false, "Off": false, "OFF": false,
    ]

    private static let notJSON: Set<String> = [
        ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
    ]

    /// The value of a scalar without quotes and tag.
    static func resolvePlain(_ text: String) throws(Refusal) -> JSONValue {
        guard let first = text.utf8.first else { return .null }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            if notJSON.contains(text) {
                throw Refusal(
                    message: "\(text) has no JSON value", remedy: "put it in quotes, or write a finite number"
                )
            }
            return number(text) ?? .string(text)
        case UInt8(ascii: "~"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "t"), UInt8(ascii: "T"),
            UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "o"), UInt8(ascii: "O"), UInt8(ascii: "f"),
            UInt8(ascii: "F"):
            return text.utf8.count <= 5 ? words[text] ?? .string(text) : .string(text)
        default:
            return .string(text)
        }
    }

    private static func resolve(_ text: String, as kind: String) throws(Refusal) -> JSONValue {
        let value = try resolvePlain(text)
        switch (kind, value) {
        case ("int", .int), ("float", .double), ("bool", .bool), ("null", .null): return value
        case ("float", .int(let number)): return .double(Double(number))
        default:
            throw Refusal(
                message: "\"\(text)\" is not a !!\(kind)", remedy: "remove the tag, or mend the value")
        }
    }
}

// MARK: Numbers

extension YAMLScalar {
    private static func number(_ text: String) -> JSONValue? {
        let bytes = Array(text.utf8)
        if bytes[0] == UInt8(ascii: ".") { return isDecimal(bytes) ? finite(text) : nil }
        let plain = bytes.filter { $0 != UInt8(ascii: "_") }
        if let integer = integer(plain) { return integer }
        return isDecimal(plain) ? finite(String(decoding: plain, as: UTF8.self)) : nil
    }

    /// A number too large for a double is text, as in Go.
    private static func finite(_ text: String) -> JSONValue? {
        guard let number = Double(text), number.isFinite else { return nil }
        return .double(number)
    }

    /// Integers in Go's notation: a leading 0 or 0o is octal, 0x hexadecimal, 0b binary. One beyond 64 bits
    /// becomes a double.
    private static func integer(_ text: [UInt8]) -> JSONValue? {
        var digits = text[...]
        let negative = digits.first == UInt8(ascii: "-")
        if negative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        var radix = 10
        if digits.first == UInt8(ascii: "0"), digits.count > 1 {
            switch digits[digits.startIndex + 1] | 0x20 {
            case UInt8(ascii: "x"): (radix, digits) = (16, digits.dropFirst(2))
            case UInt8(ascii: "b"): (radix, digits) = (2, digits.dropFirst(2))
            case UInt8(ascii: "o"): (radix, digits) = (8, digits.dropFirst(2))
            default: (radix, digits) = (8, digits.dropFirst(1))
            }
        }
        guard !digits.isEmpty else { return nil }
        var magnitude: UInt = 0
        var approximate = 0.0
        var fits = true
        for byte in digits {
            guard let digit = digitValue(byte), digit < radix else { return nil }
            approximate = approximate * Double(radix) + Double(digit)
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: UInt(radix))
            let (sum, carry) = product.addingReportingOverflow(UInt(digit))
            fits = fits && !overflow && !carry
            magnitude = sum
        }
        if fits, magnitude <= UInt(Int.max) { return .int(negative ? -Int(magnitude) : Int(magnitude)) }
        if fits, negative, magnitude == UInt(Int.max) + 1 { return .int(.min) }
        if radix == 10 { return finite(String(decoding: text, as: UTF8.self)) }
        return approximate.isFinite ? .double(negative ? -approximate : approximate) : nil
    }

    private static func digitValue(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return Int(byte - UInt8(ascii: "A")) + 10
        default: return nil
        }
    }

    /// Whether the text is a sign, digits with at most one point (not alone), and an exponent; the first and
    /// the last may be missing.
    private static func isDecimal(_ text: [UInt8]) -> Bool {
        var rest = text[...]
        func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        if let first = rest.first, first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            rest = rest.dropFirst()
        }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix(while: isDigit)
            if whole.isEmpty, fraction.isEmpty { return false }
            rest = rest.dropFirst(1 + fraction.count)
        } else if whole.isEmpty {
            return false
        }
        guard let letter = rest.first else { return true }
        guard letter | 0x20 == UInt8(ascii: "e") else { return false }
        rest = rest.dropFirst()
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            rest = rest.dropFirst()
        }
        return !rest.isEmpty && rest.allSatisfy(isDigit)
    }
}
