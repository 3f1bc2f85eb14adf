// Reads what follows a value, its members, elements and slices, and the calls of functions.

import Text

extension ExpressionParser {
    mutating func parsePostfix(_ root: ExpressionNode) throws(ExpressionError) -> ExpressionNode {
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

    /// A call's arguments, the position being at its opening bracket. Functions are found by name alone:
    /// variables of the same name are no functions.
    mutating func parseCall(
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
