// A schema's meaning, sorted by the kind of value: what every keyword of one place says together.

import Text

/// The schemas that a value has to satisfy together, as places in a `SchemaLibrary`; none allow everything.
struct SchemaReference: Hashable {
    private(set) var places: [Int]

    static let anything = SchemaReference(places: [])

    init(places: some Sequence<Int>) { self.places = Array(Set(places)).sorted() }

    func union(_ other: SchemaReference) -> SchemaReference {
        SchemaReference(places: places + other.places)
    }
}

/// One kind of value that a schema allows. A schema is a list of them.
enum SchemaShape: Hashable {
    case literal(SchemaLiteral)
    case number(NumberShape)
    case string(StringShape)
    case array(ArrayShape)
    case object(ObjectShape)
}

/// A single value: null, true, false, or what `const` and `enum` list.
struct SchemaLiteral: Hashable {
    let value: OrderedJSON
    /// The value's JSON without whitespace. Compared by its bytes, since `String` finds different code points
    /// equal.
    let text: [UInt8]

    init(_ value: OrderedJSON) {
        self.value = value
        var text: [UInt8] = []
        Self.append(value, to: &text)
        self.text = text
    }

    static func == (left: Self, right: Self) -> Bool { left.text == right.text }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }

    private static func append(_ value: OrderedJSON, to text: inout [UInt8]) {
        switch value {
        case .string(let string): text += encoded(string.utf8)
        case .double(let number):
            // 1.0 and 1 are the same number.
            text += (Int(exactly: number).map(String.init) ?? value.compactText).utf8
        case .array(let elements):
            text.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                append(element, to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .object(let members):
            text.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                text += encoded(member.key.utf8)
                text.append(UInt8(ascii: ":"))
                append(member.value, to: &text)
            }
            text.append(UInt8(ascii: "}"))
        case .null, .bool, .int: text += value.compactText.utf8
        }
    }

    /// A string in quotes, with no more escapes than JSON demands.
    static func encoded(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var result = [UInt8(ascii: "\"")]
        for byte in bytes {
            if let escape = JSONEscapes.escape(of: byte) { result += escape } else { result.append(byte) }
        }
        result.append(UInt8(ascii: "\""))
        return result
    }
}

/// How JSON writes the bytes that cannot stand in a string as they are.
enum JSONEscapes {
    /// The bytes that need escapes.
    static let escaped: [UInt8] = Array(0...0x1F) + [UInt8(ascii: "\""), UInt8(ascii: "\\")]

    static func escape(of byte: UInt8) -> [UInt8]? {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [UInt8(ascii: "\\"), byte]
        case 0x08: return Array("\\b".utf8)
        case 0x09: return Array("\\t".utf8)
        case 0x0A: return Array("\\n".utf8)
        case 0x0C: return Array("\\f".utf8)
        case 0x0D: return Array("\\r".utf8)
        case 0..<0x20:
            let digits = String(byte, radix: 16)
            return Array("\\u00\(digits.utf8.count < 2 ? "0" : "")\(digits)".utf8)
        default: return nil
        }
    }
}

struct StringShape: Hashable {
    var minimum = 0
    var maximum: Int?
    /// Patterns that must match somewhere, each in UTF-8.
    var patterns: Set<[UInt8]> = []

    func intersection(_ other: StringShape) -> StringShape? {
        let maximum = [maximum, other.maximum].compactMap { $0 }.min()
        let minimum = max(minimum, other.minimum)
        if let maximum, maximum < minimum { return nil }
        return StringShape(minimum: minimum, maximum: maximum, patterns: patterns.union(other.patterns))
    }
}

struct ArrayShape: Hashable {
    var prefix: [SchemaReference] = []
    var items = SchemaReference.anything
    /// Whether the schema says anything of the items behind the prefix. If not, there are none.
    var hasItems = false
    var minimum = 0
    var maximum: Int?
    var isUnique = false

    func item(_ index: Int) -> SchemaReference { index < prefix.count ? prefix[index] : items }

    func intersection(_ other: ArrayShape) -> ArrayShape? {
        var result = ArrayShape()
        result.prefix = (0..<max(prefix.count, other.prefix.count)).map { item($0).union(other.item($0)) }
        result.items = items.union(other.items)
        result.hasItems = hasItems || other.hasItems
        result.minimum = max(minimum, other.minimum)
        result.maximum = [maximum, other.maximum].compactMap { $0 }.min()
        result.isUnique = isUnique || other.isUnique
        if let maximum = result.maximum, maximum < result.minimum { return nil }
        return result
    }
}

struct ObjectShape: Hashable {
    struct Property: Hashable {
        /// In UTF-8: `String` finds different code points equal.
        var key: [UInt8]
        var value: SchemaReference
    }

    /// Keys that are no properties, by the patterns they match. The regions of an object have no key in
    /// common and have all of them.
    struct Region: Hashable {
        var matching: Set<[UInt8]> = []
        var notMatching: Set<[UInt8]> = []
        var value = SchemaReference.anything
    }

    var properties: [Property] = []
    var required: [[UInt8]] = []
    var regions = [Region()]
    /// Whether the schema says what additional properties are. If not, a schema that declares properties has
    /// no others.
    var hasAdditional = false
    /// What each key has to satisfy, as a string.
    var names = SchemaReference.anything
    var minimum = 0
    var maximum: Int?

    func property(_ key: [UInt8]) -> SchemaReference? { properties.first { $0.key == key }?.value }
}
