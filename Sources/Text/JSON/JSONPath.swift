// Questions to JSON values, as the expression function jsonpath asks them.

/// Why a path was refused or found nothing.
package struct JSONPathError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}

/// A JSONPath with the meaning it has in Argo (the Go package evilmonkeyinc/jsonpath): a path that names one
/// place gives the value there, and an error if there is none. From the first wildcard, filter, slice, union
/// or `..` on, the result is a list, from which places that do not exist are missing. Members of objects are
/// taken in the order of their keys.
package struct JSONPath: Sendable {
    /// Longer paths, in bytes, are refused.
    package static let maximumPathLength = 10_000
    /// How many values a query may look at; a query that needs more fails.
    package static let maximumResults = 1_000_000

    let steps: [JSONPathStep]

    /// - Parameter path: begins with `$`, such as `$.items[?(@.age > 18)].name`.
    package init(_ path: String) throws(JSONPathError) {
        guard path.utf8.count <= Self.maximumPathLength else {
            throw JSONPathError(message: "the path is longer than \(Self.maximumPathLength) bytes")
        }
        var parser = JSONPathParser(text: path)
        steps = try parser.parsePath()
    }

    package func query(_ value: JSONValue) throws(JSONPathError) -> JSONValue {
        var evaluator = JSONPathEvaluator(root: value)
        return try evaluator.apply(steps[...], to: value)
    }
}

/// One step of a path.
indirect enum JSONPathStep: Sendable {
    case key(String)
    case index(Int)
    case length
    case wildcard
    case descendants
    case union([JSONPathArgument])
    case slice(from: JSONPathArgument?, to: JSONPathArgument?, step: JSONPathArgument?)
    case filter(JSONPathExpression)
    case script(JSONPathExpression)
}

enum JSONPathArgument: Sendable {
    case key(String)
    case index(Int)
    case script(JSONPathExpression)
}

/// What filters and scripts compute.
indirect enum JSONPathExpression: Sendable {
    case literal(JSONValue)
    /// A path from the root or from the current value.
    case path(fromRoot: Bool, [JSONPathStep])
    case not(JSONPathExpression)
    case negative(JSONPathExpression)
    case binary(Operator, JSONPathExpression, JSONPathExpression)
    /// A pattern written in the path is compiled with it.
    case match(JSONPathExpression, RegularExpression)

    enum Operator: String, Sendable {
        case or = "||"
        case and = "&&"
        case equal = "=="
        case notEqual = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case less = "<"
        case greater = ">"
        case match = "=~"
        case plus = "+"
        case minus = "-"
        case power = "**"
        case times = "*"
        case divide = "/"
        case remainder = "%"

        /// Higher binds tighter.
        var precedence: Int {
            switch self {
            case .or: 1
            case .and: 2
            case .equal, .notEqual, .lessOrEqual, .greaterOrEqual, .less, .greater, .match: 3
            case .plus, .minus: 4
            case .times, .divide, .remainder: 5
            case .power: 6
            }
        }
    }
}
