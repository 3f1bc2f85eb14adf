// Reads jq's notation: a pipe of commas of alternatives, as its manual orders the operators.

import Text

struct JQParser {
    private enum Token: Equatable {
        case sign(String)
        case word(String)
        case text(String)
        case number(JSONValue)
    }

    private static let depthLimit = 64
    private static let signs = [
        "//", "==", "!=", "<=", ">=", "|", ",", ".", "[", "]", "(", ")", "{", "}", "<", ">", "+", "-", "?", ":",
        ";",
    ]

    private var tokens: ArraySlice<Token>
    private var depth = 0

    init(_ text: String) throws(JQError) {
        tokens = try Self.tokens(of: Array(text.unicodeScalars))[...]
    }

    mutating func parse() throws(JQError) -> JQTerm {
        let term = try pipe()
        if let token = tokens.first { throw JQError(description: "\(Self.shown(token)) is not expected") }
        return term
    }

    // MARK: Words

    private static func tokens(of text: [Unicode.Scalar]) throws(JQError) -> [Token] {
        var tokens: [Token] = []
        var index = 0
        func isWord(_ scalar: Unicode.Scalar) -> Bool {
            scalar == "_" || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
        }
        while index < text.count {
            let scalar = text[index]
            if " \t\n\r".unicodeScalars.contains(scalar) {
                index += 1
            } else if scalar == "\"" {
                var end = index + 1
                while end < text.count, text[end] != "\"" { end += text[end] == "\\" ? 2 : 1 }
                guard end < text.count else { throw JQError(description: "a text has no end") }
                tokens.append(.text(try unquoted(text[index...end])))
                index = end + 1
            } else if ("0"..."9").contains(scalar) {
                var end = index
                while end < text.count, ("0"..."9").contains(text[end]) || text[end] == "." { end += 1 }
                let digits = String(String.UnicodeScalarView(text[index..<end]))
                guard let number = Int(digits).map(JSONValue.int) ?? Double(digits).map(JSONValue.double) else {
                    throw JQError(description: "\(digits) is no number")
                }
                tokens.append(.number(number))
                index = end
            } else if isWord(scalar) {
                var end = index
                while end < text.count, isWord(text[end]) { end += 1 }
                tokens.append(.word(String(String.UnicodeScalarView(text[index..<end]))))
                index = end
            } else {
                let rest = String(String.UnicodeScalarView(text[index..<min(index + 2, text.count)]))
                guard let sign = signs.first(where: { rest.hasPrefix($0) }) else {
                    throw JQError(description: "\"\(rest)\" is not understood here")
                }
                tokens.append(.sign(sign))
                index += sign.unicodeScalars.count
            }
        }
        return tokens
    }

    private static func unquoted(_ text: ArraySlice<Unicode.Scalar>) throws(JQError) -> String {
        let quoted = String(String.UnicodeScalarView(text))
        guard !quoted.contains("\\(") else {
            throw JQError(description: "texts with \\( ) in them are not understood here; use + between texts")
        }
        guard let value = try? JSONValue(parsingUTF8: Array(quoted.utf8)).stringValue else {
            throw JQError(description: "\(quoted) is no text")
        }
        return value
    }

    private static func shown(_ token: Token) -> String {
        switch token {
        case .sign(let text), .word(let text): "\"\(text)\""
        case .text(let text): "the text \"\(text)\""
        case .number(let number): number.compactText
        }
    }

    private mutating func take(_ sign: String) -> Bool {
        guard tokens.first == .sign(sign) else { return false }
        tokens.removeFirst()
        return true
    }

    private mutating func takeWord(_ word: String) -> Bool {
        guard tokens.first == .word(word) else { return false }
        tokens.removeFirst()
        return true
    }

    private mutating func expect(_ sign: String) throws(JQError) {
        guard take(sign) else {
            let there = tokens.first.map(Self.shown) ?? "the end"
            throw JQError(description: "\"\(sign)\" is expected before \(there)")
        }
    }

    // MARK: Operators

    private mutating func pipe() throws(JQError) -> JQTerm {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.depthLimit else { throw JQError(description: "the filter is nested too deep") }
        var term = try comma()
        while take("|") { term = .pipe(term, try comma()) }
        return term
    }

    private mutating func comma() throws(JQError) -> JQTerm {
        var term = try alternative()
        while take(",") { term = .both(term, try alternative()) }
        return term
    }

    private mutating func alternative() throws(JQError) -> JQTerm {
        let term = try disjunction()
        return take("//") ? .alternative(term, try alternative()) : term
    }

    private mutating func disjunction() throws(JQError) -> JQTerm {
        var term = try conjunction()
        while takeWord("or") { term = .any(term, try conjunction()) }
        return term
    }

    private mutating func conjunction() throws(JQError) -> JQTerm {
        var term = try comparison()
        while takeWord("and") { term = .all(term, try comparison()) }
        return term
    }

