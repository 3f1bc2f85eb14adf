// The tree that an expression is parsed into.

/// A part of an expression. Chains of operators and of members are flat lists, so that long ones do not make
/// deep trees; `height` bounds the rest, and with it the stack that evaluating and freeing a tree need.
final class ExpressionNode: Sendable {
    let kind: Kind
    /// UTF-8 offset in the source.
    let offset: Int
    let height: Int

    init(_ kind: Kind, offset: Int) {
        self.kind = kind
        self.offset = offset
        height = kind.childHeight + 1
    }

    enum Kind: Sendable {
        case literal(ExpressionValue)
        case name(String)
        /// `#`, `#acc`, `#index`: the word after the sign.
        case pointer(String)
        case array([ExpressionNode])
        case map([MapEntry])
        case unary(UnaryOperator, ExpressionNode)
        /// Operators of one level, from left to right.
        case chain(ExpressionNode, [ChainLink])
        /// `a < b <= c` holds if each neighboring pair does.
        case comparison(ExpressionNode, [ChainLink])
        /// Without the middle part, `a ?: b`, the condition's value is the answer.
        case conditional(ExpressionNode, ExpressionNode?, ExpressionNode)
        case declaration(name: String, value: ExpressionNode, body: ExpressionNode)
        case sequence([ExpressionNode])
        case path(ExpressionNode, [PathStep])
        case call(Builtin, [ExpressionNode])
        case predicateCall(Predicate, [ExpressionNode])
    }

    enum UnaryOperator: Sendable {
        case not, minus, plus
    }

    struct MapEntry: Sendable {
        let key: ExpressionNode
        let value: ExpressionNode
    }

    struct ChainLink: Sendable {
        let symbol: BinaryOperator
        /// `not in` and its like.
        let isNegated: Bool
        let operand: ExpressionNode
        let offset: Int
    }

    struct PathStep: Sendable {
        let kind: PathStepKind
        /// After `?.`: a missing left side makes the whole path nil.
        let isOptional: Bool
        let offset: Int
    }

    enum PathStepKind: Sendable {
        case member(String)
        case index(ExpressionNode)
        case slice(from: ExpressionNode?, to: ExpressionNode?)
        case call(String, [ExpressionNode])
    }

    /// The functions that run a part of the expression for each element of a list.
    enum Predicate: String, Sendable, CaseIterable {
        case all, none, any, one, filter, map, count, sum, find, findIndex, findLast, findLastIndex, groupBy
        case sortBy, reduce

        /// How many arguments it takes, the list and the predicate included.
        var arity: ClosedRange<Int> {
            switch self {
            case .count, .sum: 1...2
            case .sortBy, .reduce: 2...3
            default: 2...2
            }
        }
    }
}

/// Operators between two values.
enum BinaryOperator: String, Sendable {
    case or = "||"
    case and = "&&"
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case greater = ">"
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case isIn = "in"
    case matches, contains, startsWith, endsWith
    case range = ".."
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divided = "/"
    case remainder = "%"
    case power = "**"
    case coalesce = "??"

    init?(symbol: String) {
        switch symbol {
        case "or": self = .or
        case "and": self = .and
        case "^": self = .power
        default: self.init(rawValue: symbol)
        }
    }

    /// The higher, the tighter it binds.
    var precedence: Int {
        switch self {
        case .or: 10
        case .and: 15
        case .equal, .notEqual, .less, .greater, .lessOrEqual, .greaterOrEqual, .isIn, .matches, .contains,
            .startsWith, .endsWith:
            20
        case .range: 25
        case .plus, .minus: 30
        case .times, .divided, .remainder: 60
        case .power: 100
        case .coalesce: 500
        }
    }

    var isComparison: Bool {
        switch self {
        case .less, .greater, .lessOrEqual, .greaterOrEqual: true
        default: false
        }
    }

    /// Whether `not` may stand before it.
    var isNegatable: Bool {
        switch self {
        case .isIn, .matches, .contains, .startsWith, .endsWith: true
        default: false
        }
    }
}

extension ExpressionNode.Kind {
    fileprivate var childHeight: Int {
        switch self {
        case .literal, .name, .pointer: 0
        case .array(let elements), .sequence(let elements), .call(_, let elements),
            .predicateCall(_, let elements):
            Self.highest(elements)
        case .map(let entries):
            max(Self.highest(entries.map(\.key)), Self.highest(entries.map(\.value)))
        case .unary(_, let operand): operand.height
        case .chain(let first, let links), .comparison(let first, let links):
            max(first.height, Self.highest(links.map(\.operand)))
        case .conditional(let condition, let middle, let last):
            max(condition.height, middle?.height ?? 0, last.height)
        case .declaration(_, let value, let body): max(value.height, body.height)
        case .path(let root, let steps): steps.reduce(root.height) { max($0, $1.height) }
        }
    }

    private static func highest(_ nodes: [ExpressionNode]) -> Int {
        nodes.reduce(0) { max($0, $1.height) }
    }
}

extension ExpressionNode.PathStep {
    fileprivate var height: Int {
        switch kind {
        case .member: 0
        case .index(let node): node.height
        case .slice(let from, let to): max(from?.height ?? 0, to?.height ?? 0)
        case .call(_, let arguments): arguments.reduce(0) { max($0, $1.height) }
        }
    }
}
