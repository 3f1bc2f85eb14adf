// Members, elements and slices of values, and calls of functions and methods.

extension ExpressionEvaluator {
    mutating func evaluatePath(
        _ root: ExpressionNode, _ steps: [ExpressionNode.PathStep]
    ) throws(ExpressionError) -> ExpressionValue {
        var steps = steps[...]
        var value: ExpressionValue
        if case .name("sprig") = root.kind, !isVariable("sprig"), let first = steps.first {
            value = try callSprig(first)
            steps.removeFirst()
        } else {
            value = try evaluate(root)
        }
        for step in steps {
            if step.isOptional, value == .none { return .none }
            do {
                value = try take(step, of: value)
            } catch {
                throw ExpressionError(error.message, offset: error.offset ?? step.offset)
            }
        }
        return value
    }

    private mutating func callSprig(
        _ step: ExpressionNode.PathStep
    ) throws(ExpressionError) -> ExpressionValue {
        guard case .call(let name, let nodes) = step.kind else {
            throw ExpressionError("sprig is used as sprig.NAME(...)", offset: step.offset)
        }
        let arguments = try evaluateAll(nodes)
        do {
            return try Sprig.call(name: name, arguments: arguments, context: &context)
        } catch {
            throw ExpressionError(error.message, offset: error.offset ?? step.offset)
        }
    }

    private mutating func take(
        _ step: ExpressionNode.PathStep, of value: ExpressionValue
    ) throws(ExpressionError) -> ExpressionValue {
        try context.spend(steps: 1)
        switch step.kind {
        case .member(let name): return try value.member(name)
        case .index(let node): return try value.element(evaluate(node))
        case .slice(let from, let to): return try slice(value, from, to)
        case .call(let name, let nodes):
            let arguments = try evaluateAll(nodes)
            for case .string(let text) in arguments { try context.spend(steps: text.utf8.count) }
            let call = BuiltinCall(name: name, arguments: arguments)
            return try ExpressionMethod.call(name, of: value, call, context)
        }
    }

    private mutating func slice(
        _ value: ExpressionValue, _ from: ExpressionNode?, _ to: ExpressionNode?
    ) throws(ExpressionError) -> ExpressionValue {
        let lower = try bound(from)
        let upper = try bound(to)
        switch value {
        case .array(let elements):
            let range = Self.range(lower, upper, count: elements.count)
            try context.spend(steps: range.count)
            return .array(Array(elements[range]))
        case .string(let text):
            let bytes = Array(text.utf8)
            try context.spend(bytes: bytes.count)
            return .string(SprigText.string(bytes[Self.range(lower, upper, count: bytes.count)]))
        default: throw ExpressionError("cannot slice \(value.kindName)")
        }
    }

    private mutating func bound(_ node: ExpressionNode?) throws(ExpressionError) -> Int? {
        guard let node else { return nil }
        let value = try evaluate(node)
        guard let index = value.indexValue else {
            throw ExpressionError(
                "a slice is bounded by integers, not \(value.kindName)", offset: node.offset)
        }
        return index
    }

    /// Negative bounds count from the end; bounds beyond it are the end.
    private static func range(_ from: Int?, _ to: Int?, count: Int) -> Range<Int> {
        func position(_ bound: Int) -> Int { min(max(bound < 0 ? count + bound : bound, 0), count) }
        let upper = position(to ?? count)
        return min(position(from ?? 0), upper)..<upper
    }

    mutating func evaluateCall(
        _ builtin: Builtin, _ nodes: [ExpressionNode], at offset: Int
    ) throws(ExpressionError) -> ExpressionValue {
        let call = BuiltinCall(name: builtin.name, arguments: try evaluateAll(nodes))
        do {
            return try builtin.body(call, &context)
        } catch {
            throw ExpressionError(error.message, offset: error.offset ?? offset)
        }
    }
}
