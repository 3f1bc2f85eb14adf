// `str.format`: fields in braces, with members, conversions and a format specification.

struct BraceFormat {
    private let evaluator: TemplateEvaluator
    private let arguments: CallArguments
    private var nextIndex = 0

    /// - Throws: if a field names no argument, or its specification does not fit the value.
    static func format(
        _ format: PythonString, _ arguments: CallArguments, _ evaluator: TemplateEvaluator
    ) throws(TemplateFailure) -> PythonString {
        var formatting = BraceFormat(evaluator: evaluator, arguments: arguments)
        var rest = format.scalars[...]
        return try formatting.format(&rest, isSpecification: false, depth: 0)
    }

    private init(evaluator: TemplateEvaluator, arguments: CallArguments) {
        self.evaluator = evaluator
        self.arguments = arguments
    }

    /// - Parameter isSpecification: whether this is inside a field, and ends at its closing brace.
    private mutating func format(
        _ rest: inout ArraySlice<Unicode.Scalar>, isSpecification: Bool, depth: Int
    ) throws(TemplateFailure) -> PythonString {
        guard depth <= 2 else { throw .wrongArguments("Max string recursion exceeded") }
        var text = PythonString()
        while let scalar = rest.first {
            if isSpecification && scalar == "}" { break }
            rest.removeFirst()
            if !isSpecification, scalar == "{" || scalar == "}", rest.first == scalar {
                rest.removeFirst()
                text.append(scalar)
            } else if scalar == "{" {
                text.append(try field(&rest, depth: depth))
                try evaluator.budget.allow(textBytes: text.utf8.count)
            } else if scalar == "}" {
                throw .wrongArguments("Single '}' encountered in format string")
            } else {
                text.append(scalar)
            }
        }
        return text
    }

    private mutating func field(
        _ rest: inout ArraySlice<Unicode.Scalar>, depth: Int
    ) throws(TemplateFailure) -> PythonString {
        var value = try argument(Self.take(&rest) { ".[:!}".unicodeScalars.contains($0) })
        while let mark = rest.first, mark == "." || mark == "[" {
            rest.removeFirst()
            let isItem = mark == "["
            let name = Self.take(&rest) { isItem ? $0 == "]" : ".[:!}".unicodeScalars.contains($0) }
            guard !name.isEmpty else { throw .wrongArguments("Empty attribute in format string") }
            if isItem {
                guard rest.popFirst() == "]" else { throw .wrongArguments("Missing ']' in format string") }
                let index = name.hasOnly(PythonString.isDigit) ? Int(name.swift) : nil
                value = try evaluator.item(index.map { .int($0) } ?? .string(name), of: value)
            } else {
                value = try evaluator.attribute(name, of: value)
            }
        }
        if rest.first == "!" {
            rest.removeFirst()
            switch rest.popFirst() {
            case "s": value = .string(try value.text(evaluator.budget))
            case "r", "a": value = .string(try value.repr(evaluator.budget))
            default: throw .wrongArguments("Unknown conversion specifier in format string")
            }
        }
        var specification = PythonString()
        if rest.first == ":" {
            rest.removeFirst()
            specification = try format(&rest, isSpecification: true, depth: depth + 1)
        }
        guard rest.popFirst() == "}" else { throw .wrongArguments("expected '}' before end of string") }
        return try FormatSpecification(specification).format(value, evaluator.budget)
    }

    private mutating func argument(_ name: PythonString) throws(TemplateFailure) -> TemplateValue {
        if name.isEmpty || name.hasOnly(PythonString.isDigit) {
            let index = name.isEmpty ? nextIndex : Int(name.swift) ?? .max
            if name.isEmpty { nextIndex += 1 }
            guard index < arguments.positional.count else {
                throw .wrongArguments("Replacement index \(index) out of range for positional args tuple")
            }
            return arguments.positional[index]
        }
        guard let value = arguments.named.first(where: { $0.name == name })?.value else {
            throw .wrongArguments("the format's argument \(name.repr.swift) is missing")
        }
        return value
    }

    private static func take(
        _ rest: inout ArraySlice<Unicode.Scalar>, until isEnd: (Unicode.Scalar) -> Bool
    ) -> PythonString {
        let taken = rest.prefix { !isEnd($0) }
        rest = rest.dropFirst(taken.count)
        return PythonString(taken)
    }
}

/// What stands behind the colon of a field: fill, alignment, sign, width, grouping, precision and type.
struct FormatSpecification {
    private var fill: PythonString = " "
    private var alignment: Unicode.Scalar?
    private var sign: Unicode.Scalar = "-"
    private var isAlternate = false
    private var width = 0
    private var grouping: PythonString?
    private var precision: Int?
    private var type: Unicode.Scalar?
    private let text: PythonString

