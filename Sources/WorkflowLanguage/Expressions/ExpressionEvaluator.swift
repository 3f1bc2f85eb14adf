// Walks an expression's tree and computes its value.

import Text

/// The state of one evaluation.
struct ExpressionEvaluator {
    let environment: ExpressionEnvironment
    var context: ExpressionContext
    /// Names declared by `let`, innermost last.
    private var declared: [(name: String, value: ExpressionValue)] = []
    /// The predicates being run, innermost last.
    var frames: [PredicateFrame] = []
    /// Patterns already compiled, since predicates use the same one again and again.
    private var patterns: [String: RegularExpression] = [:]

    /// What `#`, `#index` and `#acc` stand for.
    struct PredicateFrame {
        var element: ExpressionValue
        var index: Int
        var accumulator: ExpressionValue?
    }

    init(environment: ExpressionEnvironment, context: ExpressionContext) {
        self.environment = environment
        self.context = context
    }

    mutating func evaluate(_ node: ExpressionNode) throws(ExpressionError) -> ExpressionValue {
        try context.spend(steps: 1)
        switch node.kind {
        case .literal(let value): return value
        case .name(let name): return try lookUp(name, at: node.offset)
        case .pointer(let name): return try pointer(name, at: node.offset)
        case .array(let elements): return .array(try evaluateAll(elements))
        case .map(let entries): return try evaluateMap(entries)
        case .unary(let symbol, let operand): return try evaluateUnary(symbol, operand, at: node.offset)
        case .chain(let first, let links): return try evaluateChain(first, links)
        case .comparison(let first, let links): return try evaluateComparison(first, links)
        case .conditional(let condition, let middle, let last):
            return try evaluateConditional(condition, middle, last)
        case .declaration(let name, let value, let body): return try evaluateDeclaration(name, value, body)
        case .sequence(let nodes): return try evaluateAll(nodes).last ?? .none
        case .path(let root, let steps): return try evaluatePath(root, steps)
        case .call(let builtin, let arguments): return try evaluateCall(builtin, arguments, at: node.offset)
        case .predicateCall(let predicate, let arguments):
            return try evaluatePredicate(predicate, arguments, at: node.offset)
        }
    }

    mutating func evaluateAll(_ nodes: [ExpressionNode]) throws(ExpressionError) -> [ExpressionValue] {
        var values: [ExpressionValue] = []
        values.reserveCapacity(nodes.count)
        for node in nodes { values.append(try evaluate(node)) }
        return values
    }

    private func lookUp(_ name: String, at offset: Int) throws(ExpressionError) -> ExpressionValue {
        if let local = declared.last(where: { $0.name == name }) { return local.value }
        if let value = environment.variables[name] { return value }
        if name == "$env" { return .object(environment.variables) }
        var message = "unknown name \(name)"
        if let near = EditDistance.nearest(to: name, in: environment.variables.keys.sorted()) {
            message += "; did you mean \(near)?"
        }
        throw ExpressionError(message, offset: offset)
    }

    /// Whether a name means a variable here.
    func isVariable(_ name: String) -> Bool {
        environment.variables[name] != nil || declared.contains { $0.name == name }
    }

    private func pointer(_ name: String, at offset: Int) throws(ExpressionError) -> ExpressionValue {
        guard let frame = frames.last else {
            throw ExpressionError("#\(name) outside a predicate", offset: offset)
        }
        switch name {
        case "index": return .int(frame.index)
        case "acc":
            guard let accumulator = frame.accumulator else {
                throw ExpressionError("#acc has a meaning in reduce only", offset: offset)
            }
            return accumulator
        default: return frame.element
        }
    }

    private mutating func evaluateMap(
        _ entries: [ExpressionNode.MapEntry]
    ) throws(ExpressionError) -> ExpressionValue {
        var members: [String: ExpressionValue] = [:]
        for entry in entries {
            let key = try evaluate(entry.key)
            guard let name = key.keyText else {
                throw ExpressionError("a map's key cannot be \(key.kindName)", offset: entry.key.offset)
            }
            members[name] = try evaluate(entry.value)
        }
        return .object(members)
    }

