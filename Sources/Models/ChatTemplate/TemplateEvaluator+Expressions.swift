// Evaluates the expressions of templates as Python would.

/// The arguments of a call, evaluated.
struct CallArguments {
    var positional: [TemplateValue] = []
    var named: [(name: PythonString, value: TemplateValue)] = []
}

extension TemplateEvaluator {
    func evaluate(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        try budget.charge()
        switch expression {
        case .none: return .none
        case .bool(let flag): return .bool(flag)
        case .integer(let number): return .int(number)
        case .float(let number): return .float(number)
        case .string(let text): return .string(text)
        case .name(let name, let line):
            self.line = line
            return lookup(name, scope)
        default:
            return try deeper { () throws(TemplateFailure) in try evaluateCompound(expression, scope) }
        }
    }

    private func evaluateCompound(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        switch expression {
        case .none, .bool, .integer, .float, .string, .name: return try evaluate(expression, scope)
        case .list(let elements):
            return .list(try TemplateList(try evaluate(elements, scope), budget: budget))
        case .tuple(let elements):
            return .tuple(try TemplateList(try evaluate(elements, scope), budget: budget))
        case .dictionary(let members, let line):
            var entries: [TemplateDictionary.Entry] = []
            for member in members {
                entries.append((try evaluate(member.key, scope), try evaluate(member.value, scope)))
            }
            self.line = line
            return .dictionary(try TemplateDictionary(entries, budget: budget))
        case .postfix(let base, let suffixes):
            return try apply(suffixes, to: evaluate(base, scope), scope)
        case .sign(let isNegative, let operand, let line):
            let value = try evaluate(operand, scope)
            self.line = line
            return try value.signed(negative: isNegative)
        case .not(let operand): return .bool(!(try evaluate(operand, scope).isTrue))
        case .arithmetic(let first, let operations): return try evaluate(first, operations, scope)
        case .concatenation(let operands, let line):
            let values = try evaluate(operands, scope)
            self.line = line
            return .string(try concatenate(values))
        case .comparison(let first, let operations): return try compare(first, operations, scope)
        case .and(let operands): return try evaluate(operands, until: false, scope)
        case .or(let operands): return try evaluate(operands, until: true, scope)
        case .conditional(let test, let then, let otherwise, let line):
            if try evaluate(test, scope).isTrue { return try evaluate(then, scope) }
            if let otherwise { return try evaluate(otherwise, scope) }
            return .undefined(
                TemplateUndefined(
                    .reason(
                        "the inline if-expression on line \(line) evaluated to false and no else section was "
                            + "defined."
                    )))
        }
    }

