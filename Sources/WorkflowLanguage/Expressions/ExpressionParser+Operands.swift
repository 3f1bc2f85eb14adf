// Reads what stands between operators: literals, names, lists, maps, and pointers to elements.

extension ExpressionParser {
    mutating func parsePrimary() throws(ExpressionError) -> ExpressionNode {
        let token = current
        switch token.kind {
        case .end: throw unexpected(token)
        case .number:
            advance()
            return try node(.literal(try number(token)), at: token.offset)
        case .string:
            advance()
            return try parsePostfix(node(.literal(.string(token.text)), at: token.offset))
        case .identifier: return try parseName(token)
        case .symbol: return try parseSymbol(token)
        }
    }

    private mutating func parseSymbol(_ token: ExpressionToken) throws(ExpressionError) -> ExpressionNode {
        switch token.text {
        // Every case is a function of its own, so that nesting takes little of the stack.
        case "not", "!": return try parseUnary(.not, precedence: 50)
        case "-": return try parseUnary(.minus, precedence: 90)
        case "+": return try parseUnary(.plus, precedence: 90)
        case "(": return try parseGroup()
        case "[": return try parseArray()
        case "{": return try parseMap()
        case "#", ".": return try parsePointer(token)
        case "::": return try parseGlobalCall()
        default: throw unexpected(token)
        }
    }

    private mutating func parseUnary(
        _ symbol: ExpressionNode.UnaryOperator, precedence: Int
    ) throws(ExpressionError) -> ExpressionNode {
        let offset = current.offset
        advance()
        return try node(.unary(symbol, parseExpression(precedence)), at: offset)
    }

    private mutating func parseGroup() throws(ExpressionError) -> ExpressionNode {
        advance()
        let inner = try parseSequence()
        try expect(")")
        return try parsePostfix(inner)
    }

    /// `::name(...)`, which means the function whatever else has its name.
    private mutating func parseGlobalCall() throws(ExpressionError) -> ExpressionNode {
        advance()
        let name = current
        guard name.kind == .identifier else { throw unexpected(name) }
        advance()
        return try parsePostfix(parseCall(name, first: nil))
    }

    private mutating func parsePointer(_ token: ExpressionToken) throws(ExpressionError) -> ExpressionNode {
        guard predicateDepth > 0 else {
            throw ExpressionError(
                "'\(token.text)' stands for an element and needs a function such as map or filter around it",
                offset: token.offset)
        }
        var name = ""
        if token.text == "#" {
            advance()
            if current.kind == .identifier {
                name = current.text
                guard name == "acc" || name == "index" else {
                    throw ExpressionError("unknown pointer #\(name)", offset: token.offset)
                }
                advance()
            }
        }
        return try parsePostfix(node(.pointer(name), at: token.offset))
    }

    private mutating func parseName(_ token: ExpressionToken) throws(ExpressionError) -> ExpressionNode {
        advance()
        switch token.text {
        case "true": return try node(.literal(.bool(true)), at: token.offset)
        case "false": return try node(.literal(.bool(false)), at: token.offset)
        case "nil": return try node(.literal(.none), at: token.offset)
        default: break
        }
        if current.isSymbol("(") { return try parsePostfix(parseCall(token, first: nil)) }
        let isNamespace = token.text == "sprig" && current.isSymbol(".")
        if token.text != "$env", !isNamespace, !declared.contains(token.text) { rootNames.insert(token.text) }
        return try parsePostfix(node(.name(token.text), at: token.offset))
    }

    private func number(_ token: ExpressionToken) throws(ExpressionError) -> ExpressionValue {
        let digits = token.text.filter { $0 != "_" }
        let prefixes: [(String, Int)] = [("0x", 16), ("0o", 8), ("0b", 2)]
        for (prefix, radix) in prefixes where digits.lowercased().hasPrefix(prefix) {
            if let number = Int(digits.dropFirst(2), radix: radix) { return .int(number) }
            throw ExpressionError("bad number '\(token.text)'", offset: token.offset)
        }
        if digits.contains(".") || digits.contains("e") {
            if let number = Double(digits), number.isFinite { return .double(number) }
        } else if let number = Int(digits) {
            return .int(number)
        }
        throw ExpressionError("the number '\(token.text)' is too large or not a number", offset: token.offset)
    }

    private mutating func parseArray() throws(ExpressionError) -> ExpressionNode {
        let start = current.offset
        advance()
        let elements = try parseList(until: "]")
        return try parsePostfix(node(.array(elements), at: start))
    }

    /// Expressions between commas, the last of which may have one after it, and the closing bracket.
    mutating func parseList(until bracket: String) throws(ExpressionError) -> [ExpressionNode] {
        var elements: [ExpressionNode] = []
        while !take(bracket) {
            if !elements.isEmpty {
                try expect(",")
                if take(bracket) { break }
            }
            elements.append(try parseExpression(0))
        }
        return elements
    }

    private mutating func parseMap() throws(ExpressionError) -> ExpressionNode {
        let start = current.offset
        advance()
        var entries: [ExpressionNode.MapEntry] = []
        while !take("}") {
            if !entries.isEmpty {
                try expect(",")
                if take("}") { break }
            }
            let key = try parseMapKey()
            try expect(":")
            entries.append(ExpressionNode.MapEntry(key: key, value: try parseExpression(0)))
        }
        return try parsePostfix(node(.map(entries), at: start))
    }

    private mutating func parseMapKey() throws(ExpressionError) -> ExpressionNode {
        let token = current
        if token.isSymbol("(") { return try parseExpression(0) }
        let isWord = token.kind == .symbol && token.text.first?.isLetter == true
        guard isWord || [.number, .string, .identifier].contains(token.kind) else {
            throw ExpressionError(
                "a map's key must be a name, a text, a number or an expression in parentheses, not "
                    + token.shown, offset: token.offset)
        }
        advance()
        return try node(.literal(.string(token.text)), at: token.offset)
    }
}
