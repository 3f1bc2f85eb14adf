// The filter `tojson` as transformers has it for chat templates, which is Python's `json.dumps`: blanks
// behind commas and colons, no escaping of HTML, and characters beyond ASCII as they are.
import Text

struct TemplateJSON {
    private var writer: TemplateWriter
    private let escapesUnicode: Bool
    /// What one level is indented by; nil for everything on one line.
    private let indentation: PythonString?
    private let elementSeparator: PythonString
    private let keySeparator: PythonString
    private let sortsKeys: Bool

    static func text(
        of value: TemplateValue, _ arguments: CallArguments, _ budget: TemplateBudget
    ) throws(TemplateFailure) -> PythonString {
        let values = try arguments.bound("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])
        var json = try TemplateJSON(values, budget)
        try json.write(value, level: 0)
        return json.writer.text
    }

    private init(_ values: [TemplateValue?], _ budget: TemplateBudget) throws(TemplateFailure) {
        writer = TemplateWriter(budget: budget)
        escapesUnicode = values[0]?.isTrue ?? false
        switch values[1] {
        case nil, TemplateValue.none?: indentation = nil
        case .string(let text)?: indentation = text
        case let value?:
            guard let width = value.index else { throw .wrongArguments("tojson wants a number for indent") }
            try budget.allow(textBytes: max(width, 0))
            indentation = PythonString(" ").repeated(width)
        }
        sortsKeys = values[3]?.isTrue ?? false
        guard let separators = values[2], !separators.isNone else {
            elementSeparator = indentation == nil ? ", " : ","
            keySeparator = ": "
            return
        }
        let pair = try separators.elements(budget)
        guard pair.count == 2, case .string(let first) = pair[0], case .string(let second) = pair[1] else {
            throw .wrongArguments("tojson wants two texts for separators")
        }
        elementSeparator = first
        keySeparator = second
    }

    private mutating func write(_ value: TemplateValue, level: Int) throws(TemplateFailure) {
        switch value {
        case .none: try writer.write("null")
        case .bool(let flag): try writer.write(flag ? "true" : "false")
        case .int(let number): try writer.write(String(number))
        case .float(let number): try writer.write(Self.text(of: number))
        case .string(let text): try write(quoted: text)
        case .list(let list), .tuple(let list):
            guard !list.elements.isEmpty else { return try writer.write("[]") }
            try writer.write("[")
            for (index, element) in list.elements.enumerated() {
                if index > 0 { try writer.write(elementSeparator) }
                try breakLine(level + 1)
                try write(element, level: level + 1)
            }
            try breakLine(level)
            try writer.write("]")
        case .dictionary(let dictionary): try write(dictionary, level: level)
        default: throw .wrongValue("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private mutating func write(_ dictionary: TemplateDictionary, level: Int) throws(TemplateFailure) {
        guard !dictionary.entries.isEmpty else { return try writer.write("{}") }
        var entries = dictionary.entries
        if sortsKeys { entries = try sorted(entries) }
        try writer.write("{")
        for (index, entry) in entries.enumerated() {
            if index > 0 { try writer.write(elementSeparator) }
            try breakLine(level + 1)
            switch entry.key {
            case .string(let text): try write(quoted: text)
            case .none, .bool, .int, .float:
                try writer.write("\"")
                try write(entry.key, level: level)
                try writer.write("\"")
            default:
                throw .wrongValue("keys must be str, int, float, bool or None, not \(entry.key.typeName)")
            }
            try writer.write(keySeparator)
            try write(entry.value, level: level + 1)
        }
        try breakLine(level)
        try writer.write("}")
    }

    private func sorted(
        _ entries: [TemplateDictionary.Entry]
    ) throws(TemplateFailure) -> [TemplateDictionary.Entry] {
        var texts: [(key: PythonString, entry: TemplateDictionary.Entry)] = []
        for entry in entries {
            guard case .string(let text) = entry.key else {
                throw .unsupported("tojson can sort only keys that are texts")
            }
            texts.append((text, entry))
        }
        try writer.budget.charge(texts.count * 16)
        return texts.sorted { $0.key < $1.key }.map(\.entry)
    }

    private mutating func breakLine(_ level: Int) throws(TemplateFailure) {
        guard let indentation else { return }
        try writer.write("\n")
        for _ in 0..<level { try writer.write(indentation) }
    }

    private static func text(of number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return TemplateValue.repr(number)
    }

    private mutating func write(quoted text: PythonString) throws(TemplateFailure) {
        try writer.budget.allow(textBytes: text.utf8.count)
        var result = PythonString("\"")
        if escapesUnicode {
            for scalar in text.scalars { Self.appendASCII(scalar, to: &result) }
        } else {
            for byte in text.utf8 { Self.append(byte, to: &result) }
        }
        result.append("\"")
        try writer.write(result)
    }

    private static func append(_ byte: UInt8, to text: inout PythonString) {
        switch byte {
        case UInt8(ascii: "\""): text.append("\\\"")
        case UInt8(ascii: "\\"): text.append("\\\\")
        case 0x0A: text.append("\\n")
        case 0x0D: text.append("\\r")
        case 0x09: text.append("\\t")
        case 0x0C: text.append("\\f")
        case 0x08: text.append("\\b")
        case 0..<0x20: appendEscape(UInt16(byte), to: &text)
        default: text.append(byte: byte)
        }
    }

    private static func appendASCII(_ scalar: Unicode.Scalar, to text: inout PythonString) {
        if scalar.value < 0x7F { return append(UInt8(scalar.value), to: &text) }
        for unit in String(scalar).utf16 { appendEscape(unit, to: &text) }
    }

    private static func appendEscape(_ unit: UInt16, to text: inout PythonString) {
        let digits = String(unit, radix: 16)
        text.append("\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits)
    }
}

extension TemplateValue {
    /// What JSON says, as a value of the template.
    init(_ json: OrderedJSON, _ budget: TemplateBudget) throws(TemplateFailure) {
        switch json {
        case .null: self = .none
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .double(let number): self = .float(number)
        case .string(let text): self = .string(PythonString(text))
        case .array(let elements):
            var values: [TemplateValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try TemplateValue(element, budget)) }
            self = .list(try TemplateList(values, budget: budget))
        case .object(let members):
            var entries: [TemplateDictionary.Entry] = []
            entries.reserveCapacity(members.count)
            for member in members {
                entries.append((.string(PythonString(member.key)), try TemplateValue(member.value, budget)))
            }
            self = .dictionary(try TemplateDictionary(entries, budget: budget))
        }
    }
}
