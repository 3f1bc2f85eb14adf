// The filters of Jinja by name; those over lists and those over texts are in files of their own.
import Glibc

enum TemplateFilters {
    static let names: Set = [
        "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
        "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items",
        "join",
        "last", "length", "list", "lower", "map", "max", "min", "pprint", "reject", "rejectattr", "replace",
        "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum",
        "title",
        "tojson", "trim", "truncate", "unique", "upper", "urlencode", "wordcount", "xmlattr",
    ]
}

extension TemplateEvaluator {
    func filter(
        _ name: String, _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        if case .string(let text) = value { try budget.charge(bytes: text.utf8.count) }
        if let result = try listFilter(name, value, arguments) { return result }
        if let result = try textFilter(name, value, arguments) { return result }
        switch name {
        case "default", "d":
            let values = try arguments.bound(name, ["default_value", "boolean"])
            let isReplaced = value.isUndefined || values[1]?.isTrue ?? false && !value.isTrue
            return isReplaced ? values[0] ?? .string("") : value
        case "length", "count":
            _ = try arguments.bound(name, [])
            if case .loop(let loop) = value { return .int(try loop.length()) }
            guard let length = value.length else {
                throw .wrongValue("object of type '\(value.typeName)' has no len()")
            }
            return .int(length)
        case "attr":
            let name = try requiredText(arguments.bound(name, ["name"], required: 1)[0], name)
            if case .dictionary(let dictionary) = value, dictionary[name] != nil,
                !TemplateMethods.names(of: value).allowed.contains(name.swift)
            {
                return .undefined(TemplateUndefined(.attribute(name, of: value.ownerName)))
            }
            return try attribute(name, of: value)
        case "tojson": return .string(try TemplateJSON.text(of: value, arguments, budget))
        case "int": return try integer(value, arguments)
        case "float": return try float(value, arguments)
        case "abs": return try absolute(value, arguments)
        case "round": return try round(value, arguments)
        case "filesizeformat": return try fileSize(value, arguments)
        default:
            throw TemplateFailure(
                kind: .rendering, problem: "no filter is named `\(name)`",
                remedy: "use one of those that transformers has")
        }
    }

    // MARK: Numbers

    private func integer(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        let values = try arguments.bound("int", ["default", "base"])
        let fallback = values[0] ?? .int(0)
        switch value {
        case .undefined(let missing): throw missing.failure
        case .string(let text):
            let base = try integer(values[1], default: 10, of: "int")
            if let number = Self.integer(text, base: base) { return .int(number) }
            guard let number = Self.float(text), number.isFinite else { return fallback }
            return .int(try Self.whole(number))
        case .float(let number):
            if number.isNaN { return fallback }
            guard number.isFinite else { throw .wrongValue("cannot convert float infinity to integer") }
            return .int(try Self.whole(number))
        default: return value.index.map { .int($0) } ?? fallback
        }
    }

    /// An argument that must be a whole number.
    func integer(
        _ value: TemplateValue?, default fallback: Int, of function: String
    ) throws(TemplateFailure) -> Int {
        guard let value else { return fallback }
        if case .undefined(let missing) = value { throw missing.failure }
        guard let index = value.index else {
            throw .wrongArguments(
                "'\(value.typeName)' object cannot be interpreted as an integer, in \(function)")
        }
        return index
    }

    private static func whole(_ number: Double) throws(TemplateFailure) -> Int {
        guard let whole = Int(exactly: number.rounded(.towardZero)) else {
            throw .limit("an integer becomes larger than 64 bits can hold")
        }
        return whole
    }