    private mutating func evaluateUnary(
        _ symbol: ExpressionNode.UnaryOperator, _ operand: ExpressionNode, at offset: Int
    ) throws(ExpressionError) -> ExpressionValue {
        let value = try evaluate(operand)
        switch (symbol, value) {
        case (.not, .bool(let flag)): return .bool(!flag)
        case (.minus, .int(let number)): return .int(0 &- number)
        case (.minus, .double(let number)): return .double(-number)
        case (.plus, .int), (.plus, .double): return value
        case (.not, _):
            throw ExpressionError("'not' needs a bool, not \(value.kindName)", offset: offset)
        default:
            throw ExpressionError("a sign needs a number, not \(value.kindName)", offset: offset)
        }
    }

    private mutating func evaluateConditional(
        _ condition: ExpressionNode, _ middle: ExpressionNode?, _ last: ExpressionNode
    ) throws(ExpressionError) -> ExpressionValue {
        let value = try evaluate(condition)
        guard case .bool(let holds) = value else {
            throw ExpressionError(
                "a condition must be a bool, not \(value.kindName)", offset: condition.offset)
        }
        guard holds else { return try evaluate(last) }
        guard let middle else { return value }
        return try evaluate(middle)
    }

    private mutating func evaluateDeclaration(
        _ name: String, _ value: ExpressionNode, _ body: ExpressionNode
    ) throws(ExpressionError) -> ExpressionValue {
        declared.append((name, try evaluate(value)))
        defer { declared.removeLast() }
        return try evaluate(body)
    }
}

// MARK: - Operators

extension ExpressionEvaluator {
    private mutating func evaluateChain(
        _ first: ExpressionNode, _ links: [ExpressionNode.ChainLink]
    ) throws(ExpressionError) -> ExpressionValue {
        var value = try evaluate(first)
        for link in links { value = try apply(link, to: value) }
        return value
    }

    private mutating func apply(
        _ link: ExpressionNode.ChainLink, to left: ExpressionValue
    ) throws(ExpressionError) -> ExpressionValue {
        switch link.symbol {
        case .coalesce:
            if case .none = left { return try evaluate(link.operand) }
            return left
        case .and, .or:
            let isDecided = try flag(left, link) == (link.symbol == .or)
            if isDecided { return left }
            let right = try evaluate(link.operand)
            return .bool(try flag(right, link))
        default:
            let right = try evaluate(link.operand)
            let value = try compute(link.symbol, left, right, at: link.offset)
            guard link.isNegated, case .bool(let holds) = value else { return value }
            return .bool(!holds)
        }
    }

    private func flag(
        _ value: ExpressionValue, _ link: ExpressionNode.ChainLink
    ) throws(ExpressionError) -> Bool {
        if case .bool(let flag) = value { return flag }
        throw ExpressionError(
            "\(link.symbol.rawValue) needs a bool, not \(value.kindName)", offset: link.offset)
    }

    private mutating func evaluateComparison(
        _ first: ExpressionNode, _ links: [ExpressionNode.ChainLink]
    ) throws(ExpressionError) -> ExpressionValue {
        var left = try evaluate(first)
        for link in links {
            let right = try evaluate(link.operand)
            guard case .bool(true) = try compute(link.symbol, left, right, at: link.offset) else {
                return .bool(false)
            }
            left = right
        }
        return .bool(true)
    }

    /// The value of an operator that always needs both its operands.
    private mutating func compute(
        _ symbol: BinaryOperator, _ left: ExpressionValue, _ right: ExpressionValue, at offset: Int
    ) throws(ExpressionError) -> ExpressionValue {
        do {
            switch symbol {
            case .matches: return .bool(try matches(left, right))
            default: return try Operation.compute(symbol, left, right, &context)
            }
        } catch {
            throw ExpressionError(error.message, offset: error.offset ?? offset)
        }
    }

    private mutating func matches(
        _ left: ExpressionValue, _ right: ExpressionValue
    ) throws(ExpressionError) -> Bool {
        if left == .none || right == .none { return false }
        guard case .string(let text) = left, case .string(let pattern) = right else {
            throw Operation.mismatch(.matches, left, right)
        }
        try context.spend(bytes: text.utf8.count + 16, times: PatternCost.perByte(of: pattern))
        if let compiled = patterns[pattern] { return compiled.matches(text) }
        do {
            let compiled = try RegularExpression(pattern)
            if patterns.count < 100 { patterns[pattern] = compiled }
            return compiled.matches(text)
        } catch {
            throw ExpressionError(error.description)
        }
    }
}
