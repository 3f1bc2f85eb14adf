// Values as text: `str` and `repr` of Python.

/// Collects text within the limits.
struct TemplateWriter {
    var text = PythonString()
    let budget: TemplateBudget
    private var charged = 0

    init(budget: TemplateBudget) { self.budget = budget }

    mutating func write(_ piece: String) throws(TemplateFailure) {
        text.append(piece)
        try settle()
    }

    mutating func write(_ piece: PythonString) throws(TemplateFailure) {
        text.append(piece)
        try settle()
    }

    private mutating func settle() throws(TemplateFailure) {
        try budget.charge()
        guard text.utf8.count - charged >= 4096 || text.utf8.count > TemplateLimits.textBytes else { return }
        guard text.utf8.count <= TemplateLimits.textBytes else {
            return try budget.allow(textBytes: text.utf8.count)
        }
        try budget.charge(bytes: text.utf8.count - charged)
        charged = text.utf8.count
    }
}

extension TemplateValue {
    /// `str`: what `{{ value }}` prints.
    func text(_ budget: TemplateBudget) throws(TemplateFailure) -> PythonString {
        switch self {
        case .string(let text): return text
        case .undefined: return PythonString()
        default: return try repr(budget)
        }
    }

    /// `str`, which also loses the mark of HTML.
    func plainText(_ budget: TemplateBudget) throws(TemplateFailure) -> PythonString {
        var plain = try text(budget)
        plain.isMarkup = false
        return plain
    }

    func repr(_ budget: TemplateBudget) throws(TemplateFailure) -> PythonString {
        var writer = TemplateWriter(budget: budget)
        try writeRepr(to: &writer, depth: 0)
        return writer.text
    }

    /// For messages: scalars as they are, of others only the type.
    var shortText: String {
        switch self {
        case .none, .bool, .int, .float: scalarRepr
        case .string(let text): text.count <= 60 ? text.repr.swift : text.slice(0..<60).repr.swift + "..."
        default: "<\(typeName)>"
        }
    }

    private var scalarRepr: String {
        switch self {
        case .none: "None"
        case .bool(let flag): flag ? "True" : "False"
        case .int(let number): String(number)
        case .float(let number): Self.repr(number)
        default: ""
        }
    }

    /// - Parameter depth: guards against namespaces that contain themselves.
    private func writeRepr(to writer: inout TemplateWriter, depth: Int) throws(TemplateFailure) {
        guard depth <= 2 * TemplateLimits.valueDepth else {
            throw .limit("a value is more than \(2 * TemplateLimits.valueDepth) deep")
        }
        switch self {
        case .none, .bool, .int, .float: try writer.write(scalarRepr)
        case .undefined: try writer.write("Undefined")
        case .string(let text):
            try writer.write(text.isMarkup ? "Markup(" + text.repr.swift + ")" : text.repr.swift)
        case .list(let list): try Self.write(list.elements, "[", "]", to: &writer, depth)
        case .tuple(let list):
            try Self.write(list.elements, "(", list.elements.count == 1 ? ",)" : ")", to: &writer, depth)
        case .dictionary(let dictionary): try Self.write(dictionary.entries, to: &writer, depth)
        case .view(let dictionary, let view):
            try writer.write("dict_\(view.rawValue)(")
            let list = try TemplateList(dictionary.elements(view, writer.budget), budget: writer.budget)
            try TemplateValue.list(list).writeRepr(to: &writer, depth: depth + 1)
            try writer.write(")")
        case .range(let range): try writer.write(range.description)
        case .namespace(let namespace):
            try writer.write("<Namespace ")
            try Self.write(namespace.members.map { (.string($0.name), $0.value) }, to: &writer, depth)
            try writer.write(">")
        case .macro(let closure):
            try writer.write(
                "<Macro \(closure.macro.name.map { PythonString($0.text).repr.swift } ?? "anonymous")>")
        case .loop(let loop): try writer.write("<LoopContext \(loop.index)/\(try loop.length())>")
        case .function(let name): try writer.write("<function \(name)>")
        case .method(let receiver, let name):
            try writer.write("<built-in method \(name.swift) of \(receiver.typeName) object>")
        case .iterator, .cycler, .joiner: try writer.write("<\(typeName) object>")
        }
    }

    private static func write(
        _ elements: [TemplateValue], _ open: String, _ close: String, to writer: inout TemplateWriter,
        _ depth: Int
    ) throws(TemplateFailure) {
        try writer.write(open)
        for (index, element) in elements.enumerated() {
            if index > 0 { try writer.write(", ") }
            try element.writeRepr(to: &writer, depth: depth + 1)
        }
        try writer.write(close)
    }

    private static func write(
        _ entries: [TemplateDictionary.Entry], to writer: inout TemplateWriter, _ depth: Int
    ) throws(TemplateFailure) {
        try writer.write("{")
        for (index, entry) in entries.enumerated() {
            if index > 0 { try writer.write(", ") }
            try entry.key.writeRepr(to: &writer, depth: depth + 1)
            try writer.write(": ")
            try entry.value.writeRepr(to: &writer, depth: depth + 1)
        }
        try writer.write("}")
    }

    // MARK: Numbers

    /// `repr` of a float: the shortest digits that give the number back, with an exponent below 1e-4 and from
    /// 1e16.
    static func repr(_ number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        if number == 0 { return number.sign == .minus ? "-0.0" : "0.0" }
        let (digits, exponent) = shortestDigits(number.magnitude)
        let sign = number < 0 ? "-" : ""
        if exponent < -4 || exponent >= 16 {
            let power = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
            let rest = digits.dropFirst()
            return sign + digits.prefix(1) + (rest.isEmpty ? "" : "." + rest) + (exponent < 0 ? "e-" : "e+")
                + power
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        let whole = digits.prefix(exponent + 1)
        let zeros = String(repeating: "0", count: exponent + 1 - whole.count)
        let fraction = digits.dropFirst(exponent + 1)
        return sign + whole + zeros + "." + (fraction.isEmpty ? "0" : fraction)
    }

    /// The shortest decimal digits of a positive number, and the power of ten of the first.
    private static func shortestDigits(_ number: Double) -> (digits: String, exponent: Int) {
        let parts = number.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let whole = mantissa[0]
        let all = whole + (mantissa.count > 1 ? mantissa[1] : "")
        let leadingZeros = all.prefix { $0 == "0" }.count
        var digits = String(all.dropFirst(leadingZeros))
        while digits.last == "0" { digits.removeLast() }
        let power = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        return (digits, whole.count - 1 - leadingZeros + power)
    }
}