    init(_ text: PythonString) throws(TemplateFailure) {
        self.text = text
        var rest = text.scalars[...]
        let isAlignment: (Unicode.Scalar?) -> Bool = {
            $0.map { "<>=^".unicodeScalars.contains($0) } ?? false
        }
        if isAlignment(rest.dropFirst().first) {
            fill = PythonString(rest.prefix(1))
            alignment = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        } else if isAlignment(rest.first) {
            alignment = rest.popFirst()
        }
        if let mark = rest.first, "+- ".unicodeScalars.contains(mark) {
            sign = mark
            rest.removeFirst()
        }
        if rest.first == "#" {
            isAlternate = true
            rest.removeFirst()
        }
        if rest.first == "0" {
            rest.removeFirst()
            if alignment == nil {
                fill = "0"
                alignment = "="
            }
        }
        width = try Self.number(&rest) ?? 0
        if let mark = rest.first, mark == "," || mark == "_" { grouping = PythonString([rest.removeFirst()]) }
        if rest.first == "." {
            rest.removeFirst()
            precision = try Self.number(&rest)
            guard precision != nil else { throw .wrongArguments("Format specifier missing precision") }
        }
        type = rest.popFirst()
        guard rest.isEmpty else { throw .wrongArguments("Invalid format specifier \(text.repr.swift)") }
    }

    private static func number(_ rest: inout ArraySlice<Unicode.Scalar>) throws(TemplateFailure) -> Int? {
        var result: Int?
        while let digit = rest.first.flatMap({ Int(String($0)) }) {
            let value = (result ?? 0) * 10 + digit
            guard value <= TemplateLimits.textBytes else { throw .limit("a width in a format is too large") }
            result = value
            rest.removeFirst()
        }
        return result
    }

    func format(_ value: TemplateValue, _ budget: TemplateBudget) throws(TemplateFailure) -> PythonString {
        if text.isEmpty { return try value.text(budget) }
        switch (value, value.number) {
        case (.string(let text), _):
            guard type == nil || type == "s", alignment != "=", sign == "-", grouping == nil else {
                throw unknownType(value)
            }
            return try align(
                "", precision.map { text.slice(0..<min($0, text.count)) } ?? text, usual: "<", budget)
        case (_, .int(let number)?): return try format(number, value, budget)
        case (_, .float(let number)?): return try format(number, value, budget)
        default: throw .wrongValue("unsupported format string passed to \(value.typeName).__format__")
        }
    }

    private func format(
        _ number: Int, _ value: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        let (radix, prefix): (Int, String)
        switch type {
        case nil, "d", "n": (radix, prefix) = (10, "")
        case "b": (radix, prefix) = (2, "0b")
        case "o": (radix, prefix) = (8, "0o")
        case "x": (radix, prefix) = (16, "0x")
        case "X": (radix, prefix) = (16, "0X")
        case "c":
            guard let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else {
                throw unknownType(value)
            }
            return try align("", PythonString([scalar]), usual: "<", budget)
        default: return try format(Double(number), value, budget)
        }
        guard precision == nil else {
            throw .wrongArguments("Precision not allowed in integer format specifier")
        }
        let digits = String(number.magnitude, radix: radix, uppercase: type == "X")
        let head = signText(number < 0) + (isAlternate ? prefix : "")
        return try align(head, grouped(PythonString(digits), every: radix == 10 ? 3 : 4), usual: ">", budget)
    }

    private func format(
        _ number: Double, _ value: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        try budget.allow(textBytes: (precision ?? 6) + 400)
        let magnitude = number.magnitude
        var digits: String
        switch type {
        case "e", "E", "f", "F", "g", "G":
            digits = PrintfFormat.fixed(
                magnitude, precision: precision ?? 6, style: type.map(Character.init) ?? "g",
                isAlternate: isAlternate)
        case "%":
            digits = PrintfFormat.fixed(magnitude * 100, precision: precision ?? 6, style: "f") + "%"
        case nil where precision == nil: digits = TemplateValue.repr(magnitude)
        case nil, "n":
            digits = PrintfFormat.fixed(magnitude, precision: precision ?? 6, style: "g")
            if type == nil, magnitude.isFinite, !digits.contains("."), !digits.contains("e") {
                digits += ".0"
            }
        default: throw unknownType(value)
        }
        let whole = digits.prefix { $0.isNumber }
        let tail = digits.dropFirst(whole.count)
        let text = grouped(PythonString(String(whole)), every: 3) + PythonString(String(tail))
        return try align(signText(number.sign == .minus && !number.isNaN), text, usual: ">", budget)
    }

    private func signText(_ isNegative: Bool) -> String { isNegative ? "-" : sign == "-" ? "" : String(sign) }

    private func grouped(_ digits: PythonString, every size: Int) -> PythonString {
        guard let grouping else { return digits }
        var result = PythonString()
        for (index, scalar) in digits.scalars.enumerated() {
            if index > 0, (digits.count - index) % size == 0 { result.append(grouping) }
            result.append(scalar)
        }
        return result
    }

    /// - Parameter usual: the alignment where none is given.
    private func align(
        _ head: String, _ body: PythonString, usual: Unicode.Scalar, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        let text = PythonString(head) + body
        switch alignment ?? usual {
        case "<": return try text.padded(to: width, with: fill, .left, budget)
        case ">": return try text.padded(to: width, with: fill, .right, budget)
        case "=":
            return try PythonString(head)
                + body.padded(to: width - head.utf8.count, with: fill, .right, budget)
        default:
            let left = max(width - text.count, 0) / 2
            let half = try text.padded(to: text.count + left, with: fill, .right, budget)
            return try half.padded(to: width, with: fill, .left, budget)
        }
    }

    private func unknownType(_ value: TemplateValue) -> TemplateFailure {
        .wrongArguments(
            "the format specifier \(text.repr.swift) does not fit an object of type '\(value.typeName)'")
    }
}
