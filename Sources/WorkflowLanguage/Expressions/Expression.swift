// Expressions as Argo has them in `{{=...}}`, hooks, retry strategies and artifacts: expr-lang/expr v1.17
// with a few functions of Argo's own. They are pure and total: no input traps, and their work is limited.

/// A parsed expression.
package struct Expression: Sendable {
    private let root: ExpressionNode
    /// The variables that the expression begins names with. Functions that it calls, names that it declares
    /// itself, and `$env` are not among them.
    package let rootNames: Set<String>
    /// Every name, member and text that the source mentions: what it could reach in an environment, unless it
    /// computes names. `$env` among them means that it may reach everything.
    package let words: Set<String>

    /// Longest source in bytes.
    package static let maximumLength = 1 << 20

    /// - Throws: for text that is no expression, calls of unknown functions or with the wrong number of
    ///   arguments, nesting beyond 200 levels, and sources above `maximumLength`.
    package init(_ source: String) throws(ExpressionError) {
        guard source.utf8.count <= Self.maximumLength else {
            throw ExpressionError("the expression is longer than \(Self.maximumLength) bytes")
        }
        let tokens = try ExpressionLexer.tokens(of: source)
        var words: Set<String> = []
        for token in tokens {
            switch token.kind {
            case .identifier, .string: words.insert(token.text)
            case .symbol where token.text.first?.isLetter == true: words.insert(token.text)
            case .number, .symbol, .end: continue
            }
        }
        var parser = ExpressionParser(tokens: tokens)
        root = try parser.parse()
        rootNames = parser.rootNames
        self.words = words
    }

    /// The expression's value.
    ///
    /// - Throws: for unknown variables, operands of the wrong kind, and when `context.workLeft` is used up.
    ///   The result has been walked once within that limit, so turning it into text is safe.
    package func evaluate(
        _ environment: ExpressionEnvironment, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> ExpressionValue {
        var evaluator = ExpressionEvaluator(environment: environment, context: context)
        // The seed and the work done count even when the evaluation fails.
        defer { context = evaluator.context }
        let value = try evaluator.evaluate(root)
        try evaluator.context.spend(walking: value)
        return value
    }
}

/// The variables that expressions see.
package struct ExpressionEnvironment: Sendable {
    package var variables: [String: ExpressionValue]

    package init(variables: [String: ExpressionValue] = [:]) { self.variables = variables }
}
