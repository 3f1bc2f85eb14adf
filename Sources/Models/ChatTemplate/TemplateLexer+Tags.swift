// The inside of tags: names, numbers, strings and operators, as Python writes them.

extension TemplateLexer {
    /// Reads to the end of a block or variable tag. The end counts only where all brackets are closed, so
    /// that `{{ {'a': {}} }}` is read as meant.
    mutating func readTag(isBlock: Bool) throws(ChatTemplateError) {
        var brackets: [TemplateSymbol] = []
        let startLine = line
        while position < source.count {
            if brackets.isEmpty,
                let end = endOfTag(isBlock ? "%" : "}", signs: isBlock, trimsLineBreak: isBlock)
            {
                append(isBlock ? .blockEnd : .variableEnd)
                countLines(position..<end)
                finishTag(at: end)
                return
            }
            let scalar = source[position]
            if PythonString.isSpace(scalar) {
                if scalar == "\n" { line += 1 }
                position += 1
            } else if let symbol = try readToken(scalar) {
                try match(symbol, &brackets)
            }
        }
        line = startLine
        throw syntaxError(
            "a tag is not closed",
            remedy: "end it with `\(isBlock ? "%}" : "}}")` and close its brackets and strings")
    }

    private func match(_ symbol: TemplateSymbol, _ brackets: inout [TemplateSymbol]) throws(ChatTemplateError)
    {
        if symbol.opensBracket {
            brackets.append(symbol)
        } else if let opening = symbol.opening {
            guard brackets.popLast() == opening else {
                throw syntaxError(
                    "unexpected `\(symbol.rawValue)`",
                    remedy: "open it with `\(opening.rawValue)`, or remove it")
            }
        }
    }

    /// Reads one token. Gives the symbol, if it is one.
    private mutating func readToken(_ scalar: Unicode.Scalar) throws(ChatTemplateError) -> TemplateSymbol? {
        switch scalar {
        case "0"..."9":
            try readNumber()
            return nil
        case "'", "\"":
            try readString(quote: scalar)
            return nil
        case _ where Self.isNamePart(scalar):
            var end = position
            while end < source.count, Self.isNamePart(source[end]) { end += 1 }
            var name = ""
            name.unicodeScalars.append(contentsOf: source[position..<end])
            append(.name(name))
            position = end
            return nil
        default:
            for length in [2, 1] where position + length <= source.count {
                var text = ""
                text.unicodeScalars.append(contentsOf: source[position..<position + length])
                guard let symbol = TemplateSymbol(rawValue: text) else { continue }
                append(.symbol(symbol))
                position += length
                return symbol
            }
            throw syntaxError(
                "unexpected character \(PythonString([scalar]).repr.swift)",
                remedy: "remove it, or quote the text")
        }
    }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar == "_" || ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
                || ("0"..."9").contains(scalar)
        }
        return scalar.properties.isXIDContinue
    }

    // MARK: Numbers

    private mutating func readNumber() throws(ChatTemplateError) {
        let start = position
        if let radix = radixPrefix() {
            position += 2
            let digits = readDigits { $0.hexDigitValue.map { $0 < radix } ?? false }
            return try appendInteger(digits, radix: radix)
        }
        let isDigit: (Unicode.Scalar) -> Bool = { ("0"..."9").contains($0) }
        let whole = readDigits(isDigit)
        var text = whole
        // A number behind a dot, as in `x.0.5`, is an index and has no fraction.
        let afterDot = start > 0 && source[start - 1] == "."
        if !afterDot, scalar(at: position) == ".", scalar(at: position + 1).map(isDigit) ?? false {
            position += 1
            text += "." + readDigits(isDigit)
        }
        if !afterDot, let mark = scalar(at: position), mark == "e" || mark == "E" {
            let sign = scalar(at: position + 1)
            let hasSign = sign == "+" || sign == "-"
            if scalar(at: position + (hasSign ? 2 : 1)).map(isDigit) ?? false {
                position += hasSign ? 2 : 1
                text += (sign == "-" ? "e-" : "e") + readDigits(isDigit)
            }
        }
        if text == whole {
            guard whole.first != "0" || whole.allSatisfy({ $0 == "0" }) else {
                throw syntaxError("the number \(whole) begins with a zero", remedy: "write it without")
            }
            return try appendInteger(whole, radix: 10)
        }
        append(.float(Double(text) ?? .infinity))
    }

    private func radixPrefix() -> Int? {
        guard source[position] == "0", let mark = scalar(at: position + 1) else { return nil }
        let radix: Int
        switch mark {
        case "b", "B": radix = 2
        case "o", "O": radix = 8
        case "x", "X": radix = 16
        default: return nil
        }
        let digit = scalar(at: position + 2).flatMap(\.hexDigitValue)
        return digit.map { $0 < radix } ?? false ? radix : nil
    }

    /// Reads digits, which may have single underscores between them.
    private mutating func readDigits(_ isDigit: (Unicode.Scalar) -> Bool) -> String {
        var text = ""
        while let next = scalar(at: position) {
            if isDigit(next) {
                text.unicodeScalars.append(next)
            } else if next != "_" || !(scalar(at: position + 1).map(isDigit) ?? false) {
                break
            }
            position += 1
        }
        return text
    }

    private mutating func appendInteger(_ digits: String, radix: Int) throws(ChatTemplateError) {
        guard let number = Int(digits, radix: radix) else {
            throw syntaxError("the number \(digits) is too large", remedy: "use one that fits into 64 bits")
        }
        append(.integer(number))
    }

    // MARK: Strings

    private mutating func readString(quote: Unicode.Scalar) throws(ChatTemplateError) {
        let startLine = line
        var text: [Unicode.Scalar] = []
        position += 1
        while let next = scalar(at: position), next != quote {
            position += 1
            if next == "\n" { line += 1 }
            if next == "\\" {
                try readEscape(into: &text)
            } else {
                text.append(next)
            }
        }
        guard position < source.count else {
            line = startLine
            throw syntaxError("a string is not closed", remedy: "end it with \(quote)")
        }
        position += 1
        tokens.append(TemplateToken(kind: .string(PythonString(text)), line: startLine))
    }

    /// An escape that Python does not know stays as it is written, with its backslash.
    private mutating func readEscape(into text: inout [Unicode.Scalar]) throws(ChatTemplateError) {
        guard let mark = scalar(at: position) else { return }
        position += 1
        switch mark {
        case "\n": line += 1
        case "\\", "'", "\"": text.append(mark)
        case "a": text.append("\u{07}")
        case "b": text.append("\u{08}")
        case "f": text.append("\u{0C}")
        case "n": text.append("\n")
        case "r": text.append("\r")
        case "t": text.append("\t")
        case "v": text.append("\u{0B}")
        case "0"..."7":
            position -= 1
            text.append(Unicode.Scalar(UInt16(readCode(atMost: 3, radix: 8))) ?? "\u{FFFD}")
        case "x": text.append(try readScalar(digits: 2))
        case "u": text.append(try readScalar(digits: 4))
        case "U": text.append(try readScalar(digits: 8))
        case "N":
            throw syntaxError(
                "characters by name, \\N{...}, are not supported", remedy: "write the character itself")
        default: text.append(contentsOf: ["\\", mark])
        }
    }

    private mutating func readCode(atMost digits: Int, radix: Int) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = scalar(at: position)?.hexDigitValue, digit < radix else { break }
            code = code &* UInt32(radix) &+ UInt32(digit)
            position += 1
        }
        return code
    }

    /// A character by its number. Two halves of a surrogate pair make the character that they stand for.
    private mutating func readScalar(digits: Int) throws(ChatTemplateError) -> Unicode.Scalar {
        let start = position
        var code = readCode(atMost: digits, radix: 16)
        let isComplete = position == start + digits
        if (0xD800..<0xDC00).contains(code), scalar(at: position) == "\\", scalar(at: position + 1) == "u" {
            position += 2
            let low = readCode(atMost: 4, radix: 16)
            if (0xDC00..<0xE000).contains(low) { code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00) }
        }
        guard isComplete, let scalar = Unicode.Scalar(code) else {
            throw syntaxError(
                "an escape in a string names no character", remedy: "give it \(digits) hexadecimal digits")
        }
        return scalar
    }
}

extension Unicode.Scalar {
    /// 0 to 15.
    fileprivate var hexDigitValue: Int? {
        switch self {
        case "0"..."9": Int(value) - 48
        case "a"..."f": Int(value) - 87
        case "A"..."F": Int(value) - 55
        default: nil
        }
    }
}
