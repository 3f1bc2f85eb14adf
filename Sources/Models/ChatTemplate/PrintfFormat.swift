// `format % values`, which is also the filter `format`: the conversions of C's printf as Python has them.
import Glibc

struct PrintfFormat {
    private struct Conversion {
        var flags: Set<Unicode.Scalar> = []
        var width = 0
        var precision: Int?
    }

    private let format: [Unicode.Scalar]
    private var position = 0
    private let values: TemplateValue
    /// The values in their order; a tuple gives several.
    private var waiting: ArraySlice<TemplateValue>
    private let budget: TemplateBudget

    /// - Throws: if the values do not fit the format.
    static func format(
        _ format: PythonString, _ values: TemplateValue, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        var formatting = PrintfFormat(format: format.scalars, values: values, budget: budget)
        var text = PythonString()
        while let scalar = formatting.next() {
            if scalar == "%" {
                text.append(try formatting.convert())
                try budget.allow(textBytes: text.utf8.count)
            } else {
                text.append(scalar)
            }
        }
        if !formatting.waiting.isEmpty {
            switch values {
            // What can be indexed by names counts as a mapping, of which nothing need be used.
            case .dictionary, .list, .range, .undefined: return text
            default: throw .wrongValue("not all arguments converted during string formatting")
            }
        }
        return text
    }

    private init(format: [Unicode.Scalar], values: TemplateValue, budget: TemplateBudget) {
        self.format = format
        self.values = values
        self.budget = budget
        if case .tuple(let list) = values {
            waiting = list.elements[...]
        } else {
            waiting = [values]
        }
    }

    private mutating func next() -> Unicode.Scalar? {
        guard position < format.count else { return nil }
        position += 1
        return format[position - 1]
    }

    private mutating func nextValue() throws(TemplateFailure) -> TemplateValue {
        guard let value = waiting.popFirst() else {
            throw .wrongValue("not enough arguments for format string")
        }
        return value
    }

    private mutating func convert() throws(TemplateFailure) -> PythonString {
        var named: TemplateValue?
        var conversion = Conversion()
        var scalar = next()
        if scalar == "(" {
            named = try namedValue()
            scalar = next()
        }
        while let flag = scalar, "-+ #0".unicodeScalars.contains(flag) {
            conversion.flags.insert(flag)
            scalar = next()
        }
        conversion.width = try number(&scalar) ?? 0
        if conversion.width < 0 {
            conversion.flags.insert("-")
            conversion.width = -conversion.width
        }
        if scalar == "." {
            scalar = next()
            conversion.precision = try max(number(&scalar) ?? 0, 0)
        }
        while scalar == "h" || scalar == "l" || scalar == "L" { scalar = next() }
        guard let letter = scalar else { throw .wrongArguments("incomplete format") }
        if letter == "%" { return "%" }
        let value: TemplateValue
        if let named { value = named } else { value = try nextValue() }
        return try convert(value, letter, conversion)
    }

    private mutating func namedValue() throws(TemplateFailure) -> TemplateValue {
        var name = PythonString()
        var open = 1
        while let scalar = next() {
            if scalar == "(" { open += 1 }
            if scalar == ")" {
                open -= 1
                if open == 0 { break }
            }
            name.append(scalar)
        }
        guard open == 0 else { throw .wrongArguments("incomplete format key") }
        guard case .dictionary(let dictionary) = values else {
            throw .wrongValue("format requires a mapping")
        }
        guard let value = dictionary[name] else {
            throw .wrongValue("the format's key \(name.repr.swift) is missing")
        }
        return value
    }

    /// A width or precision: digits, or `*` for the next value.
    private mutating func number(_ scalar: inout Unicode.Scalar?) throws(TemplateFailure) -> Int? {
        if scalar == "*" {
            guard let number = try nextValue().index else { throw .wrongValue("* wants int") }
            scalar = next()
            return number
        }
        var result: Int?
        while let digit = scalar.flatMap({ Int(String($0)) }) {
            let value = (result ?? 0) * 10 + digit
            guard value <= TemplateLimits.textBytes else { throw .limit("a width in a format is too large") }
            result = value
            scalar = next()
        }
        return result
    }

