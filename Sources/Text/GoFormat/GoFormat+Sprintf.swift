// Go's fmt.Sprintf for JSON values: verbs, flags, widths, and its way of showing mistakes in the text.

extension GoFormat {
    /// As `fmt.Sprintf`. Never fails: a wrong verb becomes `%!d(string=hi)`, a missing argument
    /// `%!d(MISSING)`, superfluous ones `%!(EXTRA int=1)`. Width and precision are cut to `maximumWidth`.
    package static func sprintf(_ format: String, _ arguments: [JSONValue]) -> String {
        var formatter = Sprintf(format: Array(format.unicodeScalars), arguments: arguments)
        return formatter.run()
    }
}

/// What stands between `%` and the verb.
struct FormatFlags {
    var minus = false
    var plus = false
    var sharp = false
    var space = false
    var zero = false
    var width: Int?
    var precision: Int?

    /// Fills up to the width: on the right with `-`, else on the left.
    func padded(_ text: String) -> String {
        guard let width else { return text }
        let missing = width - text.unicodeScalars.count
        guard missing > 0 else { return text }
        let filling = String(repeating: zero && !minus ? "0" : " ", count: missing)
        return minus ? text + filling : filling + text
    }
}

private struct Sprintf {
    let format: [Unicode.Scalar]
    let arguments: [JSONValue]
    var position = 0
    var nextArgument = 0
    var usedExplicitIndex = false
    var badIndex = false
    var output = ""

    init(format: [Unicode.Scalar], arguments: [JSONValue]) {
        self.format = format
        self.arguments = arguments
    }

    mutating func run() -> String {
        while position < format.count {
            if format[position] != "%" {
                output.unicodeScalars.append(format[position])
                position += 1
            } else {
                position += 1
                formatDirective()
            }
        }
        if !usedExplicitIndex, nextArgument < arguments.count {
            let extras = arguments[nextArgument...].map { argument in
                argument.isNull
                    ? "<nil>" : "\(argument.goTypeName)=\(ValueFormatter().text(argument, verb: "v"))"
            }
            output += "%!(EXTRA " + extras.joined(separator: ", ") + ")"
        }
        return output
    }

    private mutating func formatDirective() {
        var flags = FormatFlags()
        badIndex = false
        readFlags(&flags)
        readArgumentIndex()
        flags.width = readNumber(badText: "%!(BADWIDTH)")
        if let width = flags.width, width < 0 {
            flags.minus = true
            flags.zero = false
            flags.width = -width
        }
        if take(".") {
            readArgumentIndex()
            let precision = readNumber(badText: "%!(BADPREC)") ?? 0
            flags.precision = precision < 0 ? nil : precision
        }
        readArgumentIndex()
        guard position < format.count else {
            output += "%!(NOVERB)"
            return
        }
        let verb = format[position]
        position += 1
        if verb == "%" {
            output += "%"
        } else if badIndex {
            output += "%!\(verb)(BADINDEX)"
        } else if nextArgument >= arguments.count {
            output += "%!\(verb)(MISSING)"
        } else {
            let argument = arguments[nextArgument]
            nextArgument += 1
            output += ValueFormatter(flags: flags).text(argument, verb: verb)
        }
    }

    private mutating func readFlags(_ flags: inout FormatFlags) {
        while position < format.count {
            switch format[position] {
            case "-": flags.minus = true
            case "+": flags.plus = true
            case "#": flags.sharp = true
            case " ": flags.space = true
            case "0": flags.zero = true
            default: return
            }
            position += 1
        }
    }

    /// Reads `[n]`, which says which argument comes next.
    private mutating func readArgumentIndex() {
        guard position < format.count, format[position] == "[" else { return }
        usedExplicitIndex = true
        guard let end = format[position...].firstIndex(of: "]") else {
            badIndex = true
            position += 1
            return
        }
        let digits = format[(position + 1)..<end].map(Character.init)
        position = end + 1
        if let index = Int(String(digits)), index >= 1, index <= arguments.count {
            nextArgument = index - 1
        } else {
            badIndex = true
        }
    }

    /// Reads a number or `*`, which takes it from the arguments.
    private mutating func readNumber(badText: String) -> Int? {
        if take("*") {
            defer { nextArgument += 1 }
            guard nextArgument < arguments.count, case .int(let number) = arguments[nextArgument] else {
                output += badText
                return nil
            }
            return min(max(number, -GoFormat.maximumWidth), GoFormat.maximumWidth)
        }
        var number: Int?
        while position < format.count, let digit = format[position].asciiDigitValue {
            number = min((number ?? 0) * 10 + digit, GoFormat.maximumWidth)
            position += 1
        }
        return number
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard position < format.count, format[position] == scalar else { return false }
        position += 1
        return true
    }
}

extension Unicode.Scalar {
    /// 0 to 9 for the ASCII digits.
    var asciiDigitValue: Int? {
        value >= 0x30 && value <= 0x39 ? Int(value) - 0x30 : nil
    }
}

extension JSONValue {
    /// The name of the type that Go's JSON decoder makes of such a value, integers being kept apart.
    var goTypeName: String {
        switch self {
        case .null: "<nil>"
        case .bool: "bool"
        case .int: "int"
        case .double: "float64"
        case .string: "string"
        case .array: "[]interface {}"
        case .object: "map[string]interface {}"
        }
    }
}
