// Reads the keywords of one schema. What cannot be generated exactly is refused by its name: output that does
// not validate would be worse than none.

import Text

struct SchemaReader {
    let library: SchemaLibrary
    let schema: OrderedJSON
    let path: String

    /// Keywords that restrict values and that no automaton of this kind can follow, with what to do instead.
    private static let refused: [(keyword: String, remedy: String)] = [
        ("not", "list what is allowed, with anyOf or enum"),
        ("if", "use anyOf with one schema a case"), ("then", "use anyOf with one schema a case"),
        ("else", "use anyOf with one schema a case"),
        ("dependentRequired", "use anyOf with one schema a case"),
        ("dependentSchemas", "use anyOf with one schema a case"),
        ("dependencies", "use anyOf with one schema a case"),
        ("contains", "use prefixItems or items"), ("minContains", "use minItems"),
        ("maxContains", "use maxItems"), ("unevaluatedProperties", "use additionalProperties"),
        ("unevaluatedItems", "use items"), ("$dynamicRef", "use $ref"), ("$recursiveRef", "use $ref"),
        ("extends", "use allOf"), ("disallow", "use type"), ("divisibleBy", "use multipleOf"),
    ]

    func read() throws(ConstraintError) -> [SchemaShape] {
        if let allowed = schema.boolValue { return allowed ? SchemaLibrary.anything : [] }
        guard case .object(let members) = schema else {
            throw failure("a schema must be an object, true or false", remedy: "correct it")
        }
        for (keyword, remedy) in Self.refused where schema[keyword] != nil {
            throw ConstraintError(
                place: "\(path)/\(keyword)", problem: "\(keyword) cannot be used to constrain output",
                remedy: remedy)
        }
        guard !members.isEmpty else { return SchemaLibrary.anything }
        var shapes = try typedShapes()
        if let value = schema["const"] { shapes = try restricted(shapes, to: [value], keyword: "const") }
        if let value = schema["enum"] {
            guard let values = value.arrayValue else { throw failure("enum must be a list", at: "enum") }
            shapes = try restricted(shapes, to: values, keyword: "enum")
        }
        if let target = schema["$ref"] {
            guard let target = target.stringValue else { throw failure("$ref must be a string", at: "$ref") }
            let meaning = try library.shapes(of: try library.resolve(target, path: path))
            shapes = try library.intersection(shapes, meaning, path: path)
        }
        for reference in try schemas("allOf") ?? [] {
            shapes = try library.intersection(shapes, try library.shapes(of: reference), path: path)
        }
        if let branches = try schemas("anyOf") {
            let meanings = try library.union(of: branches, path: "\(path)/anyOf")
            shapes = try library.intersection(shapes, meanings, path: path)
        }
        if let branches = try schemas("oneOf") {
            let meanings = try library.exclusiveUnion(of: branches, path: "\(path)/oneOf")
            shapes = try library.intersection(shapes, meanings, path: path)
        }
        return shapes
    }

    // MARK: Kinds of values

    private func typedShapes() throws(ConstraintError) -> [SchemaShape] {
        var names: [String]
        switch schema["type"] {
        case nil: names = Self.kinds
        case .string(let name): names = [name]
        case .array(let elements):
            names = elements.compactMap(\.stringValue)
            guard names.count == elements.count else { throw failure("type must name types", at: "type") }
        default: throw failure("type must be a string or a list of strings", at: "type")
        }
        // OpenAPI 3.0 says so what the other drafts say with the type null.
        if schema["nullable"]?.boolValue == true { names.append("null") }
        if names.contains("number") { names.removeAll { $0 == "integer" } }
        var shapes: [SchemaShape] = []
        for name in names {
            for shape in try self.shapes(ofType: name) where !shapes.contains(shape) { shapes.append(shape) }
        }
        return shapes
    }

    /// In the order in which the alternatives are followed.
    private static let kinds = ["object", "array", "string", "number", "boolean", "null"]

    private func shapes(ofType name: String) throws(ConstraintError) -> [SchemaShape] {
        switch name {
        case "object": return [.object(try objectShape())]
        case "array": return [.array(try arrayShape())]
        case "string":
            let shape = try stringShape()
            return shape.maximum.map { $0 < shape.minimum } == true ? [] : [.string(shape)]
        case "number", "integer":
            let bounds = try numberShape(isInteger: name == "integer")
            // The intersection compares the bounds with each other.
            let shape = try bounds.intersection(NumberShape())
            return shape.map { [.number($0)] } ?? []
        case "boolean": return SchemaLibrary.booleans
        case "null": return [SchemaLibrary.null]
        default:
            throw failure(
                "unknown type \(name)", at: "type",
                remedy: "use object, array, string, number, integer, boolean or null")
        }
    }

    private func stringShape() throws(ConstraintError) -> StringShape {
        var shape = StringShape(minimum: try count("minLength") ?? 0, maximum: try count("maxLength"))
        if let value = schema["pattern"] {
            guard let pattern = value.stringValue else {
                throw failure("pattern must be a string", at: "pattern")
            }
            shape.patterns.insert(try checkedPattern(pattern, at: "pattern"))
        }
        if let format = schema["format"]?.stringValue, let pattern = StringFormats.pattern(of: format) {
            shape.patterns.insert(Array(pattern.utf8))
        }
        return shape
    }

