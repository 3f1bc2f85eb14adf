// The table of functions that expressions may call, and checked access to a call's arguments.

import Text

/// A function by its name.
struct Builtin: Sendable {
    typealias Body =
        @Sendable (BuiltinCall, inout ExpressionContext) throws(ExpressionError) -> ExpressionValue

    let name: String
    let arity: ClosedRange<Int>
    let body: Body

    init(_ name: String, _ arity: ClosedRange<Int>, _ body: @escaping Body) {
        self.name = name
        self.arity = arity
        self.body = body
    }

    static func named(_ name: String) -> Builtin? { table[name] }

    static let names: [String] = table.keys.sorted()

    private static let table: [String: Builtin] = {
        let groups = [
            TextFunctions.all, NumberFunctions.all, ListFunctions.all, TimeFunctions.all, FormatFunctions.all,
        ]
        return Dictionary(groups.joined().map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }()
}

/// A call on its way. The number of arguments has been checked against the function's arity.
struct BuiltinCall {
    let name: String
    let arguments: [ExpressionValue]

    var count: Int { arguments.count }

    subscript(_ index: Int) -> ExpressionValue { index < arguments.count ? arguments[index] : .none }

    func error(_ problem: String) -> ExpressionError { ExpressionError("\(name): \(problem)") }

    private func mismatch(_ index: Int, _ wanted: String) -> ExpressionError {
        error("argument \(index + 1) must be \(wanted), not \(self[index].kindName)")
    }

    /// For methods, whose number of arguments no table knows.
    func checkCount(_ wanted: Int) throws(ExpressionError) {
        guard count == wanted else { throw error("takes \(wanted) arguments, not \(count)") }
    }

    func string(_ index: Int) throws(ExpressionError) -> String {
        guard case .string(let text) = self[index] else {
            throw error(
                "argument \(index + 1) must be a string, not \(self[index].kindName);"
                    + " convert it with string()"
            )
        }
        return text
    }

    /// The string's bytes, which is what Go's strings are indexed by; reading them is paid for.
    func bytes(
        _ index: Int, _ context: inout ExpressionContext
    ) throws(ExpressionError) -> [UInt8] {
        let text = try string(index)
        try context.spend(bytes: text.utf8.count)
        return Array(text.utf8)
    }

    /// An integer, or a float without its fraction.
    func int(_ index: Int) throws(ExpressionError) -> Int {
        guard let number = self[index].indexValue else { throw mismatch(index, "an integer") }
        return number
    }

    func double(_ index: Int) throws(ExpressionError) -> Double {
        guard let number = self[index].doubleValue else { throw mismatch(index, "a number") }
        return number
    }

    func list(_ index: Int) throws(ExpressionError) -> [ExpressionValue] {
        guard case .array(let elements) = self[index] else { throw mismatch(index, "an array") }
        return elements
    }

    func object(_ index: Int) throws(ExpressionError) -> [String: ExpressionValue] {
        guard case .object(let members) = self[index] else { throw mismatch(index, "a map") }
        return members
    }

    func time(_ index: Int) throws(ExpressionError) -> (moment: Timestamp, zone: TimeZoneRules) {
        guard case .time(let moment, let zone) = self[index] else { throw mismatch(index, "a time") }
        return (moment, zone)
    }

    func duration(_ index: Int) throws(ExpressionError) -> Duration {
        guard case .duration(let span) = self[index] else { throw mismatch(index, "a duration") }
        return span
    }
}
