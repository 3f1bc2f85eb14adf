// JSON values back to YAML that people like to read, and that reads back as the same value here and in
// Kubernetes.

package import Text

package enum ManifestPrinter {
    /// One document in block style, ending in a line break. Keys are sorted, except that a manifest begins
    /// with `apiVersion`, `kind`, `metadata`, `spec` and `status`, and an item of a list with its `name`. A
    /// number that is not finite, which JSON does not have, is printed as null.
    package static func yaml(_ value: JSONValue) -> String {
        var printer = BlockPrinter()
        printer.printDocument(value)
        return printer.text
    }

    /// Documents separated by `---` lines; the empty string when there are none.
    package static func yaml(documents: [JSONValue]) -> String {
        documents.map { yaml($0) }.joined(separator: "---\n")
    }
}

private struct BlockPrinter {
    var text = ""

    private static let firstOfDocument = ["apiVersion", "kind", "metadata", "spec", "status"]
    private static let firstOfItem = ["name"]
    /// A longer key must be announced with `?`: YAML's parser looks ahead 1,024 characters for the colon.
    private static let longestSimpleKey = 250

    mutating func printDocument(_ value: JSONValue) {
        switch value {
        case .object(let members) where !members.isEmpty:
            printMembers(members, first: Self.firstOfDocument, indent: 0)
        case .array(let elements) where !elements.isEmpty:
            printElements(elements, indent: 0)
        default:
            // The indentation of a block in the root is counted from the left edge.
            printScalar(value, indent: 0)
        }
    }

    /// Prints members at a column where the cursor stands already.
    private mutating func printMembers(_ members: [String: JSONValue], first: [String], indent: Int) {
        let leading = first.filter { members[$0] != nil }
        let keys = leading + members.keys.filter { !leading.contains($0) }.sorted()
        for (index, key) in keys.enumerated() {
            if index > 0 { pad(indent) }
            let name = YAMLText.inline(key)
            if name.utf8.count > Self.longestSimpleKey {
                text += "? \(name)\n" + String(repeating: " ", count: indent)
            }
            text += name.utf8.count > Self.longestSimpleKey ? ":" : name + ":"
            printMember(members[key] ?? .null, indent: indent)
        }
    }

    private mutating func printMember(_ value: JSONValue, indent: Int) {
        switch value {
        case .object(let members) where !members.isEmpty:
            text += "\n"
            pad(indent + 2)
            printMembers(members, first: [], indent: indent + 2)
        case .array(let elements) where !elements.isEmpty:
            text += "\n"
            pad(indent)
            printElements(elements, indent: indent)
        default:
            text += " "
            printScalar(value, indent: indent + 2)
        }
    }

    private mutating func printElements(_ elements: [JSONValue], indent: Int) {
        for (index, element) in elements.enumerated() {
            if index > 0 { pad(indent) }
            text += "- "
            switch element {
            case .object(let members) where !members.isEmpty:
                printMembers(members, first: Self.firstOfItem, indent: indent + 2)
            case .array(let inner) where !inner.isEmpty:
                printElements(inner, indent: indent + 2)
            default:
                printScalar(element, indent: indent + 2)
            }
        }
    }

    /// - Parameter indent: of the lines of a block scalar.
    private mutating func printScalar(_ value: JSONValue, indent: Int) {
        switch value {
        case .null: text += "null"
        case .bool(let flag): text += flag ? "true" : "false"
        case .int(let number): text += String(number)
        case .double(let number): text += number.isFinite ? String(describing: number) : "null"
        case .string(let string):
            if indent > 0, let block = YAMLText.block(string, indent: indent) {
                text += block
                return
            }
            text += YAMLText.inline(string)
        case .array: text += "[]"
        case .object: text += "{}"
        }
        text += "\n"
    }

    private mutating func pad(_ columns: Int) {
        text += String(repeating: " ", count: columns)
    }
}
