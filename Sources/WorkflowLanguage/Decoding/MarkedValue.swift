// A document as read: JSON's values, each with the place where it stands in its file.

package import Text

/// A value with its mark.
package struct MarkedValue: Sendable {
    package enum Content: Sendable {
        case scalar(JSONValue)
        case array([MarkedValue])
        /// In the file's order; a key given twice was reported when reading.
        case object([Member])
    }

    package struct Member: Sendable {
        package var key: String
        /// Where the key stands.
        package var line: Int
        package var column: Int
        package var value: MarkedValue
    }

    package var content: Content
    /// Counted from 1.
    package var line: Int
    package var column: Int

    package init(content: Content, line: Int, column: Int) {
        self.content = content
        self.line = line
        self.column = column
    }

    /// The value without marks.
    package var json: JSONValue {
        switch content {
        case .scalar(let value): return value
        case .array(let elements): return .array(elements.map(\.json))
        case .object(let members):
            return .object(Dictionary(members.map { ($0.key, $0.value.json) }, uniquingKeysWith: { $1 }))
        }
    }

    /// The place of the value at a path, or of the nearest enclosing one that exists. For a member, the place
    /// of its key, which is what people look for.
    package func place(of path: [PathElement]) -> (line: Int, column: Int) {
        var current = self
        var place = (line, column)
        for element in path {
            switch (element, current.content) {
            case (.key(let key), .object(let members)):
                guard let member = members.last(where: { $0.key == key }) else { return place }
                place = (member.line, member.column)
                current = member.value
            case (.index(let index), .array(let elements)) where elements.indices.contains(index):
                current = elements[index]
                place = (current.line, current.column)
            default:
                return place
            }
        }
        return place
    }
}

/// One document of a file.
package struct ManifestDocument: Sendable {
    package var file: String
    package var value: MarkedValue
    package var json: JSONValue

    package var kind: String { json["kind"]?.stringValue ?? "" }

    package init(file: String, value: MarkedValue) {
        self.file = file
        self.value = value
        json = value.json
    }
}
