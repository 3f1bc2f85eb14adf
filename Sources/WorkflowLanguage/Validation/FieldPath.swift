// The way from a document's root to a field, written as people index: path["templates"][2]["dag"].

/// A path that validators extend while they go down.
struct FieldPath: Sendable, Hashable {
    var elements: [PathElement]

    init(_ elements: [PathElement] = []) {
        self.elements = elements
    }

    subscript(key: String) -> FieldPath { FieldPath(elements + [.key(key)]) }
    subscript(index: Int) -> FieldPath { FieldPath(elements + [.index(index)]) }

    var text: String { elements.text }
}
