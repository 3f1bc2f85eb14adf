// Builds the syntax tree of a template: here its statements, expressions beside.

struct TemplateParser {
    private var tokens: [TemplateToken]
    private var index = 0
    private var nesting = 0
    private var names: [String: Int] = [:]
    /// For each macro around this place: the special names that its body mentions.
    private var mentioned: [Set<String>] = []
    /// Loops around this place, macros in between not counted.
    private var loops = 0
    /// Inside conditions, an unknown filter or test is an error only when it is reached: templates test what
    /// the engine has.
    var conditions = 0
    private var hasGenerations = false

    struct Result {
        var body: [TemplateStatement]
        /// The number of each name.
        var names: [String: Int]
        /// Whether there is a `generation` block.
        var hasGenerations: Bool
    }

    static func parse(_ source: String) throws(ChatTemplateError) -> Result {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source))
        let body = try parser.parseBody(until: [])
        return Result(body: body, names: parser.names, hasGenerations: parser.hasGenerations)
    }

    private init(tokens: [TemplateToken]) { self.tokens = tokens }

    // MARK: Bodies

    /// Statements up to a block that begins with one of the words, which then is the current token.
    private mutating func parseBody(until endings: [String]) throws(ChatTemplateError) -> [TemplateStatement]
    {
        let startLine = line
        var body: [TemplateStatement] = []
        while true {
            let token = current
            switch token.kind {
            case .data(let text):
                advance()
                body.append(TemplateStatement(kind: .text(text), line: token.line))
            case .variableBegin:
                advance()
                let value = try parseTuple()
                try expect(.variableEnd)
                body.append(TemplateStatement(kind: .output(value), line: token.line))
            case .blockBegin:
                advance()
                if case .name(let word) = current.kind, endings.contains(word) { return body }
                body.append(
                    try nested { (parser) throws(ChatTemplateError) in try parser.parseStatement(endings) })
                try expect(.blockEnd)
            default:
                guard !endings.isEmpty else { return body }
                throw error(
                    "the block that begins before line \(startLine) is not closed",
                    remedy: "end it with \(Self.list(endings))")
            }
        }
    }

    /// The body of a statement, with the end of its opening tag. Leaves the word that ended it behind.
    private mutating func parseBlock(
        until endings: [String], isCondition: Bool = false
    ) throws(ChatTemplateError) -> (body: [TemplateStatement], ending: String) {
        _ = skip(.colon)
        try expect(.blockEnd)
        if isCondition { conditions += 1 }
        let body = try parseBody(until: endings)
        if isCondition { conditions -= 1 }
        return (body, try expectName())
    }

    // MARK: Statements

    private mutating func parseStatement(_ endings: [String]) throws(ChatTemplateError) -> TemplateStatement {
        let startLine = line
        let kind = try parseStatementKind(try expectName(), endings)
        return TemplateStatement(kind: kind, line: startLine)
    }

    private mutating func parseStatementKind(
        _ word: String, _ endings: [String]
    ) throws(ChatTemplateError) -> TemplateStatement.Kind {
        switch word {
        case "for": return try parseFor()
        case "if": return try parseIf()
        case "set": return try parseSet()
        case "macro":
            let name = try name(expectName())
            return .macro(try parseMacro(name, until: "endmacro"))
        case "call": return try parseCall()
        case "filter":
            let filters = try parseFilterChain()
            return .filter(filters, body: try parseBlock(until: ["endfilter"]).body)
        case "with": return try parseWith()
        case "generation":
            hasGenerations = true
            return .generation(try parseBlock(until: ["endgeneration"]).body)
        case "block": return try parseNamedBlock()
        case "autoescape": return try parseAutoescape()
        case "print":
            var values: [TemplateExpression] = []
            while current.kind != .blockEnd {
                if !values.isEmpty { try expect(.comma) }
                values.append(try parseExpression())
            }
            return .output(.concatenation(values, line: line))
        case "break", "continue":
            guard loops > 0 else {
                throw error("`\(word)` outside of a loop", remedy: "move it into a `for` block")
            }
            return word == "break" ? .breakLoop : .continueLoop
        case "include", "import", "from", "extends":
            while current.kind != .blockEnd && current.kind != .end { advance() }
            return .unsupported("`\(word)` needs other templates, but a chat template stands alone")
        default:
            throw error("unknown tag `\(word)`", remedy: Self.remedy(forTag: word, endings))
        }
    }

    private static func remedy(forTag word: String, _ endings: [String]) -> String {
        word.hasPrefix("end") || word == "else" || word == "elif"
            ? endings.isEmpty
                ? "remove it: no block is open here" : "the innermost block wants \(list(endings))"
            : "use the tags that transformers has for chat templates"
    }

    private mutating func parseFor() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let target = try parseTarget(until: "in", mayBeAttribute: false)
        try expectWord("in")
        let iterable = try parseTuple(mayBeConditional: false, until: "recursive")
        let filter = skipWord("if") ? try parseExpression() : nil
        let isRecursive = skipWord("recursive")
        loops += 1
        let (body, ending) = try parseBlock(until: ["endfor", "else"])
        loops -= 1
        let otherwise = ending == "else" ? try parseBlock(until: ["endfor"]).body : []
        return .loop(
            TemplateLoop(
                target: target, iterable: iterable, filter: filter, isRecursive: isRecursive, body: body,
                otherwise: otherwise))
    }

    private mutating func parseIf() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var branches: [(test: TemplateExpression, body: [TemplateStatement])] = []
        while true {
            let test = try parseTuple(mayBeConditional: false)
            let (body, ending) = try parseBlock(until: ["elif", "else", "endif"], isCondition: true)
            branches.append((test, body))
            if ending == "elif" { continue }
            let otherwise = ending == "else" ? try parseBlock(until: ["endif"], isCondition: true).body : []
            return .conditional(branches, otherwise: otherwise)
        }
    }

    private mutating func parseSet() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let target = try parseTarget(until: nil, mayBeAttribute: true)
        if skip(.assign) { return .set(target, try parseTuple()) }
        var filters: [TemplateSuffix] = []
        if skip(.pipe) { filters = try parseFilterChain() }
        return .setBlock(target, filters, body: try parseBlock(until: ["endset"]).body)
    }

    private mutating func parseCall() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let parameters = current.kind == .symbol(.openParenthesis) ? try parseParameters() : []
        let call = try parseExpression()
        guard case .postfix(_, let suffixes) = call, case .call? = suffixes.last?.kind else {
            throw error("`call` wants the call of a macro", remedy: "write it as `{% call name(...) %}`")
        }
        return .call(call, try parseMacroBody(nil, parameters, until: "endcall"))
    }

    private mutating func parseMacro(
        _ name: TemplateName?, until ending: String
    ) throws(ChatTemplateError) -> TemplateMacro {
        try parseMacroBody(name, try parseParameters(), until: ending)
    }

    private mutating func parseMacroBody(
        _ name: TemplateName?, _ parameters: [(name: TemplateName, fallback: TemplateExpression?)],
        until ending: String
    ) throws(ChatTemplateError) -> TemplateMacro {
        mentioned.append([])
        let outerLoops = loops
        loops = 0
        let body = try parseBlock(until: [ending]).body
        loops = outerLoops
        let special = mentioned.removeLast()
        let given = Set(parameters.map(\.name.text))
        func taken(_ word: String) -> TemplateName? {
            special.contains(word) && !given.contains(word) ? self.name(word) : nil
        }
        return TemplateMacro(
            name: name, parameters: parameters, body: body, varargs: taken("varargs"),
            kwargs: taken("kwargs"),
            caller: taken("caller"))
    }

    private mutating func parseParameters() throws(ChatTemplateError) -> [(
        name: TemplateName, fallback: TemplateExpression?
    )] {
        var parameters: [(name: TemplateName, fallback: TemplateExpression?)] = []
        try expect(.openParenthesis)
        while !skip(.closeParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try name(expectName())
            let fallback = skip(.assign) ? try parseExpression() : nil
            guard fallback != nil || parameters.last?.fallback == nil else {
                throw error(
                    "parameter `\(name.text)` has no default, but one before it has",
                    remedy: "give it a default")
            }
            parameters.append((name, fallback))
        }
        return parameters
    }

    private mutating func parseWith() throws(ChatTemplateError) -> TemplateStatement.Kind {
        var assignments: [(target: TemplateTarget, value: TemplateExpression)] = []
        while current.kind != .blockEnd {
            if !assignments.isEmpty { try expect(.comma) }
            let target = try parseTarget(until: nil, mayBeAttribute: false)
            try expect(.assign)
            assignments.append((target, try parseExpression()))
        }
        return .with(assignments, body: try parseBlock(until: ["endwith"]).body)
    }

    private mutating func parseNamedBlock() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let name = try expectName()
        while skipWord("scoped") || skipWord("required") {}
        let body = try parseBlock(until: ["endblock"]).body
        _ = skipWord(name)
        return .scope(body)
    }

    private mutating func parseAutoescape() throws(ChatTemplateError) -> TemplateStatement.Kind {
        let isOn = try parseExpression()
        let body = try parseBlock(until: ["endautoescape"]).body
        if case .bool(false) = isOn { return .scope(body) }
        return .unsupported("`autoescape` is for HTML, and cannot be switched on in a chat template")
    }

    // MARK: Targets

    private mutating func parseTarget(
        until word: String?, mayBeAttribute: Bool
    ) throws(ChatTemplateError) -> TemplateTarget {
        var targets: [TemplateTarget] = []
        var isTuple = false
        while true {
            if isTuple, isTargetEnd(word) { break }
            targets.append(
                try nested { (parser) throws(ChatTemplateError) in try parser.parseOneTarget(mayBeAttribute) }
            )
            guard skip(.comma) else { break }
            isTuple = true
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private func isTargetEnd(_ word: String?) -> Bool {
        switch current.kind {
        case .blockEnd, .symbol(.closeParenthesis), .symbol(.assign): true
        case .name(let name): name == word
        default: false
        }
    }

    private mutating func parseOneTarget(_ mayBeAttribute: Bool) throws(ChatTemplateError) -> TemplateTarget {
        if skip(.openParenthesis) {
            let target = try parseTarget(until: nil, mayBeAttribute: mayBeAttribute)
            try expect(.closeParenthesis)
            return target
        }
        let word = try expectName()
        guard !["true", "false", "none", "True", "False", "None"].contains(word) else {
            throw error("`\(word)` cannot be assigned to", remedy: "choose another name")
        }
        if mayBeAttribute, skip(.dot) { return .attribute(name(word), PythonString(try expectName())) }
        return .name(name(word))
    }
}

// MARK: Tokens

extension TemplateParser {
    var current: TemplateToken { tokens[index] }
    var line: Int { tokens[index].line }
    /// The token behind the current one.
    var next: TemplateToken { tokens[min(index + 1, tokens.count - 1)] }

    mutating func advance() { index = min(index + 1, tokens.count - 1) }

    mutating func skip(_ symbol: TemplateSymbol) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    func isWord(_ word: String) -> Bool { current.kind == .name(word) }

    mutating func skipWord(_ word: String) -> Bool {
        guard isWord(word) else { return false }
        advance()
        return true
    }

    mutating func expect(_ kind: TemplateToken.Kind) throws(ChatTemplateError) {
        guard current.kind == kind else {
            let wanted = TemplateToken(kind: kind, line: line).description
            throw error("expected \(wanted), got \(current.description)", remedy: "correct the tag")
        }
        advance()
    }

    mutating func expect(_ symbol: TemplateSymbol) throws(ChatTemplateError) { try expect(.symbol(symbol)) }

    mutating func expectWord(_ word: String) throws(ChatTemplateError) { try expect(.name(word)) }

    mutating func expectName() throws(ChatTemplateError) -> String {
        guard case .name(let name) = current.kind else {
            throw error("expected a name, got \(current.description)", remedy: "correct the tag")
        }
        advance()
        return name
    }

    /// The number of a name. Notes the special names for the macros around.
    mutating func name(_ text: String) -> TemplateName {
        if text == "caller" || text == "varargs" || text == "kwargs" {
            for index in mentioned.indices { mentioned[index].insert(text) }
        }
        let index = names[text] ?? names.count
        names[text] = index
        return TemplateName(index: index, text: text)
    }

    /// Counts how deep the source is nested, so that no source can overflow the stack.
    mutating func nested<Value>(
        _ parse: (inout TemplateParser) throws(ChatTemplateError) -> Value
    ) throws(ChatTemplateError) -> Value {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= TemplateLimits.nesting else {
            throw error(
                "more than \(TemplateLimits.nesting) blocks and brackets are inside each other",
                remedy: "split the expression with `set`, or use macros")
        }
        return try parse(&self)
    }

    func error(_ problem: String, remedy: String) -> ChatTemplateError {
        ChatTemplateError(kind: .syntax, line: line, problem: problem, remedy: remedy)
    }

    static func list(_ endings: [String]) -> String {
        endings.map { "`{% \($0) %}`" }.joined(separator: " or ")
    }
}
