// Reads tokens into a tree by precedence climbing; the grammar is that of expr-lang/expr v1.17.

import Text

/// A recursive reader; its depth and the tree's height are limited by `maximumDepth`.
struct ExpressionParser {
    /// How deep an expression may nest.
    static let maximumDepth = 200

    private let tokens: [ExpressionToken]
    private var position = 0
    private var depth = 0
    private var predicateDepth = 0
    private var declared: [String] = []
    /// Names that are looked up in the environment.
    private(set) var rootNames: Set<String> = []

    init(tokens: [ExpressionToken]) { self.tokens = tokens }

    mutating func parse() throws(ExpressionError) -> ExpressionNode {
        let node = try parseSequence()
        guard current.kind == .end else { throw unexpected(current) }
        return node
    }

    private var current: ExpressionToken { tokens[position] }
    private var next: ExpressionToken { tokens[min(position + 1, tokens.count - 1)] }

    private mutating func advance() { position = min(position + 1, tokens.count - 1) }

    private mutating func take(_ symbol: String) -> Bool {
        guard current.isSymbol(symbol) else { return false }
        advance()
        return true
    }

    private mutating func expect(_ symbol: String) throws(ExpressionError) {
        guard take(symbol) else {
            throw ExpressionError("expected '\(symbol)' but found \(current.shown)", offset: current.offset)
        }
    }

    private func unexpected(_ token: ExpressionToken) -> ExpressionError {
        let problem = token.kind == .end ? "the expression ends too early" : "unexpected \(token.shown)"
        return ExpressionError(problem, offset: token.offset)
    }

    /// Makes a node, refusing trees that are too high to be walked.
    private func node(_ kind: ExpressionNode.Kind, at offset: Int) throws(ExpressionError) -> ExpressionNode {
        let node = ExpressionNode(kind, offset: offset)
        guard node.height <= Self.maximumDepth else { throw tooDeep(offset) }
        return node
    }

    private func tooDeep(_ offset: Int) -> ExpressionError {
        ExpressionError("the expression nests more than \(Self.maximumDepth) levels deep", offset: offset)
    }
}

// MARK: - Operators

extension ExpressionParser {
    private mutating func parseSequence() throws(ExpressionError) -> ExpressionNode {
        let start = current.offset
        var nodes = [try parseExpression(0)]
        while take(";"), current.kind != .end { nodes.append(try parseExpression(0)) }
        return nodes.count == 1 ? nodes[0] : try node(.sequence(nodes), at: start)
    }

    private mutating func parseExpression(_ precedence: Int) throws(ExpressionError) -> ExpressionNode {
        guard depth < Self.maximumDepth else { throw tooDeep(current.offset) }
        depth += 1
        defer { depth -= 1 }
        if precedence == 0 {
            if current.isSymbol("let") { return try parseDeclaration() }
            if current.isSymbol("if") { return try parseIf() }
        }
        let left = try parseOperators(precedence)
        return precedence == 0 ? try parseConditional(left) : left
    }

    private mutating func parseOperators(_ precedence: Int) throws(ExpressionError) -> ExpressionNode {
        var chain = OperatorChain(first: try parsePrimary())
        while current.kind == .symbol {
            if precedence == 0, current.isSymbol("|") {
                advance()
                let value = try node(chain.kind, at: chain.first.offset)
                chain = OperatorChain(first: try parsePipeTarget(value))
                continue
            }
            guard let (symbol, isNegated) = try operatorHere(), symbol.precedence >= precedence else { break }
            let offset = current.offset
            if chain.links.last?.symbol == .coalesce, symbol != .coalesce {
                throw ExpressionError(
                    "'\(symbol.rawValue)' and '??' cannot be mixed; put parentheses around one of them",
                    offset: offset)
            }
            if isNegated { advance() }
            advance()
            let level = symbol == .power ? symbol.precedence : symbol.precedence + 1
            let operand = try parseExpression(level)
            let link = ExpressionNode.ChainLink(
                symbol: symbol, isNegated: isNegated, operand: operand, offset: offset)
            if symbol.isComparison {
                let first = try node(chain.kind, at: chain.first.offset)
                let links = try parseComparisons(after: link)
                chain = OperatorChain(first: try node(.comparison(first, links), at: offset))
            } else {
                chain.links.append(link)
            }
        }
        return chain.links.isEmpty ? chain.first : try node(chain.kind, at: chain.first.offset)
    }

    /// What has been read of a chain of operators.
    private struct OperatorChain {
        var first: ExpressionNode
        var links: [ExpressionNode.ChainLink] = []

