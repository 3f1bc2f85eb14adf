// Numbers and truth values in fields that take text. Argo's command line turns them into text while it
// converts YAML to JSON, because it knows the fields' types by then: `value: 8080` in `env` and `cache: true`
// in labels work.

import Text

extension SchemaTable {
    /// The value with such scalars as text; nil if there are none.
    func textified(_ value: MarkedValue, as type: SchemaType) -> MarkedValue? {
        switch (type, value.content) {
        case (.string, .scalar(let scalar)), (.word, .scalar(let scalar)):
            guard let text = Self.text(of: scalar) else { return nil }
            return MarkedValue(content: .scalar(.string(text)), line: value.line, column: value.column)
        case (.list(let element), .array(let values)):
            var changed: [MarkedValue]?
            for (index, inner) in values.enumerated() {
                guard let new = textified(inner, as: element) else { continue }
                if changed == nil { changed = values }
                changed?[index] = new
            }
            return changed.map { MarkedValue(content: .array($0), line: value.line, column: value.column) }
        case (.map(let element), .object(let members)):
            return textified(members, of: value) { _ in element }
        case (.object(let name), .object(let members)):
            guard let fields = objects[name] else { return nil }
            return textified(members, of: value) { fields[$0] }
        default:
            return nil
        }
    }

    private func textified(
        _ members: [MarkedValue.Member], of value: MarkedValue, type: (String) -> SchemaType?
    ) -> MarkedValue? {
        var changed: [MarkedValue.Member]?
        for (index, member) in members.enumerated() {
            guard let type = type(member.key), let new = textified(member.value, as: type) else { continue }
            if changed == nil { changed = members }
            changed?[index].value = new
        }
        return changed.map { MarkedValue(content: .object($0), line: value.line, column: value.column) }
    }

    /// A number or truth value as Go's `%v` prints it.
    private static func text(of scalar: JSONValue) -> String? {
        switch scalar {
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double: GoFormat.sprintf("%v", [scalar])
        case .null, .string, .array, .object: nil
        }
    }
}
