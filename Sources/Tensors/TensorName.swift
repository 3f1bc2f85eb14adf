// Names of tensors as bytes, which is what they are in files.

/// A name compared byte by byte; two strings are equal already when they look alike.
struct TensorName: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (one: TensorName, other: TensorName) -> Bool {
        one.text.utf8.elementsEqual(other.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }

    /// The order of the bytes, which is also that of the reference library.
    static func precedes(_ one: String, _ other: String) -> Bool {
        one.utf8.lexicographicallyPrecedes(other.utf8)
    }
}
