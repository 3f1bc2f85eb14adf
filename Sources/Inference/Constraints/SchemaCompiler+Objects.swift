// Objects as automata: properties in the schema's order, then additional ones.

import Text

extension SchemaCompiler {
    /// How far one is in writing an object.
    private struct Progress: Hashable {
        /// How many different properties there surely are, as far as the minimum asks for.
        var different = 0
        /// How many properties have been written: as far as the maximum asks for, or whether there is any.
        var written = 0
        /// Additional keys may repeat each other, so all of them surely are one property only.
        var hasAdditional = false
    }

    /// A way to go on with an additional property.
    private struct Additional {
        /// Nil for any key.
        var keys: ByteAutomaton?
        var value: SchemaReference
    }

    private struct Layout {
        var properties: [ObjectShape.Property] = []
        var required: Set<[UInt8]> = []
        var additional: [Additional] = []
        var minimum = 0
        var maximum: Int?
    }

    mutating func add(
        _ shape: ObjectShape, to builder: inout AutomatonBuilder, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        let end = try builder.addState()
        guard let layout = try layout(of: shape) else { return end }
        if layout.minimum > layout.properties.count + (layout.additional.isEmpty ? 0 : 1) {
            if layout.additional.isEmpty { return end }
            throw ConstraintError(
                place: "",
                problem:
                    "minProperties asks for several additional properties, which might have the same key",
                remedy: "declare the properties, or lower minProperties")
        }
        var level = [Progress(): try builder.addBytes("{".utf8, from: source)]
        for property in layout.properties {
            level = try add(property, of: layout, to: &builder, from: level)
        }
        try addAdditional(of: layout, to: &builder, from: level, end: end)
        return end
    }

    /// - Returns: nil if no object is possible.
    private func layout(of shape: ObjectShape) throws(ConstraintError) -> Layout? {
        var layout = Layout(required: Set(shape.required), minimum: shape.minimum, maximum: shape.maximum)
        var properties = shape.properties
        for key in shape.required where shape.property(key) == nil {
            properties.append(.init(key: key, value: try library.region(of: key, in: shape).value))
        }
        for property in properties {
            let name = OrderedJSON.string(String(decoding: property.key, as: UTF8.self))
            if try library.accepts(name, shape.names) {
                layout.properties.append(property)
            } else if layout.required.contains(property.key) {
                return nil
            }
        }
        let isPlain = properties.isEmpty && shape.names.places.isEmpty
        // Objects that declare some properties and say nothing of others have no others.
        let isOpen =
            shape.hasAdditional || (shape.properties.isEmpty && shape.regions.allSatisfy(\.matching.isEmpty))
        for region in shape.regions where isOpen || !region.matching.isEmpty {
            guard try !library.shapes(of: region.value).isEmpty else { continue }
            if isPlain, region.matching.isEmpty, region.notMatching.isEmpty {
                layout.additional.append(Additional(keys: nil, value: region.value))
                continue
            }
            var keys = try library.keys(of: region).subtracting(ByteAutomaton(texts: properties.map(\.key)))
            if !shape.names.places.isEmpty { keys = try keys.intersection(try names(shape.names)) }
            if !keys.isEmpty { layout.additional.append(Additional(keys: keys, value: region.value)) }
        }
        return layout
    }

    /// The strings that `propertyNames` allows, without quotes and escapes.
    private func names(_ reference: SchemaReference) throws(ConstraintError) -> ByteAutomaton {
        var builder = AutomatonBuilder()
        let start = try builder.addState()
        let end = try builder.addState()
        for shape in try library.shapes(of: reference) {
            switch shape {
            case .string(let shape):
                let content = try library.content(of: shape)
                builder.addEpsilon(from: try builder.addCopy(of: content, from: start), to: end)
            case .literal(let literal):
                guard let text = literal.value.stringValue else { continue }
                builder.addEpsilon(from: try builder.addBytes(text.utf8, from: start), to: end)
            case .number, .array, .object: continue
            }
        }
        return try builder.determinized(start: start, end: end).trimmed()
    }

    // MARK: Properties

    private func next(_ progress: Progress, of layout: Layout, isAdditional: Bool) -> Progress? {
        if let maximum = layout.maximum, progress.written >= maximum { return nil }
        var next = progress
        next.written = min(progress.written + 1, layout.maximum ?? 1)
        if !isAdditional || !progress.hasAdditional {
            next.different = min(progress.different + 1, layout.minimum)
        }
        next.hasAdditional = isAdditional
        return next
    }

    private mutating func add(
        _ property: ObjectShape.Property, of layout: Layout, to builder: inout AutomatonBuilder,
        from level: [Progress: Int32]
    ) throws(ConstraintError) -> [Progress: Int32] {
        var result: [Progress: Int32] = [:]
        let key = SchemaLiteral.encoded(property.key)
        // Whether a comma has to come first differs; the key and the value are the same.
        for (progress, state) in level.sorted(by: { $0.value < $1.value }) {
            if !layout.required.contains(property.key) {
                try join(progress, state, into: &result, &builder)
            }
            guard let next = next(progress, of: layout, isAdditional: false) else { continue }
            var place = state
            if progress.written > 0 { place = try builder.addSeparator(UInt8(ascii: ","), from: place) }
            place = try builder.addBytes(key, from: place)
            place = try builder.addSeparator(UInt8(ascii: ":"), from: place)
            place = try addValue(property.value, to: &builder, from: place)
            try join(next, place, into: &result, &builder)
        }
        return result
    }

    private func join(
        _ progress: Progress, _ state: Int32, into level: inout [Progress: Int32],
        _ builder: inout AutomatonBuilder
    ) throws(ConstraintError) {
        if level[progress] == nil { level[progress] = try builder.addState() }
        if let target = level[progress] { builder.addEpsilon(from: state, to: target) }
    }

    private mutating func addAdditional(
        of layout: Layout, to builder: inout AutomatonBuilder, from level: [Progress: Int32], end: Int32
    ) throws(ConstraintError) {
        var states = level
        var waiting = level.sorted { $0.value < $1.value }.map(\.key)
        while let progress = waiting.popLast() {
            guard let state = states[progress] else { continue }
            if progress.different >= layout.minimum {
                builder.addEpsilon(from: try builder.addBytes("}".utf8, from: state), to: end)
            }
            guard !layout.additional.isEmpty, let next = next(progress, of: layout, isAdditional: true) else {
                continue
            }
            var place = state
            if progress.written > 0 { place = try builder.addSeparator(UInt8(ascii: ","), from: place) }
            if states[next] == nil { waiting.append(next) }
            for way in layout.additional {
                var behind =
                    if let keys = way.keys {
                        try builder.addString(keys, from: place)
                    } else {
                        try builder.addCall(0, from: place)
                    }
                behind = try builder.addSeparator(UInt8(ascii: ":"), from: behind)
                behind = try addValue(way.value, to: &builder, from: behind)
                try join(next, behind, into: &states, &builder)
            }
        }
    }
}
