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
    init?(notation: some StringProtocol) {
        if let type = Self.simple[String(notation)] {
            self = type
        } else if notation.hasPrefix("["), notation.hasSuffix("]") {
            guard let element = SchemaType(notation: notation.dropFirst().dropLast()) else { return nil }
            self = .list(element)
        } else if notation.hasPrefix("{"), notation.hasSuffix("}") {
            guard let element = SchemaType(notation: notation.dropFirst().dropLast()) else { return nil }
            self = .map(element)
        } else if notation.contains("|") {
            self = .word(notation.split(separator: "|").map { String($0) })
        } else if notation.utf8.first.map({ (0x41...0x5A).contains($0) }) ?? false {
            self = .object(String(notation))
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
        for table in tables {
            var name = ""
            for line in table.split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1)
                let words = parts.dropFirst().first?.split(separator: " ") ?? []
                if line.hasPrefix(" ") {
                    guard let type = SchemaType(notation: parts[0].trimmingBlanks), !words.isEmpty,
                        !name.isEmpty
                    else {
                        faults.append(String(line))
                        continue
                    }
                    for word in words { objects[name, default: [:]][String(word)] = type }
                } else {
                    name = String(parts[0])
                    if objects[name] != nil { faults.append(String(line)) }
                    var fields: [String: SchemaType] = [:]
                    for parent in words { fields.merge(objects[String(parent)] ?? [:]) { $1 } }
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

extension Substring {
    fileprivate var trimmingBlanks: Substring { drop { $0 == " " } }
}