    private func numberShape(isInteger: Bool) throws(ConstraintError) -> NumberShape {
        var shape = NumberShape(isInteger: isInteger)
        if let value = schema["minimum"] { shape.lower = .init(value: try bound(value, "minimum")) }
        if let value = schema["maximum"] { shape.upper = .init(value: try bound(value, "maximum")) }
        if let value = schema["exclusiveMinimum"] {
            if let flag = value.boolValue {
                shape.lower?.isExclusive = flag
            } else {
                let exclusive = NumberShape.Bound(
                    value: try bound(value, "exclusiveMinimum"), isExclusive: true)
                shape = try shape.intersection(NumberShape(lower: exclusive)) ?? .impossible
            }
        }
        if let value = schema["exclusiveMaximum"] {
            if let flag = value.boolValue {
                shape.upper?.isExclusive = flag
            } else {
                let exclusive = NumberShape.Bound(
                    value: try bound(value, "exclusiveMaximum"), isExclusive: true)
                shape = try shape.intersection(NumberShape(upper: exclusive)) ?? .impossible
            }
        }
        if let value = schema["multipleOf"] {
            guard let multiple = value.intValue, (1...NumberShape.maximumMultiple).contains(multiple) else {
                throw failure(
                    "multipleOf \(value.compactText) cannot be used to constrain output", at: "multipleOf",
                    remedy: "use a whole number from 1 to \(NumberShape.maximumMultiple)")
            }
            shape.multipleOf = multiple
            shape.isInteger = true
        }
        return shape
    }

    private func bound(_ value: OrderedJSON, _ keyword: String) throws(ConstraintError) -> DecimalNumber {
        guard value.doubleValue != nil, let number = DecimalNumber(text: value.compactText) else {
            throw failure("\(keyword) must be a number", at: keyword)
        }
        return number
    }

    private func arrayShape() throws(ConstraintError) -> ArrayShape {
        var shape = ArrayShape(minimum: try count("minItems") ?? 0, maximum: try count("maxItems"))
        shape.isUnique = schema["uniqueItems"]?.boolValue == true
        shape.prefix = try schemas("prefixItems") ?? []
        var rest = "items"
        if schema["items"]?.arrayValue != nil {
            // Until draft 2019-09 a list of items was what prefixItems is now.
            shape.prefix = try schemas("items") ?? []
            rest = "additionalItems"
        }
        if let items = schema[rest] {
            shape.items = library.reference(to: items, path: "\(path)/\(rest)")
            shape.hasItems = true
        }
        if let maximum = shape.maximum, maximum < shape.minimum { return .impossible }
        return shape
    }

    // MARK: Parts

    private func restricted(
        _ shapes: [SchemaShape], to values: [OrderedJSON], keyword: String
    ) throws(ConstraintError) -> [SchemaShape] {
        var result: [SchemaShape] = []
        var known: Set<SchemaLiteral> = []
        for value in values {
            let literal = SchemaLiteral(value)
            var isAllowed = false
            for shape in shapes where !isAllowed {
                isAllowed = try library.intersection(shape, .literal(literal)) != nil
            }
            if isAllowed, known.insert(literal).inserted { result.append(.literal(literal)) }
        }
        return result
    }

    func checkedPattern(_ pattern: String, at keyword: String) throws(ConstraintError) -> [UInt8] {
        do {
            _ = try library.automaton(ofPattern: Array(pattern.utf8))
        } catch {
            throw error.located(at: "\(path)/\(keyword)")
        }
        return Array(pattern.utf8)
    }

    /// A list of schemas.
    private func schemas(_ keyword: String) throws(ConstraintError) -> [SchemaReference]? {
        guard let value = schema[keyword] else { return nil }
        guard let elements = value.arrayValue,
            !elements.isEmpty || keyword == "prefixItems" || keyword == "items"
        else { throw failure("\(keyword) must be a list of schemas", at: keyword) }
        return elements.enumerated().map { index, element in
            library.reference(to: element, path: "\(path)/\(keyword)/\(index)")
        }
    }

    /// A number of characters, items or properties.
    func count(_ keyword: String) throws(ConstraintError) -> Int? {
        guard let value = schema[keyword] else { return nil }
        guard let count = value.intValue, count >= 0 else {
            throw failure("\(keyword) must be a whole number of at least 0", at: keyword)
        }
        return min(count, 1 << 30)
    }

    func failure(
        _ problem: String, at keyword: String? = nil, remedy: String = "correct the schema"
    ) -> ConstraintError {
        ConstraintError(
            place: keyword.map { "\(path)/\($0)" } ?? path, problem: problem, remedy: remedy)
    }
}

extension NumberShape {
    /// Above one and below zero.
    static let impossible = NumberShape(
        lower: Bound(value: DecimalNumber(1)), upper: Bound(value: DecimalNumber(-1)))
}

extension ArrayShape {
    /// More items than there may be.
    static let impossible = ArrayShape(minimum: 1, maximum: 0)
}
