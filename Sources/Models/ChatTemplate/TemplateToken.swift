// The pieces of a template's source, as the parser reads them.

struct TemplateToken: Sendable {
    enum Kind: Sendable, Equatable {
        /// Text between tags, with the whitespace control already applied.
        case data(PythonString)
        case blockBegin
        case blockEnd
        case variableBegin
        case variableEnd
        case name(String)
        case string(PythonString)
        case integer(Int)
        case float(Double)
        case symbol(TemplateSymbol)
        case end
    }

    var kind: Kind
    /// Counted from 1.
    var line: Int

    /// For error messages.
    var description: String {
        switch kind {
        case .data: "template text"
        case .blockBegin: "`{%`"
        case .blockEnd: "`%}`"
        case .variableBegin: "`{{`"
        case .variableEnd: "`}}`"
        case .name(let name): "`\(name)`"
        case .string(let text): "the string \(text.repr.swift)"
        case .integer(let number): "the number \(number)"
        case .float(let number): "the number \(number)"
        case .symbol(let symbol): "`\(symbol.rawValue)`"
        case .end: "the end of the template"
        }
    }
}

/// Operators and brackets.
enum TemplateSymbol: String, Sendable {
    case floorDivide = "//"
    case power = "**"
    case equal = "=="
    case notEqual = "!="
    case greaterOrEqual = ">="
    case lessOrEqual = "<="
    case plus = "+"
    case minus = "-"
    case divide = "/"
    case times = "*"
    case percent = "%"
    case tilde = "~"
    case openBracket = "["
    case closeBracket = "]"
    case openParenthesis = "("
    case closeParenthesis = ")"
    case openBrace = "{"
    case closeBrace = "}"
    case greater = ">"
    case less = "<"
    case assign = "="
    case dot = "."
    case colon = ":"
    case pipe = "|"
    case comma = ","
    case semicolon = ";"

    /// For a bracket that closes: the one that opens it.
    var opening: TemplateSymbol? {
        switch self {
        case .closeBracket: .openBracket
        case .closeParenthesis: .openParenthesis
        case .closeBrace: .openBrace
        default: nil
        }
    }

    var opensBracket: Bool { self == .openBracket || self == .openParenthesis || self == .openBrace }
}
