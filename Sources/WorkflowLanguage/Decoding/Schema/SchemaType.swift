// What a field of a manifest may hold, and the notation in which the tables of this folder say so.

/// The kind of value that a field takes. Every field may also be null, which means absent.
indirect enum SchemaType: Equatable, Sendable {
    case string, bool
    /// A whole number; one written as `5.0` is one too.
    case int
    case number
    /// Kubernetes' IntOrString: a whole number, or text such as `"25%"` or a tag.
    case intOrString
    /// Argo's AnyString: every value has a text.
    case anyText
    /// A number with an optional unit: `500m`, `2Gi`.
    case quantity
    case base64
    /// Any map.
    case freeForm
    /// The parameters of one of Martlet's own steps: any map, and unlike other fields never null.
    case parameters
    case any
    /// A text out of a list; a text with a tag passes.
    case word([String])
    case list(SchemaType)
    case map(SchemaType)
    /// An object, by the name of its definition.
    case object(String)
    /// A field that Argo no longer has; the text says what to write instead.
    case removed(remedy: String)

    /// Reads the tables' notation: `string`, `[T]` for a list, `{T}` for a map of T, `a|b` for words, and a
    /// name that begins with a capital letter for an object.
    init?(notation: Substring.UTF8View) {
        let text = String(Substring(notation))
        let ends = (notation.first, notation.last)
        if let type = Self.simple[text] {
            self = type
        } else if ends == (UInt8(ascii: "["), UInt8(ascii: "]")) {
            guard let element = SchemaType(notation: notation.dropFirst().dropLast()) else { return nil }
            self = .list(element)
        } else if ends == (UInt8(ascii: "{"), UInt8(ascii: "}")) {
            guard let element = SchemaType(notation: notation.dropFirst().dropLast()) else { return nil }
            self = .map(element)
        } else if notation.contains(UInt8(ascii: "|")) {
            self = .word(notation.split(separator: UInt8(ascii: "|")).map { String(Substring($0)) })
        } else if let first = notation.first, (0x41...0x5A).contains(first) {
            self = .object(text)
        } else {
            return nil
        }
    }

    private static let simple: [String: SchemaType] = [
        "string": .string, "bool": .bool, "int": .int, "number": .number, "intOrString": .intOrString,
        "anyText": .anyText, "quantity": .quantity, "base64": .base64, "freeForm": .freeForm,
        "parameters": .parameters, "any": .any,
    ]

    /// What the field must hold, for messages: "a string".
    var phrase: String {
        switch self {
        case .string: "a string"
        case .bool: "true or false"
        case .int: "a whole number"
        case .number: "a number"
        case .intOrString: "a whole number or a string"
        case .anyText, .any: "a value"
        case .quantity: "a quantity such as 500m or 2Gi"
        case .base64: "base64 text"
        case .word(let words): "one of \(words.joined(separator: ", "))"
        case .list(.list): "a list of lists"
        case .list: "a list"
        case .freeForm, .parameters, .map, .object: "a map"
        case .removed: "absent"
        }
    }
}

/// The definitions of all objects, by name.
struct SchemaTable: Sendable {
    /// The fields of each object by name.
    private(set) var objects: [String: [String: SchemaType]] = [:]
    /// Lines that could not be read; a test keeps this empty.
    private(set) var faults: [String] = []

    /// Reads tables in which a line at the left edge names an object (`Name`, or `Name: Parent` with all
    /// fields of the parent, which must stand before it) and indented lines list its fields, `type: field
    /// field`.
    init(tables: [String], removed: [String: String]) {
        // Read as bytes: to look for the borders of characters would take longer than all else here.
        for table in tables {
            var name = ""
            for line in table.utf8.split(separator: UInt8(ascii: "\n")) {
                let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1)
                let words = parts.dropFirst().first?.split(separator: UInt8(ascii: " ")) ?? []
                if line.first == UInt8(ascii: " ") {
                    let notation = parts[0].drop { $0 == UInt8(ascii: " ") }
                    guard let type = SchemaType(notation: notation), !words.isEmpty, !name.isEmpty else {
                        faults.append(String(Substring(line)))
                        continue
                    }
                    for word in words { objects[name, default: [:]][String(Substring(word))] = type }
                } else {
                    name = String(Substring(parts[0]))
                    if objects[name] != nil { faults.append(String(Substring(line))) }
                    var fields: [String: SchemaType] = [:]
                    for parent in words { fields.merge(objects[String(Substring(parent))] ?? [:]) { $1 } }
                    objects[name] = fields
                }
            }
        }
        for (field, remedy) in removed {
            let parts = field.split(separator: ".").map { String($0) }
            if parts.count != 2 || objects[parts[0]] == nil { faults.append(field) }
            objects[parts[0]]?[parts[1]] = .removed(remedy: remedy)
        }
    }

    /// Objects that fields refer to and that no table defines; a test keeps this empty.
    var undefined: Set<String> {
        func names(_ type: SchemaType) -> [String] {
            switch type {
            case .list(let element), .map(let element): names(element)
            case .object(let name): [name]
            default: []
            }
        }
        return Set(objects.values.flatMap(\.values).flatMap { names($0) }.filter { objects[$0] == nil })
    }
}
