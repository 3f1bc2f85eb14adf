// The syntax tree of a template. Chains such as `a + b + c` or `x.y.z | f` are flat lists, so that a long one
// makes no deep tree, which would overflow the stack when it is evaluated or freed.

/// A name, numbered by the parser: scopes compare numbers.
struct TemplateName: Sendable, Hashable {
    var index: Int
    var text: String

    static func == (left: TemplateName, right: TemplateName) -> Bool { left.index == right.index }
    func hash(into hasher: inout Hasher) { hasher.combine(index) }
}

indirect enum TemplateExpression: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(PythonString)
    case name(TemplateName, line: Int)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([(key: TemplateExpression, value: TemplateExpression)], line: Int)
    /// Attributes, indexes, calls, filters and tests, applied from left to right.
    case postfix(TemplateExpression, [TemplateSuffix])
    case sign(negative: Bool, TemplateExpression, line: Int)
    case not(TemplateExpression)
    /// Operators of one precedence, applied from left to right.
    case arithmetic(TemplateExpression, [TemplateOperation<ArithmeticOperator>])
    case concatenation([TemplateExpression], line: Int)
    case comparison(TemplateExpression, [TemplateOperation<ComparisonOperator>])
    case and([TemplateExpression])
    case or([TemplateExpression])
    case conditional(
        test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?, line: Int)
}

struct TemplateOperation<Operator: Sendable>: Sendable {
    var symbol: Operator
    var operand: TemplateExpression
    var line: Int
}

enum ArithmeticOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case remainder = "%"
    case power = "**"
}

enum ComparisonOperator: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case contained = "in"
    case notContained = "not in"
}

struct TemplateSuffix: Sendable {
    enum Kind: Sendable {
        case attribute(PythonString)
        case item(TemplateExpression)
        case slice(start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
        case call(TemplateArguments)
        case filter(String, TemplateArguments)
        case test(String, TemplateArguments, negated: Bool)
    }

    var kind: Kind
    var line: Int
}

struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    /// `*list`.
    var spread: TemplateExpression?
    /// `**mapping`.
    var spreadNamed: TemplateExpression?
}

/// What can stand to the left of `=` and between `for` and `in`.
indirect enum TemplateTarget: Sendable {
    case name(TemplateName)
    /// An attribute of a namespace.
    case attribute(TemplateName, PythonString)
    case tuple([TemplateTarget])
}

struct TemplateStatement: Sendable {
    indirect enum Kind: Sendable {
        case text(PythonString)
        case output(TemplateExpression)
        case conditional(
            [(test: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
        case loop(TemplateLoop)
        case set(TemplateTarget, TemplateExpression)
        /// A block whose text, after filters, becomes a value.
        case setBlock(TemplateTarget, [TemplateSuffix], body: [TemplateStatement])
        case macro(TemplateMacro)
        case call(TemplateExpression, TemplateMacro)
        case filter([TemplateSuffix], body: [TemplateStatement])
        case with([(target: TemplateTarget, value: TemplateExpression)], body: [TemplateStatement])
        /// A body with names of its own: `block`, `autoescape`.
        case scope([TemplateStatement])
        /// The same, its text being what the model is to write.
        case generation([TemplateStatement])
        case breakLoop
        case continueLoop
        /// A statement that parses, but cannot run here.
        case unsupported(String)
    }

    var kind: Kind
    var line: Int
}

final class TemplateLoop: Sendable {
    let target: TemplateTarget
    let iterable: TemplateExpression
    let filter: TemplateExpression?
    let isRecursive: Bool
    let body: [TemplateStatement]
    let otherwise: [TemplateStatement]

    init(
        target: TemplateTarget, iterable: TemplateExpression, filter: TemplateExpression?, isRecursive: Bool,
        body: [TemplateStatement], otherwise: [TemplateStatement]
    ) {
        self.target = target
        self.iterable = iterable
        self.filter = filter
        self.isRecursive = isRecursive
        self.body = body
        self.otherwise = otherwise
    }
}

/// A macro, or the body of a `call` block, which is a macro without a name.
final class TemplateMacro: Sendable {
    let name: TemplateName?
    let parameters: [(name: TemplateName, fallback: TemplateExpression?)]
    let body: [TemplateStatement]
    /// Which of the special names the body mentions; only then may a call give more than the parameters.
    let takesExtraArguments: TemplateName?
    let takesExtraNamed: TemplateName?
    let caller: TemplateName?

    init(
        name: TemplateName?, parameters: [(name: TemplateName, fallback: TemplateExpression?)],
        body: [TemplateStatement], varargs: TemplateName?, kwargs: TemplateName?, caller: TemplateName?
    ) {
        self.name = name
        self.parameters = parameters
        self.body = body
        takesExtraArguments = varargs
        takesExtraNamed = kwargs
        self.caller = caller
    }
}
