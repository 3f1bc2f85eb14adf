// One call of a sprig function on its way: checked access to its arguments, and the account of its work.

import Text

/// The parameters of a function, written as words: `suffix text`, `[end]` for one that may be left out,
/// `values...` for any number of them, none included.
struct SprigParameters: Sendable {
    let words: [String]
    let least: Int
    /// Nil where any number may follow.
    let most: Int?

    init(_ signature: String) {
        words = signature.split(separator: " ").map(String.init)
        least = words.count(where: { !$0.hasSuffix("...") && !$0.hasPrefix("[") })
        most = words.contains(where: { $0.hasSuffix("...") }) ? nil : words.count
    }
}

/// A call's name, arguments and context.
struct SprigCall {
    let name: String
    let parameters: SprigParameters
    let arguments: [ExpressionValue]
    var context: ExpressionContext

    /// Deepest nesting of lists and objects that is walked; deeper values are an error, not a full stack.
    static let nestingLimit = JSONValue.maximumDepth

    func error(_ problem: String) -> ExpressionError { ExpressionError("sprig.\(name): \(problem)") }

    func checkCount() throws(ExpressionError) {
        let given = arguments.count
        if given >= parameters.least, given <= parameters.most ?? .max { return }
        let wanted: String
        switch parameters.most {
        case nil: wanted = "at least \(parameters.least)"
        case parameters.least: wanted = "\(parameters.least)"
        case let most?: wanted = "\(parameters.least) to \(most)"
        }
        let plural = wanted == "1" || wanted == "at least 1" ? "argument" : "arguments"
        let names = parameters.words.isEmpty ? "" : " (\(parameters.words.joined(separator: ", ")))"
        throw error("takes \(wanted) \(plural)\(names), not \(given)")
    }
}

// MARK: - Arguments by kind

extension SprigCall {
    /// Go's name for a value's kind, as messages show it.
    static func describe(_ value: ExpressionValue) -> String {
        switch value {
        case .none: "nil"
        case .bool: "a bool"
        case .int: "an integer"
        case .double: "a float"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        case .time: "a time"
        case .duration: "a duration"
        }
    }

    func mismatch(_ index: Int, wanted: String) -> ExpressionError {
        let word = index < parameters.words.count ? parameters.words[index] : parameters.words.last ?? ""
        let label = word.filter { $0 != "[" && $0 != "]" && $0 != "." }
        let remedy = wanted == "a string" ? "; convert it with string()" : ""
        let given = Self.describe(arguments[index])
        return error("argument \(index + 1) (\(label)) must be \(wanted), not \(given)\(remedy)")
    }

    func string(_ index: Int) throws(ExpressionError) -> String {
        guard case .string(let text) = arguments[index] else { throw mismatch(index, wanted: "a string") }
        return text
    }

    /// The string's bytes, which is what Go's strings are indexed by.
    func bytes(_ index: Int) throws(ExpressionError) -> [UInt8] { Array(try string(index).utf8) }

    /// An integer; a float counts if it is whole, as numbers from JSON may be.
    func int(_ index: Int) throws(ExpressionError) -> Int {
        switch arguments[index] {
        case .int(let number): return number
        case .double(let number):
            if let whole = Int(exactly: number) { return whole }
            throw mismatch(index, wanted: "a whole number")
        default: throw mismatch(index, wanted: "an integer")
        }
    }

    func bool(_ index: Int) throws(ExpressionError) -> Bool {
        guard case .bool(let flag) = arguments[index] else { throw mismatch(index, wanted: "a bool") }
        return flag
    }

    func list(_ index: Int) throws(ExpressionError) -> [ExpressionValue] {
        guard case .array(let elements) = arguments[index] else { throw mismatch(index, wanted: "a list") }
        return elements
    }

    func object(_ index: Int) throws(ExpressionError) -> [String: ExpressionValue] {
        guard case .object(let members) = arguments[index] else { throw mismatch(index, wanted: "an object") }
        return members
    }

    /// The value at the index, nil for a parameter that was left out.
    func optional(_ index: Int) -> ExpressionValue? {
        index < arguments.count ? arguments[index] : nil
    }
}

// MARK: - Work

extension SprigCall {
    /// Pays for steps before they are taken, so that memory never grows past what is allowed.
    mutating func spend(steps: Int) throws(ExpressionError) {
        guard steps >= 0, steps <= context.workLeft else {
            context.workLeft = 0
            throw error("expression does too much work; compute this in a step instead")
        }
        context.workLeft -= steps
    }

    /// Pays for the call and for reading the text it is given. What a function makes it pays for itself,
    /// unless that is no longer than this text.
    mutating func spendReading() throws(ExpressionError) {
        try spend(steps: 1)
        for case .string(let text) in arguments { try spend(bytes: text.utf8.count) }
    }

    /// Sixteen bytes built or read count as a step.
    mutating func spend(bytes: Int) throws(ExpressionError) {
        try spend(steps: bytes / 16 + 1)
    }

    /// Pays for text of a size that is itself computed and may overflow.
    mutating func spend(bytes count: Int, times: Int) throws(ExpressionError) {
        let (product, overflow) = count.multipliedReportingOverflow(by: times)
        try spend(bytes: overflow ? .max : product)
    }

    /// Pays for visiting all of a value. Values share their parts, so one that is small in memory may be huge
    /// to walk.
    mutating func spend(walking value: ExpressionValue, depth: Int = 0) throws(ExpressionError) {
        guard depth <= Self.nestingLimit else {
            throw error("the value is nested more than \(Self.nestingLimit) levels deep")
        }
        switch value {
        case .string(let text): try spend(bytes: text.utf8.count)
        case .array(let elements):
            try spend(steps: 1)
            for element in elements { try spend(walking: element, depth: depth + 1) }
        case .object(let members):
            try spend(steps: 1)
            for (key, member) in members {
                try spend(bytes: key.utf8.count)
                try spend(walking: member, depth: depth + 1)
            }
        default: try spend(steps: 1)
        }
    }
}
