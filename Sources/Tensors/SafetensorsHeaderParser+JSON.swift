// The JSON of a header, byte by byte: objects, lists of whole numbers, strings, and stepping over the rest.

extension SafetensorsHeaderParser {
    /// Reads an object, the position being at its opening brace; `member` reads each value.
    mutating func parseMembers(
        _ member: (inout Self, String) throws(SafetensorsError) -> Void
    ) throws(SafetensorsError) {
        position += 1
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            guard peek() == UInt8(ascii: "\"") else { throw malformed("a name in double quotes is missing") }
            let name = try parseString()
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw malformed("\":\" is missing after a name") }
            skipWhitespace()
            try member(&self, name)
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return }
            guard take(UInt8(ascii: ",")) else { throw malformed("\",\" or \"}\" is missing") }
            skipWhitespace()
        }
    }

    mutating func parseNumbers(
        _ name: String, of field: String, limit: Int
    ) throws(SafetensorsError) -> [Int] {
        guard take(UInt8(ascii: "[")) else { throw fault(name, "its \(field) is not a list") }
        var numbers: [Int] = []
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return numbers }
        while true {
            guard numbers.count < limit else {
                throw fault(name, "its \(field) has more than \(limit) numbers")
            }
            guard let number = parseNumber() else {
                throw fault(name, "its \(field) has something else than whole numbers from 0 to 2^63-1")
            }
            numbers.append(number)
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return numbers }
            guard take(UInt8(ascii: ",")) else {
                throw fault(name, "its \(field) has something else than whole numbers from 0 to 2^63-1")
            }
            skipWhitespace()
        }
    }

    /// A whole number without sign, fraction, or exponent; nil for anything else.
    private mutating func parseNumber() -> Int? {
        let start = position
        var number = 0
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            let (product, overflowed) = number.multipliedReportingOverflow(by: 10)
            let (sum, alsoOverflowed) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            if overflowed || alsoOverflowed { return nil }
            number = sum
            position += 1
        }
        let digits = position - start
        return digits == 0 || (digits > 1 && bytes[start] == UInt8(ascii: "0")) ? nil : number
    }

    /// Reads a string, the position being at its opening quote.
    mutating func parseString() throws(SafetensorsError) -> String {
        position += 1
        let start = position
        skipPlainCharacters()
        if peek() == UInt8(ascii: "\"") {
            let plain = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
            position += 1
            return try validated(plain)
        }
        var content = Array(bytes[start..<position])
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return try validated(content)
            case UInt8(ascii: "\\"): try parseEscape(into: &content)
            case 0..<0x20: throw malformed("a control character is inside a string")
            default:
                let runStart = position
                skipPlainCharacters()
                content.append(contentsOf: bytes[runStart..<position])
            }
        }
        throw malformed("it ends inside a string")
    }

    private func validated(_ utf8: some Sequence<UInt8>) throws(SafetensorsError) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw malformed("a string is not UTF-8")
        }
        return text
    }

    private mutating func parseEscape(into content: inout [UInt8]) throws(SafetensorsError) {
        position += 1
        guard let letter = peek() else { throw malformed("it ends inside a string") }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            guard var unit = hexadecimalUnit() else { throw malformed("\\u has no four digits") }
            if unit & 0xFC00 == 0xD800, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")),
                let low = hexadecimalUnit(), low & 0xFC00 == 0xDC00
            {
                unit = 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(unit) else { throw malformed("\\u has half a character") }
            content.append(contentsOf: String(scalar).utf8)
        default: throw malformed("a string has an unknown escape")
        }
    }

    private mutating func hexadecimalUnit() -> UInt32? {
        guard position + 4 <= bytes.count else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[position..<(position + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        position += 4
        return unit
    }

    /// Steps over the value of a field that this version does not know.
    mutating func skipValue() throws(SafetensorsError) {
        guard depth < Self.maximumDepth else {
            throw malformed("values nest deeper than \(Self.maximumDepth)")
        }
        depth += 1
        defer { depth -= 1 }
        switch peek() {
        case UInt8(ascii: "\""): _ = try parseString()
        case UInt8(ascii: "{"):
            try parseMembers { (parser, _) throws(SafetensorsError) in try parser.skipValue() }
        case UInt8(ascii: "["):
            position += 1
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return }
            while true {
                try skipValue()
                skipWhitespace()
                if take(UInt8(ascii: "]")) { return }
                guard take(UInt8(ascii: ",")) else { throw malformed("\",\" or \"]\" is missing") }
                skipWhitespace()
            }
        default: try skipWord()
        }
    }

    /// A number, `true`, `false` or `null`, loosely: the value is not used.
    private mutating func skipWord() throws(SafetensorsError) {
        let start = position
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "E"), UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"):
                position += 1
            default:
                guard position > start else { throw malformed("a value is missing") }
                return
            }
        }
        throw malformed("it ends inside a value")
    }

    func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipPlainCharacters() {
        while position < bytes.count {
            let byte = bytes[position]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            position += 1
        }
    }

    mutating func skipWhitespace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            position += 1
        }
    }
}
