// Schemas as sets of values: what two have together, whether they have nothing together, whether one has a
// value.

import Text

extension SchemaLibrary {
    // MARK: Unions

    func union(of branches: [SchemaReference], path: String) throws(ConstraintError) -> [SchemaShape] {
        var result: [SchemaShape] = []
        var known: Set<SchemaShape> = []
        for branch in branches {
            for shape in try shapes(of: branch) where known.insert(shape).inserted { result.append(shape) }
        }
        try check(result, path: path)
        return result
    }

    /// The union of branches of which no value satisfies two. Where that cannot be seen, a property that
    /// tells the branches apart is made required, as with discriminated unions whose tag has a default.
    func exclusiveUnion(of branches: [SchemaReference], path: String) throws(ConstraintError) -> [SchemaShape]
    {
        var meanings: [[SchemaShape]] = []
        for branch in branches { meanings.append(try shapes(of: branch)) }
        guard meanings.reduce(0, { $0 + $1.count }) <= ConstraintLimits.alternatives else {
            throw Self.tooManyAlternatives(path)
        }
        if areExclusive(meanings) { return meanings.flatMap { $0 } }
        var candidates: [[UInt8]] = []
        for case .object(let shape) in meanings.first ?? [] { candidates += shape.properties.map(\.key) }
        for key in candidates.prefix(16) {
            if let tagged = Self.requiring(key, in: meanings), areExclusive(tagged) {
                return tagged.flatMap { $0 }
            }
        }
        throw ConstraintError(
            place: path, problem: "a value might satisfy several of the schemas",
            remedy: "use anyOf, or give each schema a required property with a const of its own")
    }

    private static func requiring(_ key: [UInt8], in meanings: [[SchemaShape]]) -> [[SchemaShape]]? {
        var result = meanings
        for (branch, shapes) in meanings.enumerated() {
            for (index, shape) in shapes.enumerated() {
                guard case .object(var object) = shape else { continue }
                guard object.property(key) != nil else { return nil }
                if !object.required.contains(key) { object.required.append(key) }
                result[branch][index] = .object(object)
            }
        }
        return result
    }

    private func areExclusive(_ meanings: [[SchemaShape]]) -> Bool {
        for (index, left) in meanings.enumerated() {
            for right in meanings[(index + 1)...] {
                for shape in left {
                    for other in right where !areDisjoint(shape, other, depth: 4) { return false }
                }
            }
        }
        return true
    }

    /// Whether no value is of both shapes, as far as can be seen.
    private func areDisjoint(_ left: SchemaShape, _ right: SchemaShape, depth: Int) -> Bool {
        do {
            guard let both = try intersection(left, right) else { return true }
            return try isEmpty(both, depth: depth)
        } catch {
            // What cannot be decided may overlap; a real fault is met again when the branch is compiled.
            return false
        }
    }

    private func isEmpty(_ shape: SchemaShape, depth: Int) throws(ConstraintError) -> Bool {
        switch shape {
        // The automaton of numbers leaves out some, very long ones, so it cannot tell.
        case .literal, .number: return false
        case .string(let string): return string.patterns.isEmpty ? false : try content(of: string).isEmpty
        case .array(let array):
            guard array.minimum > 0, depth > 0 else { return false }
            for index in 0..<min(array.minimum, 16) {
                if try isEmpty(array.item(index), depth: depth - 1) { return true }
            }
            return false
        case .object(let object):
            if let maximum = object.maximum, maximum < object.required.count { return true }
            guard depth > 0 else { return false }
            for key in object.required {
                // One property is enough; another may refer to what is being read just now.
                let value = try value(of: key, in: object)
                if (try? isEmpty(value, depth: depth - 1)) == true { return true }
            }
            return false
        }
    }

    private func isEmpty(_ reference: SchemaReference, depth: Int) throws(ConstraintError) -> Bool {
        for shape in try shapes(of: reference) {
            guard try isEmpty(shape, depth: depth) else { return false }
        }
        return true
    }

    // MARK: Intersections

    func intersection(
        _ left: [SchemaShape], _ right: [SchemaShape], path: String
    ) throws(ConstraintError) -> [SchemaShape] {
        var result: [SchemaShape] = []
        var known: Set<SchemaShape> = []
        for shape in left {
            for other in right {
                if let both = try intersection(shape, other), known.insert(both).inserted {
                    result.append(both)
                }
            }
            try check(result, path: path)
        }
        return result
    }

    private func check(_ shapes: [SchemaShape], path: String) throws(ConstraintError) {
        let count = shapes.count { shape in
            if case .literal = shape { false } else { true }
        }
        guard count <= ConstraintLimits.alternatives else { throw Self.tooManyAlternatives(path) }
    }

    private static func tooManyAlternatives(_ path: String) -> ConstraintError {
        ConstraintError(
            place: path, problem: "more than \(ConstraintLimits.alternatives) alternatives, multiplied out",
            remedy: "use fewer of anyOf, oneOf and allOf in each other")
    }

    /// - Returns: nil if no value is in both, as far as can be seen without looking into properties and
    ///   items.
    func intersection(_ left: SchemaShape, _ right: SchemaShape) throws(ConstraintError) -> SchemaShape? {
        switch (left, right) {
        case (.literal(let literal), _): return try accepts(literal.value, right) ? left : nil
        case (_, .literal(let literal)): return try accepts(literal.value, left) ? right : nil
        case (.number(let one), .number(let two)): return try one.intersection(two).map { .number($0) }
        case (.string(let one), .string(let two)): return one.intersection(two).map { .string($0) }
        case (.array(let one), .array(let two)): return one.intersection(two).map { .array($0) }
        case (.object(let one), .object(let two)): return try intersection(one, two).map { .object($0) }
        default: return nil
        }
    }