        var kind: ExpressionNode.Kind { links.isEmpty ? first.kind : .chain(first, links) }
    }

    /// The operator at the position, which stays; nil if the symbol is none.
    private func operatorHere() throws(ExpressionError) -> (symbol: BinaryOperator, isNegated: Bool)? {
        guard current.isSymbol("not") else {
            return BinaryOperator(symbol: current.text).map { ($0, false) }
        }
        guard next.kind == .symbol, let symbol = BinaryOperator(symbol: next.text), symbol.isNegatable else {
            throw unexpected(next)
        }
        return (symbol, true)
    }

    /// The rest of `a < b <= c` after its first link.
    private mutating func parseComparisons(
        after first: ExpressionNode.ChainLink
    ) throws(ExpressionError) -> [ExpressionNode.ChainLink] {
        var links = [first]
        while current.kind == .symbol, let symbol = BinaryOperator(symbol: current.text), symbol.isComparison {
            let offset = current.offset
            advance()
            let operand = try parseExpression(symbol.precedence + 1)
            links.append(
                ExpressionNode.ChainLink(symbol: symbol, isNegated: false, operand: operand, offset: offset))
        }
        return links
    }

    private mutating func parsePipeTarget(_ value: ExpressionNode) throws(ExpressionError) -> ExpressionNode {
        let name = current
        guard name.kind == .identifier, next.isSymbol("(") else {
            throw ExpressionError(
                "a call of a function must follow '|', such as toJSON(); found \(name.shown)",
                offset: name.offset)
        }
        advance()
        return try parsePostfix(parseCall(name, first: value))
    }

    private mutating func parseConditional(_ condition: ExpressionNode) throws(ExpressionError) -> ExpressionNode {
        var result = condition
        while current.isSymbol("?") {
            let offset = current.offset
            advance()
            let middle = current.isSymbol(":") ? nil : try parseExpression(0)
            try expect(":")
            let last = try parseExpression(0)
            result = try node(.conditional(result, middle, last), at: offset)
        }
        return result
    }

    private mutating func parseDeclaration() throws(ExpressionError) -> ExpressionNode {
        let offset = current.offset
        advance()
        let name = current
        guard name.kind == .identifier else { throw unexpected(name) }
        advance()
        try expect("=")
        let value = try parseExpression(0)
        try expect(";")
        declared.append(name.text)
        defer { declared.removeLast() }
        let body = try parseSequence()
        return try node(.declaration(name: name.text, value: value, body: body), at: offset)
    }

    private mutating func parseIf() throws(ExpressionError) -> ExpressionNode {
        let offset = current.offset
        advance()
        let condition = try parseExpression(0)
        let middle = try parseBlock()
        try expect("else")
        // The call counts the depth of `else if`.
        let last = current.isSymbol("if") ? try parseExpression(0) : try parseBlock()
        return try node(.conditional(condition, middle, last), at: offset)
    }

    private mutating func parseBlock() throws(ExpressionError) -> ExpressionNode {
        try expect("{")
        let body = try parseSequence()
        try expect("}")
        return body
    }
}

// MARK: - Operands

