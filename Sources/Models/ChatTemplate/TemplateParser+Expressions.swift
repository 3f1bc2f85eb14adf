// Expressions, from the loosest binding to the tightest: if, or, and, not, comparisons, sums, ~, products,
// powers, signs, then attributes, calls, filters and tests.

extension TemplateParser {
    mutating func parseExpression(mayBeConditional: Bool = true) throws(ChatTemplateError)
        -> TemplateExpression
    {
        try nested { (parser) throws(ChatTemplateError) in
            mayBeConditional ? try parser.parseConditional() : try parser.parseOr()
        }
    }

    /// One expression, or several between commas, which make a tuple.
    /// - Parameters:
    ///   - word: a name that ends the tuple.
    ///   - isBracketed: whether `()` stands around, so that it may be empty.
    mutating func parseTuple(
        mayBeConditional: Bool = true, until word: String? = nil, isBracketed: Bool = false
    ) throws(ChatTemplateError) -> TemplateExpression {
        var elements: [TemplateExpression] = []
        var isTuple = false
        while !isTupleEnd(word) {
            elements.append(try parseExpression(mayBeConditional: mayBeConditional))
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple, let only = elements.first { return only }
        guard isTuple || isBracketed else {
            throw error("expected an expression, got \(current.description)", remedy: "write one")
        }
        return .tuple(elements)
    }

    private func isTupleEnd(_ word: String?) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .symbol(.closeParenthesis): true
        case .name(let name): name == word
        default: false
        }
    }

    private mutating func parseConditional() throws(ChatTemplateError) -> TemplateExpression {
        var value = try parseOr()
        while isWord("if") {
            let startLine = line
            advance()
            conditions += 1
            let test = try parseOr()
            let otherwise =
                skipWord("else")
                ? try nested { (parser) throws(ChatTemplateError) in try parser.parseConditional() } : nil
            conditions -= 1
            value = .conditional(test: test, then: value, otherwise: otherwise, line: startLine)
        }
        return value
    }

    private mutating func parseOr() throws(ChatTemplateError) -> TemplateExpression {
        var operands = [try parseAnd()]
        while skipWord("or") { operands.append(try parseAnd()) }
        return operands.count == 1 ? operands[0] : .or(operands)
    }

    private mutating func parseAnd() throws(ChatTemplateError) -> TemplateExpression {
        var operands = [try parseNot()]
        while skipWord("and") { operands.append(try parseNot()) }
        return operands.count == 1 ? operands[0] : .and(operands)
    }

    private mutating func parseNot() throws(ChatTemplateError) -> TemplateExpression {
        guard skipWord("not") else { return try parseComparison() }
        return .not(try nested { (parser) throws(ChatTemplateError) in try parser.parseNot() })
    }

    private mutating func parseComparison() throws(ChatTemplateError) -> TemplateExpression {
        let first = try parseSum()
        var operations: [TemplateOperation<ComparisonOperator>] = []
        while true {
            let startLine = line
            let symbol: ComparisonOperator
            switch current.kind {
            case .symbol(let token):
                guard let comparison = ComparisonOperator(rawValue: token.rawValue) else { return done() }
                symbol = comparison
            case .name("in"): symbol = .contained
            case .name("not") where next.kind == .name("in"):
                advance()
                symbol = .notContained
            default: return done()
            }
            advance()
            operations.append(TemplateOperation(symbol: symbol, operand: try parseSum(), line: startLine))
        }
        func done() -> TemplateExpression { operations.isEmpty ? first : .comparison(first, operations) }
    }

    private mutating func parseSum() throws(ChatTemplateError) -> TemplateExpression {
        try parseChain([.add, .subtract]) { (parser) throws(ChatTemplateError) in
            try parser.parseConcatenation()
        }
    }

    private mutating func parseConcatenation() throws(ChatTemplateError) -> TemplateExpression {
        let startLine = line
        var operands = [try parseProduct()]
        while skip(.tilde) { operands.append(try parseProduct()) }
        return operands.count == 1 ? operands[0] : .concatenation(operands, line: startLine)
    }

    private mutating func parseProduct() throws(ChatTemplateError) -> TemplateExpression {
        try parseChain([.multiply, .divide, .floorDivide, .remainder]) { (parser) throws(ChatTemplateError) in
            try parser.parsePower()
        }
    }

    /// Binds from the left, other than in Python, because the reference does.
    private mutating func parsePower() throws(ChatTemplateError) -> TemplateExpression {
        try parseChain([.power]) { (parser) throws(ChatTemplateError) in
            try parser.parseUnary(takesFilters: true)
        }
    }

    private mutating func parseChain(
        _ operators: [ArithmeticOperator],
        _ parseOperand: (inout TemplateParser) throws(ChatTemplateError) -> TemplateExpression
    ) throws(ChatTemplateError) -> TemplateExpression {
        let first = try parseOperand(&self)
        var operations: [TemplateOperation<ArithmeticOperator>] = []
        while case .symbol(let token) = current.kind,
            let symbol = ArithmeticOperator(rawValue: token.rawValue),
            operators.contains(symbol)
        {
            let startLine = line
            advance()
            operations.append(
                TemplateOperation(symbol: symbol, operand: try parseOperand(&self), line: startLine))
        }
        return operations.isEmpty ? first : .arithmetic(first, operations)
    }

    /// A sign takes no filter: `-1 | abs` is `(-1) | abs`.
    private mutating func parseUnary(takesFilters: Bool) throws(ChatTemplateError) -> TemplateExpression {
        let startLine = line
        let value: TemplateExpression
        if current.kind == .symbol(.minus) || current.kind == .symbol(.plus) {
            let isNegative = current.kind == .symbol(.minus)
            advance()
            let operand = try nested { (parser) throws(ChatTemplateError) in
                try parser.parseUnary(takesFilters: false)
            }
            value = .sign(negative: isNegative, operand, line: startLine)
        } else {
            value = try parsePrimary()
        }
        var suffixes: [TemplateSuffix] = []
        while let suffix = try parseSuffix(filters: false) { suffixes.append(suffix) }
        if takesFilters {
            while let suffix = try parseSuffix(filters: true) { suffixes.append(suffix) }
        }
        return suffixes.isEmpty ? value : .postfix(value, suffixes)
    }

    // MARK: Primaries

    private mutating func parsePrimary() throws(ChatTemplateError) -> TemplateExpression {
        let token = current
        switch token.kind {
        case .name(let word):
            advance()
            switch word {
            case "true", "True": return .bool(true)
            case "false", "False": return .bool(false)
            case "none", "None": return .none
            default: return .name(name(word), line: token.line)
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text.append(more)
                advance()
            }
            return .string(text)
        case .integer(let number):
            advance()
            return .integer(number)
        case .float(let number):
            advance()
            return .float(number)
        case .symbol(.openParenthesis):
            advance()
            let value = try parseTuple(isBracketed: true)
            try expect(.closeParenthesis)
            return value
        case .symbol(.openBracket):
            advance()
            return .list(try parseElements(until: .closeBracket))
        case .symbol(.openBrace): return try parseDictionary()
        default: throw error("unexpected \(token.description)", remedy: "write an expression")
        }
    }

    private mutating func parseElements(
        until end: TemplateSymbol
    ) throws(ChatTemplateError) -> [TemplateExpression] {
        var elements: [TemplateExpression] = []
        while !skip(end) {
            if !elements.isEmpty {
                try expect(.comma)
                if skip(end) { break }
            }
            elements.append(try parseExpression())
        }
        return elements
    }

    private mutating func parseDictionary() throws(ChatTemplateError) -> TemplateExpression {
        let startLine = line
        advance()
        var members: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !skip(.closeBrace) {
            if !members.isEmpty {
                try expect(.comma)
                if skip(.closeBrace) { break }
            }
            let key = try parseExpression()
            try expect(.colon)
            members.append((key, try parseExpression()))
        }
        return .dictionary(members, line: startLine)
    }

    // MARK: Suffixes

    /// - Parameter filters: whether filters and tests may follow; then attributes and indexes may not.
    private mutating func parseSuffix(filters: Bool) throws(ChatTemplateError) -> TemplateSuffix? {
        let startLine = line
        let kind: TemplateSuffix.Kind
        switch current.kind {
        case .symbol(.openParenthesis): kind = .call(try parseArguments())
        case .symbol(.dot) where !filters: kind = try parseAttribute()
        case .symbol(.openBracket) where !filters: kind = try parseIndex()
        case .symbol(.pipe) where filters:
            advance()
            return try parseFilter()
        case .name("is") where filters: kind = try parseTest()
        default: return nil
        }
        return TemplateSuffix(kind: kind, line: startLine)
    }

    private mutating func parseAttribute() throws(ChatTemplateError) -> TemplateSuffix.Kind {
        advance()
        if case .integer(let number) = current.kind {
            advance()
            return .item(.integer(number))
        }
        return .attribute(PythonString(try expectName()))
    }

    private mutating func parseIndex() throws(ChatTemplateError) -> TemplateSuffix.Kind {
        advance()
        let start = current.kind == .symbol(.colon) ? nil : try parseExpression()
        if let start, !skip(.colon) {
            guard skip(.comma) else {
                try expect(.closeBracket)
                return .item(start)
            }
            return .item(.tuple([start] + (try parseElements(until: .closeBracket))))
        }
        if start == nil { advance() }
        var stop: TemplateExpression?
        var step: TemplateExpression?
        if current.kind != .symbol(.colon) && current.kind != .symbol(.closeBracket) {
            stop = try parseExpression()
        }
        if skip(.colon), current.kind != .symbol(.closeBracket) { step = try parseExpression() }
        try expect(.closeBracket)
        return .slice(start: start, stop: stop, step: step)
    }

    private mutating func parseArguments() throws(ChatTemplateError) -> TemplateArguments {
        var arguments = TemplateArguments()
        var isFirst = true
        try expect(.openParenthesis)
        while !skip(.closeParenthesis) {
            if !isFirst {
                try expect(.comma)
                if skip(.closeParenthesis) { break }
            }
            isFirst = false
            if skip(.times) {
                try require(arguments.spread == nil && arguments.spreadNamed == nil)
                arguments.spread = try parseExpression()
            } else if skip(.power) {
                try require(arguments.spreadNamed == nil)
                arguments.spreadNamed = try parseExpression()
            } else if case .name(let word) = current.kind, next.kind == .symbol(.assign) {
                try require(arguments.spreadNamed == nil)
                advance()
                advance()
                arguments.named.append((word, try parseExpression()))
            } else {
                try require(
                    arguments.spread == nil && arguments.spreadNamed == nil && arguments.named.isEmpty)
                arguments.positional.append(try parseExpression())
            }
        }
        return arguments
    }

    private func require(_ isOrdered: Bool) throws(ChatTemplateError) {
        guard isOrdered else {
            throw error(
                "arguments are out of order", remedy: "write plain ones, then named ones, then `*` and `**`")
        }
    }

    /// The filters of a block: `{% filter a | b %}`.
    mutating func parseFilterChain() throws(ChatTemplateError) -> [TemplateSuffix] {
        var filters = [try parseFilter()]
        while skip(.pipe) { filters.append(try parseFilter()) }
        return filters
    }

    private mutating func parseFilter() throws(ChatTemplateError) -> TemplateSuffix {
        let startLine = line
        let name = try parseDottedName()
        if conditions == 0, !TemplateFilters.names.contains(name) {
            throw error("no filter is named `\(name)`", remedy: "use one of those that transformers has")
        }
        let arguments = current.kind == .symbol(.openParenthesis) ? try parseArguments() : TemplateArguments()
        return TemplateSuffix(kind: .filter(name, arguments), line: startLine)
    }

    private mutating func parseDottedName() throws(ChatTemplateError) -> String {
        var name = try expectName()
        while skip(.dot) { name += "." + (try expectName()) }
        return name
    }

    private mutating func parseTest() throws(ChatTemplateError) -> TemplateSuffix.Kind {
        advance()
        let isNegated = skipWord("not")
        let name = try parseDottedName()
        if conditions == 0, !TemplateTests.names.contains(name) {
            throw error("no test is named `\(name)`", remedy: "use one of those that transformers has")
        }
        return .test(name, try parseTestArguments(), negated: isNegated)
    }

    /// In brackets, or one without: `x is divisibleby 3`.
    private mutating func parseTestArguments() throws(ChatTemplateError) -> TemplateArguments {
        switch current.kind {
        case .symbol(.openParenthesis): return try parseArguments()
        case .name("else"), .name("or"), .name("and"): return TemplateArguments()
        case .name("is"):
            throw error("a test follows a test", remedy: "write `x is a and x is b`")
        case .name, .string, .integer, .float, .symbol(.openBracket), .symbol(.openBrace):
            let value = try parsePrimary()
            var suffixes: [TemplateSuffix] = []
            while let suffix = try parseSuffix(filters: false) { suffixes.append(suffix) }
            return TemplateArguments(positional: [suffixes.isEmpty ? value : .postfix(value, suffixes)])
        default: return TemplateArguments()
        }
    }
}