    private func convert(
        _ value: TemplateValue, _ letter: Unicode.Scalar, _ conversion: Conversion
    ) throws(TemplateFailure) -> PythonString {
        switch letter {
        case "s", "r", "a":
            var text = letter == "s" ? try value.text(budget) : try value.repr(budget)
            if let precision = conversion.precision { text = text.slice(0..<min(precision, text.count)) }
            return try text.padded(
                to: conversion.width, with: " ", conversion.flags.contains("-") ? .left : .right, budget)
        case "c":
            if case .string(let text) = value, text.count == 1 {
                return try text.padded(to: conversion.width, with: " ", .right, budget)
            }
            guard let code = value.index, let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init)
            else {
                throw .wrongValue("%c requires int or char")
            }
            return try PythonString([scalar]).padded(to: conversion.width, with: " ", .right, budget)
        case "d", "i", "u", "x", "X", "o":
            let integer = try integer(value, letter)
            var digits = String(
                integer.magnitude, radix: letter == "o" ? 8 : letter == "x" || letter == "X" ? 16 : 10)
            if letter == "X" { digits = digits.uppercased() }
            try budget.allow(textBytes: conversion.precision ?? 0)
            digits =
                String(repeating: "0", count: max((conversion.precision ?? 0) - digits.utf8.count, 0))
                + digits
            let prefix =
                conversion.flags.contains("#") ? ["o": "0o", "x": "0x", "X": "0X"][letter] ?? "" : ""
            return try pad(integer < 0, prefix, digits, conversion)
        case "e", "E", "f", "F", "g", "G":
            if case .undefined(let missing) = value { throw missing.failure }
            guard let number = value.number?.double else {
                throw .wrongValue("must be real number, not \(value.typeName)")
            }
            try budget.allow(textBytes: (conversion.precision ?? 6) + 400)
            let digits = Self.fixed(
                number.magnitude, precision: conversion.precision ?? 6, style: Character(letter),
                isAlternate: conversion.flags.contains("#"))
            return try pad(number.sign == .minus && !number.isNaN, "", digits, conversion)
        default: throw .wrongArguments("unsupported format character \(PythonString([letter]).repr.swift)")
        }
    }

    private func integer(_ value: TemplateValue, _ letter: Unicode.Scalar) throws(TemplateFailure) -> Int {
        if let index = value.index { return index }
        if case .undefined(let missing) = value { throw missing.failure }
        let isDecimal = letter == "d" || letter == "i" || letter == "u"
        if isDecimal, case .float(let number) = value, let whole = Int(exactly: number.rounded(.towardZero)) {
            return whole
        }
        let wanted = isDecimal ? "a real number" : "an integer"
        throw .wrongValue("%\(letter) format: \(wanted) is required, not \(value.typeName)")
    }

    private func pad(
        _ isNegative: Bool, _ prefix: String, _ digits: String, _ conversion: Conversion
    ) throws(TemplateFailure) -> PythonString {
        let flags = conversion.flags
        let sign = isNegative ? "-" : flags.contains("+") ? "+" : flags.contains(" ") ? " " : ""
        let head = PythonString(sign + prefix)
        if flags.contains("-") {
            return try (head + PythonString(digits)).padded(to: conversion.width, with: " ", .left, budget)
        }
        if flags.contains("0") {
            return try head
                + PythonString(digits).padded(to: conversion.width - head.count, with: "0", .right, budget)
        }
        return try (head + PythonString(digits)).padded(to: conversion.width, with: " ", .right, budget)
    }

    /// A number by the C library, which rounds its exact value.
    /// - Parameter style: `e`, `f`, `g` or their capitals.
    static func fixed(_ number: Double, precision: Int, style: Character, isAlternate: Bool = false) -> String
    {
        let format = "%" + (isAlternate ? "#" : "") + ".*" + String(style)
        // No more digits than this are different from zero, and the C library counts in 32 bits.
        let precision = Int32(clamping: min(precision, TemplateLimits.textBytes))
        return withVaList([precision, number]) { arguments in
            var buffer = [CChar](repeating: 0, count: Int(precision) + 400)
            let length = vsnprintf(&buffer, buffer.count, format, arguments)
            return String(
                decoding: buffer.prefix(max(Int(length), 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }
}