extension ExpressionParser {
    private mutating func parsePrimary() throws(ExpressionError) -> ExpressionNode {
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
        case "not", "!":
            advance()
            return try node(.unary(.not, parseExpression(50)), at: token.offset)
        case "-", "+":
            advance()
            let operand = try parseExpression(90)
            return try node(.unary(token.text == "-" ? .minus : .plus, operand), at: token.offset)
        case "(":
            advance()
            let inner = try parseSequence()
            try expect(")")
            return try parsePostfix(inner)
        case "[": return try parsePostfix(parseArray())
        case "{": return try parsePostfix(parseMap())
        case "#", ".": return try parsePointer(token)
        case "::":
            advance()
            let name = current
            guard name.kind == .identifier else { throw unexpected(name) }
            advance()
            return try parsePostfix(parseCall(name, first: nil))
        default: throw unexpected(token)
        }
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
        return try node(.array(elements), at: start)
    }

    /// Expressions between commas, the last of which may have one after it, and the closing bracket.
    private mutating func parseList(until bracket: String) throws(ExpressionError) -> [ExpressionNode] {
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
        return try node(.map(entries), at: start)
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

// MARK: - Members and calls

extension ExpressionParser {
    private mutating func parsePostfix(_ root: ExpressionNode) throws(ExpressionError) -> ExpressionNode {
        var steps: [ExpressionNode.PathStep] = []
        while current.kind == .symbol {
            let offset = current.offset
            let isOptional = current.isSymbol("?.")
            if isOptional || current.isSymbol(".") {
                advance()
                if !(isOptional && current.isSymbol("[")) {
                    steps.append(try parseMember(isOptional: isOptional))
                    continue
                }
            } else if !current.isSymbol("[") {
                break
            }
            advance()
            let kind = try parseIndex()
            steps.append(ExpressionNode.PathStep(kind: kind, isOptional: isOptional, offset: offset))
        }
        guard !steps.isEmpty else { return root }
        if case .path(let first, let before) = root.kind {
            return try node(.path(first, before + steps), at: root.offset)
        }
        return try node(.path(root, steps), at: root.offset)
    }

    private mutating func parseMember(isOptional: Bool) throws(ExpressionError) -> ExpressionNode.PathStep {
        let name = current
        // Words that are operators elsewhere may be members: a task may be named "in".
        let isWord = name.kind == .symbol && name.text.first?.isLetter == true
        guard isWord || name.kind == .identifier else {
            throw ExpressionError("expected a name after '.' but found \(name.shown)", offset: name.offset)
        }
        advance()
        var kind = ExpressionNode.PathStepKind.member(name.text)
        if take("(") { kind = .call(name.text, try parseList(until: ")")) }
        return ExpressionNode.PathStep(kind: kind, isOptional: isOptional, offset: name.offset)
    }

    /// What stands in brackets, and the closing one.
    private mutating func parseIndex() throws(ExpressionError) -> ExpressionNode.PathStepKind {
        var from: ExpressionNode?
        if !current.isSymbol(":") { from = try parseExpression(0) }
        guard take(":") else {
            try expect("]")
            guard let from else { throw unexpected(current) }
            return .index(from)
        }
        let to = current.isSymbol("]") ? nil : try parseExpression(0)
        try expect("]")
        return .slice(from: from, to: to)
    }

    /// A call's arguments, the position being at its opening bracket. Functions are found by name alone: variables
    /// of the same name are no functions.
    private mutating func parseCall(
        _ name: ExpressionToken, first: ExpressionNode?
    ) throws(ExpressionError) -> ExpressionNode {
        var arguments = first.map { [$0] } ?? []
        try expect("(")
        if let predicate = ExpressionNode.Predicate(rawValue: name.text) {
            arguments += try parsePredicateArguments(given: arguments.count)
            try check(arguments.count, predicate.arity, name)
            return try node(.predicateCall(predicate, arguments), at: name.offset)
        }
        guard let builtin = Builtin.named(name.text) else { throw unknownFunction(name) }
        arguments += try parseList(until: ")")
        try check(arguments.count, builtin.arity, name)
        return try node(.call(builtin, arguments), at: name.offset)
    }

    private mutating func parsePredicateArguments(given: Int) throws(ExpressionError) -> [ExpressionNode] {
        var arguments: [ExpressionNode] = []
        while !take(")") {
            if !arguments.isEmpty {
                try expect(",")
                if take(")") { break }
            }
            let isPredicate = given + arguments.count == 1
            arguments.append(isPredicate ? try parsePredicate() : try parseExpression(0))
        }
        return arguments
    }

    private mutating func parsePredicate() throws(ExpressionError) -> ExpressionNode {
        predicateDepth += 1
        defer { predicateDepth -= 1 }
        return current.isSymbol("{") ? try parseBlock() : try parseExpression(0)
    }

    private func check(
        _ count: Int, _ arity: ClosedRange<Int>, _ name: ExpressionToken
    ) throws(ExpressionError) {
        guard !arity.contains(count) else { return }
        let wanted: String
        if arity.lowerBound == arity.upperBound {
            wanted = "\(arity.lowerBound)"
        } else if arity.upperBound == .max {
            wanted = "at least \(arity.lowerBound)"
        } else {
            wanted = "\(arity.lowerBound) to \(arity.upperBound)"
        }
        let plural = arity.upperBound == 1 ? "argument" : "arguments"
        throw ExpressionError("\(name.text) takes \(wanted) \(plural), not \(count)", offset: name.offset)
    }

    private func unknownFunction(_ name: ExpressionToken) -> ExpressionError {
        let names = Builtin.names + ExpressionNode.Predicate.allCases.map(\.rawValue)
        var message = "unknown name \(name.text): there is no function of that name"
        if let near = EditDistance.nearest(to: name.text, in: names) {
            message += "; did you mean \(near)?"
        } else if Sprig.exists(name.text) {
            message += "; did you mean sprig.\(name.text)?"
        }
        return ExpressionError(message, offset: name.offset)
    }
}