    func evaluate(
        _ expressions: [TemplateExpression], _ scope: TemplateScope
    ) throws(TemplateFailure) -> [TemplateValue] {
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression, scope)) }
        return values
    }

    /// `and` and `or`: the first operand that decides, or the last.
    private func evaluate(
        _ operands: [TemplateExpression], until decisive: Bool, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var value = TemplateValue.none
        for operand in operands {
            value = try evaluate(operand, scope)
            if value.isTrue == decisive { break }
        }
        return value
    }

    private func evaluate(
        _ first: TemplateExpression, _ operations: [TemplateOperation<ArithmeticOperator>],
        _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var value = try evaluate(first, scope)
        for operation in operations {
            let right = try evaluate(operation.operand, scope)
            line = operation.line
            value = try value.apply(operation.symbol, right, budget)
        }
        return value
    }

    private func concatenate(_ values: [TemplateValue]) throws(TemplateFailure) -> PythonString {
        var text = PythonString()
        for value in values {
            let piece = try value.text(budget)
            try budget.allow(textBytes: text.utf8.count + piece.utf8.count)
            text.append(piece)
        }
        return text
    }

    /// `a < b < c` holds if both comparisons do; each operand is evaluated once, and only as far as needed.
    private func compare(
        _ first: TemplateExpression, _ operations: [TemplateOperation<ComparisonOperator>],
        _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var left = try evaluate(first, scope)
        for operation in operations {
            let right = try evaluate(operation.operand, scope)
            line = operation.line
            guard try compare(left, operation.symbol, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    func compare(
        _ left: TemplateValue, _ symbol: ComparisonOperator, _ right: TemplateValue
    ) throws(TemplateFailure) -> Bool {
        switch symbol {
        case .equal: try left.isEqual(to: right, budget)
        case .notEqual: try !left.isEqual(to: right, budget)
        case .contained: try right.contains(left, budget)
        case .notContained: try !right.contains(left, budget)
        case .less, .lessOrEqual, .greater, .greaterOrEqual: try left.compares(symbol, to: right, budget)
        }
    }

    // MARK: Suffixes

    func apply(
        _ suffixes: [TemplateSuffix], to base: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        var value = base
        for suffix in suffixes {
            line = suffix.line
            try budget.charge()
            value = try apply(suffix, to: value, scope)
        }
        return value
    }

    private func apply(
        _ suffix: TemplateSuffix, to value: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        switch suffix.kind {
        case .attribute(let name): return try attribute(name, of: value)
        case .item(let expression):
            let key = try evaluate(expression, scope)
            line = suffix.line
            return try item(key, of: value)
        case .slice(let start, let stop, let step):
            let parts = try (evaluate(start, scope), evaluate(stop, scope), evaluate(step, scope))
            line = suffix.line
            return try value.slice(parts.0, parts.1, parts.2, budget)
        case .call(let arguments):
            let arguments = try evaluate(arguments, scope)
            line = suffix.line
            return try call(value, arguments)
        case .filter(let name, let arguments):
            let arguments = try evaluate(arguments, scope)
            line = suffix.line
            return try filter(name, value, arguments)
        case .test(let name, let arguments, let isNegated):
            let arguments = try evaluate(arguments, scope)
            line = suffix.line
            return .bool(try test(name, value, arguments) != isNegated)
        }
    }

    private func evaluate(
        _ expression: TemplateExpression?, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue? {
        guard let expression else { return nil }
        return try evaluate(expression, scope) as TemplateValue
    }

    private func evaluate(
        _ arguments: TemplateArguments, _ scope: TemplateScope
    ) throws(TemplateFailure) -> CallArguments {
        var result = CallArguments(positional: try evaluate(arguments.positional, scope))
        if let spread = arguments.spread {
            result.positional += try evaluate(spread, scope).elements(budget)
        }
        for (name, value) in arguments.named {
            result.named.append((PythonString(name), try evaluate(value, scope)))
        }
        if let spread = arguments.spreadNamed {
            guard case .dictionary(let dictionary) = try evaluate(spread, scope) else {
                throw .wrongArguments("the argument behind ** must be a mapping")
            }
            for entry in dictionary.entries {
                guard case .string(let name) = entry.key else {
                    throw .wrongArguments("keywords must be strings")
                }
                result.named.append((name, entry.value))
            }
        }
        for (index, argument) in result.named.enumerated()
        where result.named[..<index].contains(where: { $0.name == argument.name }) {
            throw .wrongArguments("the argument '\(argument.name.swift)' is given twice")
        }
        return result
    }

    /// The call that a `call` block names, with its body as the argument `caller`.
    func evaluateCall(
        _ expression: TemplateExpression, caller: TemplateValue, _ scope: TemplateScope
    ) throws(TemplateFailure) -> TemplateValue {
        guard case .postfix(let base, let suffixes) = expression, let last = suffixes.last,
            case .call(let arguments) = last.kind
        else { return try evaluate(expression, scope) }
        let function = try apply(Array(suffixes.dropLast()), to: evaluate(base, scope), scope)
        var given = try evaluate(arguments, scope)
        given.named.append(("caller", caller))
        line = last.line
        return try call(function, given)
    }
}