    private mutating func comparison() throws(JQError) -> JQTerm {
        let term = try sum()
        for sign in ["==", "!=", "<=", ">=", "<", ">"] where take(sign) {
            return .compare(term, sign, try sum())
        }
        return term
    }

    private mutating func sum() throws(JQError) -> JQTerm {
        var term = try postfix()
        while true {
            if take("+") {
                term = .sum(term, try postfix())
            } else if take("-") {
                term = .difference(term, try postfix())
            } else {
                return term
            }
        }
    }

    // MARK: Terms

    private mutating func postfix() throws(JQError) -> JQTerm {
        var term = try primary()
        while true {
            if take("?") {
                term = .attempt(term)
            } else if tokens.first == .sign("["), term.takesBrackets {
                term = try brackets(of: term)
            } else if tokens.first == .sign("."), let name = memberAfterDot() {
                term = .member(term, .literal(.string(name)))
            } else if tokens.first == .sign("."), tokens.dropFirst().first == .sign("[") {
                tokens.removeFirst()
            } else {
                return term
            }
        }
    }

    /// The name behind a dot, taken with it.
    private mutating func memberAfterDot() -> String? {
        switch tokens.dropFirst().first {
        case .word(let name)?, .text(let name)?:
            tokens.removeFirst(2)
            return name
        default: return nil
        }
    }

    private mutating func brackets(of base: JQTerm) throws(JQError) -> JQTerm {
        try expect("[")
        if take("]") { return .each(base) }
        if let slice = try slice(of: base) { return slice }
        let key = try pipe()
        try expect("]")
        return .member(base, key)
    }

    /// `[1:3]`, `[:3]`, `[1:]`; nil for everything else, of which nothing is taken.
    private mutating func slice(of base: JQTerm) throws(JQError) -> JQTerm? {
        var ahead = self
        let from = ahead.takeInteger()
        guard ahead.take(":") else { return nil }
        let to = ahead.takeInteger()
        try ahead.expect("]")
        self = ahead
        return .slice(base, from, to)
    }

    private mutating func takeInteger() -> Int? {
        var ahead = self
        let isNegative = ahead.take("-")
        guard case .number(.int(let number))? = ahead.tokens.first else { return nil }
        ahead.tokens.removeFirst()
        self = ahead
        return isNegative ? -number : number
    }

    private mutating func primary() throws(JQError) -> JQTerm {
        guard let token = tokens.first else { throw JQError(description: "the filter ends too early") }
        switch token {
        case .text(let text):
            tokens.removeFirst()
            return .literal(.string(text))
        case .number(let number):
            tokens.removeFirst()
            return .literal(number)
        case .word(let word):
            tokens.removeFirst()
            return try named(word)
        case .sign("."):
            if let name = memberAfterDot() { return .member(.identity, .literal(.string(name))) }
            tokens.removeFirst()
            return .identity
        case .sign("-"):
            tokens.removeFirst()
            return .difference(.literal(0), try postfix())
        case .sign("("):
            tokens.removeFirst()
            let term = try pipe()
            try expect(")")
            return term
        case .sign("["):
            tokens.removeFirst()
            if take("]") { return .list(nil) }
            let term = try pipe()
            try expect("]")
            return .list(term)
        case .sign("{"):
            tokens.removeFirst()
            return try object()
        case .sign: throw JQError(description: "\(Self.shown(token)) is not expected")
        }
    }

    private mutating func named(_ word: String) throws(JQError) -> JQTerm {
        switch word {
        case "true": return .literal(.bool(true))
        case "false": return .literal(.bool(false))
        case "null": return .literal(.null)
        default: break
        }
        guard let count = JQFunctions.arity[word] else {
            throw JQError(
                description: "there is no function \(word) here; there are "
                    + JQFunctions.arity.keys.sorted().joined(separator: ", "))
        }
        var arguments: [JQTerm] = []
        if take("(") {
            repeat { arguments.append(try pipe()) } while take(";")
            try expect(")")
        }
        guard arguments.count == count else {
            throw JQError(description: "\(word) takes \(count) arguments, and has \(arguments.count)")
        }
        return .call(word, arguments)
    }

    /// `{name: TERM, "a b": TERM, name}`.
    private mutating func object() throws(JQError) -> JQTerm {
        var members: [(String, JQTerm)] = []
        if take("}") { return .object([]) }
        repeat {
            guard let token = tokens.popFirst() else { throw JQError(description: "an object has no end") }
            switch token {
            case .word(let name), .text(let name):
                let value = take(":") ? try alternative() : .member(.identity, .literal(.string(name)))
                members.append((name, value))
            case .sign, .number: throw JQError(description: "\(Self.shown(token)) is no name of a member")
            }
        } while take(",")
        try expect("}")
        return .object(members)
    }
}

extension JQTerm {
    /// A list or number before `[` is no base of a place.
    fileprivate var takesBrackets: Bool {
        switch self {
        case .literal: false
        default: true
        }
    }
}