    /// `int(text, base)`: with white space around, a sign, a prefix, and single underscores between digits.
    private static func integer(_ text: PythonString, base: Int) -> Int? {
        var digits = text.stripped(.both).swift.lowercased()
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        var base = base
        for (prefix, meant) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            guard base == meant || base == 0 else { continue }
            digits.removeFirst(2)
            if digits.hasPrefix("_") { digits.removeFirst() }
            base = meant
        }
        if base == 0 { base = 10 }
        guard (2...36).contains(base), let digits = withoutUnderscores(digits), digits.first != "+" else {
            return nil
        }
        return digits.hasPrefix("-") ? nil : Int((isNegative ? "-" : "") + digits, radix: base)
    }

    private static func withoutUnderscores(_ digits: String) -> String? {
        guard digits.contains("_") else { return digits.isEmpty ? nil : digits }
        let groups = digits.split(separator: "_", omittingEmptySubsequences: false)
        return groups.contains { $0.isEmpty } ? nil : groups.joined()
    }

    /// `float(text)`.
    static func float(_ text: PythonString) -> Double? {
        let trimmed = text.stripped(.both).swift.lowercased()
        guard let plain = withoutUnderscores(trimmed) else { return nil }
        switch plain {
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        case "nan", "+nan", "-nan": return .nan
        default:
            guard
                plain.utf8.allSatisfy({
                    (48...57).contains($0) || $0 == 43 || $0 == 45 || $0 == 46 || $0 == 101
                })
            else { return nil }
            // Swift refuses numbers that begin or end with their point.
            let parts = plain.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
            var mantissa = String(parts[0])
            guard mantissa.contains(where: \.isNumber) else { return nil }
            if mantissa.hasSuffix(".") { mantissa += "0" }
            if let point = mantissa.firstIndex(of: "."),
                point == mantissa.startIndex || !mantissa[mantissa.index(before: point)].isNumber
            {
                mantissa.insert("0", at: point)
            }
            return Double(parts.count > 1 ? mantissa + "e" + parts[1] : mantissa)
        }
    }

    private func float(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        let fallback = try arguments.bound("float", ["default"])[0] ?? .float(0)
        switch value {
        case .undefined(let missing): throw missing.failure
        case .string(let text): return Self.float(text).map { .float($0) } ?? fallback
        default: return value.number.map { .float($0.double) } ?? fallback
        }
    }

    private func absolute(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        _ = try arguments.bound("abs", [])
        switch (value, value.number) {
        case (.undefined(let missing), _): throw missing.failure
        case (_, .int(let number)?): return number < 0 ? try value.signed(negative: true) : .int(number)
        case (_, .float(let number)?): return .float(number.magnitude)
        default: throw .wrongValue("bad operand type for abs(): '\(value.typeName)'")
        }
    }

    private func round(_ value: TemplateValue, _ arguments: CallArguments) throws(TemplateFailure)
        -> TemplateValue
    {
        let values = try arguments.bound("round", ["precision", "method"])
        // Beyond these there is nothing left to round, on either side.
        let precision = min(max(try integer(values[0], default: 0, of: "round"), -400), 400)
        let method =
            try values[1].map { (value) throws(TemplateFailure) in try requiredText(value, "round") }
            ?? "common"
        if case .undefined(let missing) = value { throw missing.failure }
        guard let number = value.number else {
            throw .wrongValue("type \(value.typeName) doesn't define __round__ method")
        }
        switch method {
        case "common":
            if case .int(let whole) = number {
                return .int(precision >= 0 ? whole : try Self.round(whole, -precision))
            }
            return .float(Self.round(number.double, precision))
        case "ceil", "floor":
            let scale = pow(10, Double(precision))
            let scaled = number.double * scale
            guard scaled.isFinite else { throw .wrongValue("cannot convert float infinity to integer") }
            return .float((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
        default: throw .wrongArguments("method must be common, ceil or floor")
        }
    }

    /// To the nearest multiple of a power of ten, ties to the even one.
    private static func round(_ number: Int, _ digits: Int) throws(TemplateFailure) -> Int {
        guard digits <= 18 else { return 0 }
        let unit = (0..<digits).reduce(1) { product, _ in product * 10 }
        var (quotient, remainder) = number.quotientAndRemainder(dividingBy: unit)
        let twice = remainder.magnitude * 2
        if twice > UInt(unit) || twice == UInt(unit) && quotient % 2 != 0 { quotient += number < 0 ? -1 : 1 }
        remainder = 0
        let (rounded, overflow) = quotient.multipliedReportingOverflow(by: unit)
        guard !overflow else { throw .limit("an integer becomes larger than 64 bits can hold") }
        return rounded
    }

    /// Rounded by its exact decimal digits, as Python does: 2.675 is a little less, and becomes 2.67.
    private static func round(_ number: Double, _ precision: Int) -> Double {
        guard number.isFinite, precision <= 323 else { return number }
        if precision >= 0 {
            return Double(PrintfFormat.fixed(number, precision: precision, style: "f")) ?? number
        }
        guard precision >= -308 else { return Double(signOf: number, magnitudeOf: 0) }
        let unit = pow(10, Double(-precision))
        return (number / unit).rounded(.toNearestOrEven) * unit
    }

    private func fileSize(
        _ value: TemplateValue, _ arguments: CallArguments
    ) throws(TemplateFailure) -> TemplateValue {
        let isBinary = try arguments.bound("filesizeformat", ["binary"])[0]?.isTrue ?? false
        guard case .float(let bytes) = try float(value, CallArguments()) else { return value }
        let base = isBinary ? 1024.0 : 1000.0
        if bytes == 1 { return .text("1 Byte") }
        guard bytes.magnitude < 1e18, bytes >= base else {
            return .text("\(Int(max(min(bytes, 1e18), -1e18))) Bytes")
        }
        let prefixes =
            isBinary ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] : ["kB", "MB", "GB", "TB", "PB", "EB"]
        var unit = base
        for prefix in prefixes {
            unit *= base
            if bytes < unit {
                return .text(PrintfFormat.fixed(base * bytes / unit, precision: 1, style: "f") + " " + prefix)
            }
        }
        return .text(
            PrintfFormat.fixed(base * bytes / unit, precision: 1, style: "f") + " " + (prefixes.last ?? ""))
    }
}
