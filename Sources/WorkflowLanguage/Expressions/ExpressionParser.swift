// Reads tokens into a tree by precedence climbing; the grammar is that of expr-lang/expr v1.17.

import Text

/// A recursive reader; its depth and the tree's height are limited by `maximumDepth`.
struct ExpressionParser {
    /// How deep an expression may nest.
    static let maximumDepth = 200

    /// Patterns are checked until together they cost this; further ones are refused when they are used.
    private static let maximumPatternCost = 1_000_000

    private let tokens: [ExpressionToken]
    private var position = 0
    private var depth = 0
    private var patternCost = 0
    var predicateDepth = 0
    var declared: [String] = []
    /// Names that are looked up in the environment.
    var rootNames: Set<String> = []

    init(tokens: [ExpressionToken]) { self.tokens = tokens }

    mutating func parse() throws(ExpressionError) -> ExpressionNode {
        let node = try parseSequence()
        guard current.kind == .end else { throw unexpected(current) }
        return node
    }

    var current: ExpressionToken { tokens[position] }
    var next: ExpressionToken { tokens[min(position + 1, tokens.count - 1)] }

    mutating func advance() { position = min(position + 1, tokens.count - 1) }

    mutating func take(_ symbol: String) -> Bool {
        guard current.isSymbol(symbol) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String) throws(ExpressionError) {
        guard take(symbol) else {
            throw ExpressionError("expected '\(symbol)' but found \(current.shown)", offset: current.offset)
        }
    }

    func unexpected(_ token: ExpressionToken) -> ExpressionError {
        let problem = token.kind == .end ? "the expression ends too early" : "unexpected \(token.shown)"
        return ExpressionError(problem, offset: token.offset)
    }

    /// Makes a node, refusing trees that are too high to be walked.
    func node(_ kind: ExpressionNode.Kind, at offset: Int) throws(ExpressionError) -> ExpressionNode {
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
    mutating func parseSequence() throws(ExpressionError) -> ExpressionNode {
        let start = current.offset
        var nodes = [try parseExpression(0)]
        while take(";"), current.kind != .end { nodes.append(try parseExpression(0)) }
        return nodes.count == 1 ? nodes[0] : try node(.sequence(nodes), at: start)
    }

    mutating func parseExpression(_ precedence: Int) throws(ExpressionError) -> ExpressionNode {
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
        while current.kind == .symbol, try extend(&chain, precedence) {}
        return chain.links.isEmpty ? chain.first : try node(chain.kind, at: chain.first.offset)
    }

    /// Reads one operator and its operand; false, nothing being read, if none here binds tightly enough.
    private mutating func extend(_ chain: inout OperatorChain, _ precedence: Int) throws(ExpressionError)
        -> Bool
    {
        if precedence == 0, take("|") {
            let value = try node(chain.kind, at: chain.first.offset)
            chain = OperatorChain(first: try parsePipeTarget(value))
            return true
        }
        guard let (symbol, isNegated) = try operatorHere(), symbol.precedence >= precedence else {
            return false
        }
        let offset = current.offset
        if chain.links.last?.symbol == .coalesce, symbol != .coalesce {
            throw ExpressionError(
                "'\(symbol.rawValue)' and '??' cannot be mixed; put parentheses around one of them",
                offset: offset)
        }
        if isNegated { advance() }
        advance()
        // Powers bind to the right: 2 ** 3 ** 2 is 2 ** 9.
        let operand = try parseExpression(symbol == .power ? symbol.precedence : symbol.precedence + 1)
        if symbol == .matches { try checkPattern(operand) }
        let link = ExpressionNode.ChainLink(
            symbol: symbol, isNegated: isNegated, operand: operand, offset: offset)
        if symbol.isComparison {
            let first = try node(chain.kind, at: chain.first.offset)
            let links = try parseComparisons(after: link)
            chain = OperatorChain(first: try node(.comparison(first, links), at: offset))
        } else {
            chain.links.append(link)
        }
        return true
    }

    /// A pattern written out must be one, so that the mistake shows before anything runs.
    private mutating func checkPattern(_ operand: ExpressionNode) throws(ExpressionError) {
        guard case .literal(.string(let pattern)) = operand.kind else { return }
        patternCost += PatternCost.perByte(of: pattern)
        guard patternCost <= Self.maximumPatternCost else { return }
        do {
            _ = try RegularExpression(pattern)
        } catch {
            throw ExpressionError(error.description, offset: operand.offset)
        }
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
        while current.kind == .symbol, let symbol = BinaryOperator(symbol: current.text), symbol.isComparison
        {
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

    private mutating func parseConditional(_ condition: ExpressionNode) throws(ExpressionError)
        -> ExpressionNode
    {
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

    mutating func parseBlock() throws(ExpressionError) -> ExpressionNode {
        try expect("{")
        let body = try parseSequence()
        try expect("}")
        return body
    }
}
