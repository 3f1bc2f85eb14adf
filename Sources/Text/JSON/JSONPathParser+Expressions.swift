// The expressions in filters and scripts of a JSONPath.

extension JSONPathParser {
    /// Reads an expression up to the first thing that cannot belong to it.
    mutating func parseExpression() throws(JSONPathError) -> JSONPathExpression {
        try parseBinary(minimumPrecedence: 1)
    }

    /// Precedence climbing: operands joined by operators that bind at least so tightly.
    private mutating func parseBinary(minimumPrecedence: Int) throws(JSONPathError) -> JSONPathExpression {
        try descend()
        defer { ascend() }
        var left = try parseUnary()
        while let symbol = peekOperator(), symbol.precedence >= minimumPrecedence {
            position += symbol.rawValue.unicodeScalars.count
            if symbol == .match {
                left = try parseMatch(left)
            } else {
                let right = try parseBinary(minimumPrecedence: symbol.precedence + 1)
                left = .binary(symbol, left, right)
            }
        }
        return left
    }

    private mutating func peekOperator() -> JSONPathExpression.Operator? {
        skipSpaces()
        for length in [2, 1] where position + length <= text.count {
            let symbol = String(String.UnicodeScalarView(text[position..<(position + length)]))
            if let found = JSONPathExpression.Operator(rawValue: symbol) { return found }
        }
        return nil
    }

    /// The pattern after `=~`, in quotes or between slashes.
    private mutating func parseMatch(_ left: JSONPathExpression) throws(JSONPathError) -> JSONPathExpression {
        skipSpaces()
        let pattern: String
        if peek == "'" || peek == "\"" {
            let quoted = try parseQuoted()
            let isWrapped = quoted.utf8.count > 1 && quoted.hasPrefix("/") && quoted.hasSuffix("/")
            pattern = isWrapped ? String(quoted.dropFirst().dropLast()) : quoted
        } else if take("/") {
            var scalars = String.UnicodeScalarView()
            while let scalar = peek, scalar != "/" {
                position += 1
                scalars.append(scalar)
                if scalar == "\\", let escaped = peek {
                    position += 1
                    scalars.append(escaped)
                }
            }
            try expect("/")
            pattern = String(scalars)
        } else {
            return .binary(.match, left, try parseBinary(minimumPrecedence: 4))
        }
        do {
            return .match(left, try RegularExpression(pattern))
        } catch {
            throw failure(error.description)
        }
    }

    private mutating func parseUnary() throws(JSONPathError) -> JSONPathExpression {
        skipSpaces()
        guard let scalar = peek else { throw failure("an expression is missing") }
        switch scalar {
        case "!":
            position += 1
            try descend()
            defer { ascend() }
            return .not(try parseUnary())
        case "-":
            position += 1
            try descend()
            defer { ascend() }
            return .negative(try parseUnary())
        case "(":
            position += 1
            let inner = try parseExpression()
            try expect(")")
            return inner
        case "@", "$":
            position += 1
            return .path(fromRoot: scalar == "$", try parseSteps(insideExpression: true))
        case "'", "\"": return .literal(.string(try parseQuoted()))
        case "[", "{": return .literal(try parseJSON())
        case "0"..."9": return .literal(try parseNumber())
        default: return .literal(try parseWord())
        }
    }

    private mutating func parseNumber() throws(JSONPathError) -> JSONValue {
        let start = position
        func isDigit(_ index: Int) -> Bool { index < text.count && text[index].asciiDigitValue != nil }
        while isDigit(position) { position += 1 }
        if peek == ".", isDigit(position + 1) {
            position += 1
            while isDigit(position) { position += 1 }
        }
        if peek == "e" || peek == "E" {
            let hasSign =
                position + 1 < text.count && (text[position + 1] == "-" || text[position + 1] == "+")
            if isDigit(position + (hasSign ? 2 : 1)) {
                position += hasSign ? 2 : 1
                while isDigit(position) { position += 1 }
            }
        }
        let digits = String(String.UnicodeScalarView(text[start..<position]))
        if let integer = Int(digits) { return .int(integer) }
        guard let number = Double(digits), number.isFinite else { throw failure("invalid number") }
        return .double(number)
    }

    private mutating func parseWord() throws(JSONPathError) -> JSONValue {
        let start = position
        while let scalar = peek, scalar.isASCII, scalar.properties.isAlphabetic { position += 1 }
        switch String(String.UnicodeScalarView(text[start..<position])) {
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "null", "nil": return .null
        default:
            position = start
            throw failure("expected a value; texts stand in quotes")
        }
    }

    /// A list or object written as JSON.
    private mutating func parseJSON() throws(JSONPathError) -> JSONValue {
        let start = position
        var level = 0
        var isQuoted = false
        while let scalar = peek {
            position += 1
            if isQuoted {
                if scalar == "\\", peek != nil { position += 1 }
                if scalar == "\"" { isQuoted = false }
                continue
            }
            switch scalar {
            case "\"": isQuoted = true
            case "[", "{": level += 1
            case "]", "}": level -= 1
            default: break
            }
            if level == 0 { break }
        }
        do {
            return try JSONValue(parsing: String(String.UnicodeScalarView(text[start..<position])))
        } catch {
            position = start
            throw failure("expected a value written as JSON (\(error.message))")
        }
    }
}
