// The keywords of objects.

import Text

extension SchemaReader {
    /// As many patterns make at most sixteen times as many regions.
    private static let maximumPatterns = 6

    func objectShape() throws(ConstraintError) -> ObjectShape {
        var shape = ObjectShape()
        shape.minimum = try count("minProperties") ?? 0
        shape.maximum = try count("maxProperties")
        if let names = schema["propertyNames"] {
            shape.names = library.reference(to: names, path: "\(path)/propertyNames")
        }
        shape.required = try requiredKeys()
        shape.regions = try regions()
        if let additional = schema["additionalProperties"] {
            let reference = library.reference(to: additional, path: "\(path)/additionalProperties")
            shape.hasAdditional = true
            for index in shape.regions.indices where shape.regions[index].matching.isEmpty {
                shape.regions[index].value = reference
            }
        }
        guard let properties = schema["properties"] else { return shape }
        guard let members = properties.objectValue else {
            throw failure("properties must be an object", at: "properties")
        }
        for member in members {
            let key = Array(member.key.utf8)
            var value = library.reference(
                to: member.value, path: "\(path)/properties/\(SchemaLibrary.escaped(member.key))")
            let region = try library.region(of: key, in: shape)
            if !region.matching.isEmpty { value = value.union(region.value) }
            shape.properties.append(.init(key: key, value: value))
        }
        return shape
    }

    private func requiredKeys() throws(ConstraintError) -> [[UInt8]] {
        guard let value = schema["required"] else { return [] }
        // Draft 3 had a flag of each property here.
        guard let elements = value.arrayValue else {
            throw failure("required must be a list", at: "required")
        }
        var keys: [[UInt8]] = []
        for element in elements {
            guard let key = element.stringValue else {
                throw failure("required must be a list of strings", at: "required")
            }
            if !keys.contains(Array(key.utf8)) { keys.append(Array(key.utf8)) }
        }
        return keys
    }

    /// Divides the keys by which of the patterns they match, so that overlapping patterns hold together.
    private func regions() throws(ConstraintError) -> [ObjectShape.Region] {
        var regions = [ObjectShape.Region()]
        guard let value = schema["patternProperties"] else { return regions }
        guard let members = value.objectValue else {
            throw failure("patternProperties must be an object", at: "patternProperties")
        }
        guard members.count <= Self.maximumPatterns else {
            throw failure(
                "more than \(Self.maximumPatterns) patterns", at: "patternProperties",
                remedy: "use fewer patterns")
        }
        for member in members {
            let pattern = try checkedPattern(member.key, at: "patternProperties")
            let reference = library.reference(
                to: member.value, path: "\(path)/patternProperties/\(SchemaLibrary.escaped(member.key))")
            var divided: [ObjectShape.Region] = []
            for region in regions {
                var (inside, outside) = (region, region)
                inside.matching.insert(pattern)
                inside.value = region.value.union(reference)
                outside.notMatching.insert(pattern)
                for part in [inside, outside] {
                    if try !library.isEmpty(part) { divided.append(part) }
                }
            }
            regions = divided
        }
        return regions
    }
}
