// Reads the text of a JSONPath, with the expressions inside its brackets.

struct JSONPathParser {
    /// Deeper nesting of brackets and parentheses is refused, so that it cannot exhaust the stack.
    static let maximumDepth = 100

    let text: [Unicode.Scalar]
    var position = 0
    private var depth = 0

    init(text: String) { self.text = Array(text.unicodeScalars) }

    mutating func parsePath() throws(JSONPathError) -> [JSONPathStep] {
        skipSpaces()
        guard take("$") || take("@") else { throw failure("a path begins with $") }
        let steps = try parseSteps(insideExpression: false)
        skipSpaces()
        guard position == text.count else { throw failure("unexpected \"\(text[position])\"") }
        return steps
    }

    /// - Parameter insideExpression: a name then ends at operators, which may be part of it elsewhere.
    mutating func parseSteps(insideExpression: Bool) throws(JSONPathError) -> [JSONPathStep] {
        var steps: [JSONPathStep] = []
        while let scalar = peek {
            if scalar == "[" {
                steps.append(try parseBrackets())
            } else if scalar == "." {
                position += 1
                if take(".") {
                    steps.append(.descendants)
                    if peek == nil || peek == "[" || (insideExpression && endsName(inside: true)) { continue }
                } else if peek == "[" {
                    continue
                }
                steps.append(try parseName(insideExpression: insideExpression))
            } else {
                break
            }
        }
        return steps
    }

    private mutating func parseName(insideExpression: Bool) throws(JSONPathError) -> JSONPathStep {
        if peek == "*" {
            position += 1
            return .wildcard
        }
        let start = position
        while !endsName(inside: insideExpression) { position += 1 }
        var name = text[start..<position]
        while name.first == " " { name.removeFirst() }
        while name.last == " " { name.removeLast() }
        guard !name.isEmpty else { throw failure("a name is missing after \".\"") }
        let key = String(String.UnicodeScalarView(name))
        if key == "length" {
            if text[position...].starts(with: ["(", ")"]) { position += 2 }
            return .length
        }
        return .key(key)
    }

    private func endsName(inside isExpression: Bool) -> Bool {
        guard let scalar = peek else { return true }
        switch scalar {
        case ".", "[", "(": return true
        case ")", "]", ",", " ", "-", "+", "*", "/", "%", "<", ">", "=", "!", "&", "|", "?", ":":
            return isExpression
        default: return false
        }
    }

    // MARK: Brackets

    private mutating func parseBrackets() throws(JSONPathError) -> JSONPathStep {
        try descend()
        defer { depth -= 1 }
        position += 1
        skipSpaces()
        let step: JSONPathStep
        if take("*") {
            step = .wildcard
        } else if take("?") {
            skipSpaces()
            guard take("(") else { throw failure("a filter is written [?(...)]") }
            let expression = try parseExpression()
            try expect(")")
            step = .filter(expression)
        } else {
            step = try parseArguments()
        }
        skipSpaces()
        try expect("]")
        return step
    }

    /// A key, an index, a script, several of them with commas, or a slice.
    private mutating func parseArguments() throws(JSONPathError) -> JSONPathStep {
        var arguments: [JSONPathArgument?] = [try parseArgument()]
        skipSpaces()
        if peek == ":" {
            while take(":") {
                arguments.append(try parseArgument())
                skipSpaces()
            }
            guard arguments.count <= 3 else { throw failure("a slice is written [from:to:step]") }
            for case .key(let key)?? in arguments.map(Optional.some) {
                throw failure("a slice takes numbers, not \"\(key)\"")
            }
            return .slice(
                from: arguments[0], to: arguments[1], step: arguments.count > 2 ? arguments[2] : nil)
        }
        while take(",") {
            arguments.append(try parseArgument())
            skipSpaces()
        }
        let present = arguments.compactMap { $0 }
        guard present.count == arguments.count else {
            throw failure("expected an index, a key in quotes, *, ?(filter) or (script)")
        }
        guard present.count == 1 else { return .union(present) }
        switch present[0] {
        case .key(let key): return .key(key)
        case .index(let index): return .index(index)
        case .script(let expression): return .script(expression)
        }
    }

    private mutating func parseArgument() throws(JSONPathError) -> JSONPathArgument? {
        skipSpaces()
        switch peek {
        case "'", "\"": return .key(try parseQuoted())
        case "(":
            position += 1
            let expression = try parseExpression()
            try expect(")")
            return .script(expression)
        default:
            let start = position
            if peek == "-" || peek == "+" { position += 1 }
            while peek?.asciiDigitValue != nil { position += 1 }
            guard position > start else { return nil }
            guard let index = Int(String(String.UnicodeScalarView(text[start..<position]))) else {
                throw failure("invalid index")
            }
            return .index(index)
        }
    }

    /// A string in single or double quotes with backslash escapes, of which \n, \t and \r are special.
    mutating func parseQuoted() throws(JSONPathError) -> String {
        let quote = text[position]
        position += 1
        var content = String.UnicodeScalarView()
        while let scalar = peek {
            position += 1
            if scalar == quote { return String(content) }
            guard scalar == "\\", let escaped = peek else {
                content.append(scalar)
                continue
            }
            position += 1
            switch escaped {
            case "\\", "'", "\"", "/": content.append(escaped)
            case "n": content.append("\n")
            case "t": content.append("\t")
            case "r": content.append("\r")
            // Other escapes stay as they are: in patterns, \d and its like are meant for the matcher.
            default: content.append(contentsOf: ["\\", escaped])
            }
        }
        throw failure("missing closing \(quote)")
    }

    // MARK: Reading

    var peek: Unicode.Scalar? { position < text.count ? text[position] : nil }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        position += 1
        return true
    }

    mutating func expect(_ scalar: Unicode.Scalar) throws(JSONPathError) {
        skipSpaces()
        guard take(scalar) else { throw failure("expected \"\(scalar)\"") }
    }

    mutating func skipSpaces() {
        while peek == " " || peek == "\t" || peek == "\n" { position += 1 }
    }

    mutating func descend() throws(JSONPathError) {
        guard depth < Self.maximumDepth else { throw failure("nested deeper than \(Self.maximumDepth)") }
        depth += 1
    }

    mutating func ascend() { depth -= 1 }

    func failure(_ message: String) -> JSONPathError {
        JSONPathError(message: "invalid JSONPath: \(message) at character \(min(position, text.count) + 1)")
    }
}
