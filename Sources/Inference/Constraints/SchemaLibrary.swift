// The places of a schema and what they mean together: references resolved, alternatives multiplied out.

import Text

/// One schema document. It exists while a constraint is compiled, on one thread.
final class SchemaLibrary {
    let document: OrderedJSON
    private(set) var schemas: [OrderedJSON] = []
    /// JSON pointers, for messages.
    private(set) var paths: [String] = []
    private var placesByPath: [[UInt8]: Int] = [:]
    private var placesByText: [[UInt8]: Int] = [:]
    /// Bytes of schemas that may still be compared by their texts.
    private var comparedBytes = 4 << 20
    private var meanings: [Int: [SchemaShape]] = [:]
    private var merged: [SchemaReference: [SchemaShape]] = [:]
    private var inProgress: Set<Int> = []
    private var patterns: [[UInt8]: ByteAutomaton] = [:]

    init(_ text: String) throws(ConstraintError) {
        guard text.utf8.count <= ConstraintLimits.schemaBytes else {
            throw ConstraintError(
                place: "#", problem: "the schema is longer than \(ConstraintLimits.schemaBytes) bytes",
                remedy: "shorten it")
        }
        do {
            document = try OrderedJSON(parsing: text)
        } catch {
            throw ConstraintError(place: "#", problem: "\(error)", remedy: "correct the schema's JSON")
        }
    }

    /// The place of a schema. Equal schemas are one place wherever they stand, as far as comparing them does
    /// not take too long: that makes fewer rules.
    func place(of schema: OrderedJSON, path: String) -> Int {
        let name = Array(path.utf8)
        if let place = placesByPath[name] { return place }
        var place = schemas.count
        if comparedBytes > 0 {
            let text = Array(schema.compactText.utf8)
            comparedBytes -= text.count
            place = placesByText[text] ?? place
            placesByText[text] = place
        }
        placesByPath[name] = place
        if place == schemas.count {
            schemas.append(schema)
            paths.append(path)
        }
        return place
    }

    func reference(to schema: OrderedJSON, path: String) -> SchemaReference {
        SchemaReference(places: [place(of: schema, path: path)])
    }

    func path(of reference: SchemaReference) -> String {
        reference.places.first.map { paths[$0] } ?? "#"
    }

    /// Every value satisfying all schemas of the reference is of one of these shapes.
    func shapes(of reference: SchemaReference) throws(ConstraintError) -> [SchemaShape] {
        if let known = merged[reference] { return known }
        var shapes = Self.anything
        for (index, place) in reference.places.enumerated() {
            let meaning = try meaning(of: place)
            shapes = index == 0 ? meaning : try intersection(shapes, meaning, path: paths[place])
        }
        merged[reference] = shapes
        return shapes
    }

    static let null = SchemaShape.literal(SchemaLiteral(.null))
    static let booleans = [false, true].map { SchemaShape.literal(SchemaLiteral(.bool($0))) }
    static let anything: [SchemaShape] =
        [
            .object(ObjectShape()), .array(ArrayShape()), .string(StringShape()), .number(NumberShape()),
        ] + booleans + [null]

    private func meaning(of place: Int) throws(ConstraintError) -> [SchemaShape] {
        if let known = meanings[place] { return known }
        let path = paths[place]
        guard inProgress.insert(place).inserted else {
            throw ConstraintError(
                place: path, problem: "the schema refers to itself without an array or object in between",
                remedy: "remove the reference")
        }
        defer { inProgress.remove(place) }
        guard inProgress.count <= ConstraintLimits.nesting else {
            throw ConstraintError(
                place: path, problem: "references and combinations nest too deeply", remedy: "simplify them")
        }
        let reader = SchemaReader(library: self, schema: schemas[place], path: path)
        let shapes: [SchemaShape]
        do {
            shapes = try reader.read()
        } catch {
            throw error.located(at: path)
        }
        meanings[place] = shapes
        return shapes
    }

    /// The automaton of a pattern, as JSON Schema's `pattern` has it: it may match anywhere.
    func automaton(ofPattern pattern: [UInt8]) throws(ConstraintError) -> ByteAutomaton {
        if let known = patterns[pattern] { return known }
        let automaton = try ByteAutomaton(pattern: String(decoding: pattern, as: UTF8.self), isSearch: true)
        patterns[pattern] = automaton
        return automaton
    }

    /// The schema that a reference inside the document names.
    func resolve(_ target: String, path: String) throws(ConstraintError) -> SchemaReference {
        func failure(_ problem: String) -> ConstraintError {
            ConstraintError(
                place: path + "/$ref", problem: problem,
                remedy: "refer to a place in the same schema, such as #/$defs/name")
        }
        guard target.utf8.first == UInt8(ascii: "#") else { throw failure("\(target) is another document") }
        let pointer = target.utf8.dropFirst()
        guard pointer.isEmpty || pointer.first == UInt8(ascii: "/") else {
            throw failure("\(target) is not a JSON pointer")
        }
        var value = document
        // Spelled as where the schema stands, so that one place has one name.
        var place = "#"
        for part in pointer.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        {
            let name = Self.unescaped(part)
            place += "/" + Self.escaped(String(decoding: name, as: UTF8.self))
            switch value {
            case .object(let members):
                guard let member = members.last(where: { $0.key.utf8.elementsEqual(name) }) else {
                    throw failure("\(target) does not exist")
                }
                value = member.value
            case .array(let elements):
                guard let index = Int(String(decoding: name, as: UTF8.self)), elements.indices.contains(index)
                else { throw failure("\(target) does not exist") }
                value = elements[index]
            default: throw failure("\(target) does not exist")
            }
        }
        return reference(to: value, path: place)
    }

    /// A name as a JSON pointer has it.
    static func escaped(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "~": result += "~0"
            case "/": result += "~1"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Undoes a pointer's `~0` and `~1` and a fragment's `%41`.
    private static func unescaped(_ part: Substring.UTF8View.SubSequence) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(part)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest.removeFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        var result: [UInt8] = []
        rest = bytes[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "~"), let next = rest.first, next == 0x30 || next == 0x31 {
                result.append(next == 0x30 ? UInt8(ascii: "~") : UInt8(ascii: "/"))
                rest.removeFirst()
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