    private func intersection(
        _ left: ObjectShape, _ right: ObjectShape
    ) throws(ConstraintError) -> ObjectShape? {
        var result = ObjectShape()
        for property in left.properties {
            let other = try value(of: property.key, in: right)
            result.properties.append(.init(key: property.key, value: property.value.union(other)))
        }
        for property in right.properties where left.property(property.key) == nil {
            let other = try value(of: property.key, in: left)
            result.properties.append(.init(key: property.key, value: property.value.union(other)))
        }
        result.required = left.required + right.required.filter { !left.required.contains($0) }
        result.regions = []
        for one in left.regions {
            for two in right.regions {
                let region = ObjectShape.Region(
                    matching: one.matching.union(two.matching),
                    notMatching: one.notMatching.union(two.notMatching), value: one.value.union(two.value))
                if try !isEmpty(region) { result.regions.append(region) }
            }
        }
        result.hasAdditional = left.hasAdditional || right.hasAdditional
        result.names = left.names.union(right.names)
        result.minimum = max(left.minimum, right.minimum)
        result.maximum = [left.maximum, right.maximum].compactMap { $0 }.min()
        if let maximum = result.maximum, maximum < result.minimum { return nil }
        guard result.regions.count <= 64 else {
            throw ConstraintError(
                place: "", problem: "too many overlapping patternProperties", remedy: "use fewer patterns")
        }
        return result
    }

    // MARK: Keys and strings

    /// What the value behind a key has to satisfy.
    func value(of key: [UInt8], in shape: ObjectShape) throws(ConstraintError) -> SchemaReference {
        if let value = shape.property(key) { return value }
        return try region(of: key, in: shape).value
    }

    /// The region that a key is in unless it is a property.
    func region(of key: [UInt8], in shape: ObjectShape) throws(ConstraintError) -> ObjectShape.Region {
        for region in shape.regions {
            var isInside = true
            for pattern in region.matching where isInside {
                isInside = try automaton(ofPattern: pattern).accepts(key)
            }
            for pattern in region.notMatching where isInside {
                isInside = try !automaton(ofPattern: pattern).accepts(key)
            }
            if isInside { return region }
        }
        return ObjectShape.Region()
    }

    func isEmpty(_ region: ObjectShape.Region) throws(ConstraintError) -> Bool {
        guard region.matching.isDisjoint(with: region.notMatching) else { return true }
        guard region.matching.count + region.notMatching.count > 1 else { return false }
        return try keys(of: region).isEmpty
    }

    /// The keys of a region, as bytes without quotes and escapes.
    func keys(of region: ObjectShape.Region) throws(ConstraintError) -> ByteAutomaton {
        var result = try ByteAutomaton.anyText()
        for pattern in region.matching.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            result = try result.intersection(try automaton(ofPattern: pattern))
        }
        for pattern in region.notMatching.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            result = try result.subtracting(try automaton(ofPattern: pattern))
        }
        return result
    }

    /// The texts of a string, as bytes without quotes and escapes.
    func content(of shape: StringShape) throws(ConstraintError) -> ByteAutomaton {
        let patterns = shape.patterns.sorted { $0.lexicographicallyPrecedes($1) }
        guard let first = patterns.first else {
            return try .anyText().intersection(
                try .characterCount(minimum: shape.minimum, maximum: shape.maximum))
        }
        var result = try automaton(ofPattern: first)
        for pattern in patterns.dropFirst() {
            result = try result.intersection(try automaton(ofPattern: pattern))
        }
        if shape.minimum > 0 || shape.maximum != nil {
            result = try result.intersection(
                try .characterCount(minimum: shape.minimum, maximum: shape.maximum))
        }
        return result
    }

    // MARK: Values

    func accepts(_ value: OrderedJSON, _ reference: SchemaReference) throws(ConstraintError) -> Bool {
        guard !reference.places.isEmpty else { return true }
        for shape in try shapes(of: reference) {
            if try accepts(value, shape) { return true }
        }
        return false
    }

    func accepts(_ value: OrderedJSON, _ shape: SchemaShape) throws(ConstraintError) -> Bool {
        switch (shape, value) {
        case (.literal(let literal), _): return literal == SchemaLiteral(value)
        case (.number(let shape), .int), (.number(let shape), .double):
            return DecimalNumber(text: value.compactText).map(shape.accepts) ?? false
        case (.string(let shape), .string(let text)):
            let count = text.unicodeScalars.count
            guard count >= shape.minimum, count <= shape.maximum ?? .max else { return false }
            for pattern in shape.patterns {
                guard try automaton(ofPattern: pattern).accepts(text.utf8) else { return false }
            }
            return true
        case (.array(let shape), .array(let elements)):
            guard elements.count >= shape.minimum, elements.count <= shape.maximum ?? .max else {
                return false
            }
            if shape.isUnique, Set(elements.map { SchemaLiteral($0) }).count < elements.count { return false }
            for (index, element) in elements.enumerated() {
                guard try accepts(element, shape.item(index)) else { return false }
            }
            return true
        case (.object(let shape), .object(let members)): return try accepts(members, shape)
        default: return false
        }
    }

    private func accepts(_ members: [OrderedJSON.Member], _ shape: ObjectShape) throws(ConstraintError)
        -> Bool
    {
        let keys = members.map { Array($0.key.utf8) }
        guard members.count >= shape.minimum, members.count <= shape.maximum ?? .max else { return false }
        for key in shape.required where !keys.contains(key) { return false }
        for (member, key) in zip(members, keys) {
            let value = try value(of: key, in: shape)
            guard try accepts(member.value, value), try accepts(.string(member.key), shape.names) else {
                return false
            }
        }
        return true
    }
}
