// Which scalars fit which type, and what to say when a value does not fit.

import Text

extension SchemaType {
    /// Whether a scalar that is not null fits. It is what Kubernetes' JSON decoder accepts for the type.
    func accepts(_ scalar: JSONValue) -> Bool {
        switch (self, scalar) {
        case (.string, .string), (.bool, .bool), (.int, .int), (.number, .int), (.number, .double): true
        case (.int, .double(let number)): Int(exactly: number) != nil
        case (.intOrString, .int), (.intOrString, .string): true
        case (.intOrString, .double(let number)): Int(exactly: number) != nil
        case (.quantity, .int), (.quantity, .double): true
        case (.quantity, .string(let text)): Self.isQuantity(text)
        case (.base64, .string(let text)): Base64.decode(text) != nil
        case (.word(let words), .string(let text)):
            words.contains(text) || text.isEmpty || text.hasTag
        default: false
        }
    }

    /// A sign, digits with at most one point, and a unit or an exponent.
    private static func isQuantity(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.hasPrefix("+") || rest.hasPrefix("-") { rest = rest.dropFirst() }
        let number = rest.prefix { $0 == "." || ($0.isASCII && $0.isNumber) }
        guard number.utf8.contains(where: { $0 != UInt8(ascii: ".") }),
            number.utf8.count(where: { $0 == UInt8(ascii: ".") }) <= 1
        else { return false }
        let unit = rest.dropFirst(number.count)
        if units.contains(String(unit)) { return true }
        guard unit.hasPrefix("e") || unit.hasPrefix("E") else { return false }
        return Int(unit.dropFirst()) != nil
    }

    private static let units: Set<String> = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ]

    func mismatch(with value: MarkedValue) -> (message: String, remedy: String?) {
        var message = "must be \(phrase), not \(value.phrase)"
        if case .scalar(.string(let text)) = value.content {
            switch self {
            case .word, .quantity, .base64: message = "\"\(text.shortened)\" is not \(phrase)"
            default: break
            }
        }
        return (message, remedy(for: value))
    }

    private func remedy(for value: MarkedValue) -> String? {
        switch (self, value.content) {
        case (.string, .scalar(.bool)), (.base64, .scalar(.bool)), (.word, .scalar(.bool)):
            // The word is not quoted back: `yes`, `on` and `true` are the same value by now.
            return "words such as yes, no, on, off, true and false are text only in quotes"
        case (.string, .scalar(let scalar)), (.base64, .scalar(let scalar)), (.word, .scalar(let scalar)):
            guard let text = scalar.scalarText, case .word(let words) = self, scalar.stringValue != nil else {
                return scalar.scalarText.map { "put it in quotes: \"\($0)\"" }
            }
            return EditDistance.nearest(to: text, in: words).map { "did you mean \"\($0)\"?" }
        case (.string, .array(let elements)) where elements.count == 1:
            guard let element = elements.first, case .scalar(let scalar) = element.content,
                let text = scalar.scalarText
            else { return nil }
            return "write it without brackets and dash: \(text.shortened)"
        case (.string, .array), (.string, .object):
            return
                "write text of several lines as a block that begins with |, and text with brackets in quotes"
        case (.int, .scalar(.string(let text))), (.bool, .scalar(.string(let text))),
            (.number, .scalar(.string(let text))):
            if text.hasTag { return "a tag cannot stand here: Argo reads this field before it fills tags in" }
            return (try? YAMLScalar.resolvePlain(text)).flatMap {
                accepts($0) ? "write it without quotes" : nil
            }
        case (.quantity, .scalar(.string(let text))) where text.hasTag:
            return "a tag cannot stand here: use podSpecPatch for a quantity that is a parameter"
        case (.list(.list), .object), (.list(.list), .array):
            return "begin the first item of each group with \"- - \""
        case (.list(let element), _):
            switch (element, value.content) {
            case (_, .array): return nil
            case (.list, .scalar): return "write a list of lists: \"- - name: ...\""
            case (.object, .object): return "begin each item with \"- \""
            case (_, .scalar(let scalar)):
                if scalar.stringValue?.hasTag == true { return "a tag cannot stand for a list" }
                return element.accepts(scalar) ? "write it as a list of one: [\(scalar.compactText)]" : nil
            default: return nil
            }
        case (.object, .array), (.map, .array), (.freeForm, .array), (.parameters, .array):
            return "remove the \"- \" at the beginning of the lines"
        default: return nil
        }
    }
}

extension String {
    /// Whether the text has an Argo tag, which may stand for anything.
    fileprivate var hasTag: Bool { contains("{{") }

    fileprivate var shortened: String { count > 60 ? prefix(57) + "..." : self }
}
