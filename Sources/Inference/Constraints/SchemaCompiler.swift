// Turns the meaning of a schema into rules: automata that read one value each and call each other for values
// inside.

import Text

/// A grammar before it is laid out for speed.
struct GrammarRules {
    struct Bounds: Hashable {
        var minimum: Int32
        /// `Int32.max` if there is none.
        var maximum: Int32
    }

    /// Rule 0 is any string, so that its masks can be shared by all grammars of a vocabulary.
    var rules: [ByteAutomaton] = [.anyString(bounds: -1)]
    var bounds: [Bounds] = []
    var root = 0

    /// A grammar without calls.
    init(root automaton: ByteAutomaton) {
        rules.append(automaton)
        root = 1
    }

    init() {}
}

struct SchemaCompiler {
    let library: SchemaLibrary
    private var grammar = GrammarRules()
    private var rulesByShapes: [[SchemaShape]: Int32] = [:]
    private var stringRules: [GrammarRules.Bounds: Int32] = [:]
    /// Rules that have a number but no automaton yet.
    private var pending: [(rule: Int, shapes: [SchemaShape], path: String)] = []
    private var stateCount = 0

    init(library: SchemaLibrary) { self.library = library }

    mutating func compile(_ root: SchemaReference) throws(ConstraintError) -> GrammarRules {
        grammar.root = Int(try rule(for: root))
        while let next = pending.popLast() {
            do throws(ConstraintError) {
                var builder = AutomatonBuilder()
                let start = try builder.addState()
                let end = try builder.addState()
                for shape in next.shapes {
                    builder.addEpsilon(from: try add(shape, to: &builder, from: start), to: end)
                }
                let automaton = try builder.determinized(start: start, end: end)
                stateCount += automaton.states.count
                guard stateCount <= ConstraintLimits.grammarStates else { throw .tooLarge("the grammar") }
                grammar.rules[next.rule] = automaton
            } catch {
                throw error.located(at: next.path)
            }
        }
        return grammar
    }

    private mutating func rule(for reference: SchemaReference) throws(ConstraintError) -> Int32 {
        let shapes = Self.narrowed(try library.shapes(of: reference))
        if case .string(let shape) = shapes.first, shapes.count == 1, shape.patterns.isEmpty {
            return stringRule(for: shape)
        }
        if let known = rulesByShapes[shapes] { return known }
        guard grammar.rules.count < ConstraintLimits.rules else { throw .tooLarge("the grammar") }
        let rule = Int32(grammar.rules.count)
        grammar.rules.append(.nothing)
        rulesByShapes[shapes] = rule
        pending.append((Int(rule), shapes, library.path(of: reference)))
        return rule
    }

    /// A schema that names no type allows every other kind of value, too, but whoever writes `properties`
    /// means an object.
    private static func narrowed(_ shapes: [SchemaShape]) -> [SchemaShape] {
        let plain = SchemaLibrary.anything
        guard shapes.count == plain.count else { return shapes }
        let special = shapes.filter { !plain.contains($0) }
        return special.count == 1 ? special : shapes
    }

    private mutating func stringRule(for shape: StringShape) -> Int32 {
        guard shape.minimum > 0 || shape.maximum != nil else { return 0 }
        let bounds = GrammarRules.Bounds(
            minimum: Int32(clamping: shape.minimum), maximum: Int32(clamping: shape.maximum ?? .max))
        if let known = stringRules[bounds] { return known }
        let rule = Int32(grammar.rules.count)
        grammar.rules.append(.anyString(bounds: Int32(grammar.bounds.count)))
        grammar.bounds.append(bounds)
        stringRules[bounds] = rule
        return rule
    }

    // MARK: Shapes

    private mutating func add(
        _ shape: SchemaShape, to builder: inout AutomatonBuilder, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        switch shape {
        case .literal(let literal): return try builder.addBytes(literal.text, from: source)
        case .number(let shape): return try builder.addCopy(of: try shape.automaton(), from: source)
        case .string(let shape):
            if shape.patterns.isEmpty { return try builder.addCall(stringRule(for: shape), from: source) }
            return try builder.addString(try library.content(of: shape), from: source)
        case .array(let shape): return try add(shape, to: &builder, from: source)
        case .object(let shape): return try add(shape, to: &builder, from: source)
        }
    }

    /// A few short literals stand in the automaton itself, so that tokens which reach beyond them stay in one
    /// rule.
    private static let inlineBytes = 512

    mutating func addValue(
        _ reference: SchemaReference, to builder: inout AutomatonBuilder, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        let shapes = try library.shapes(of: reference)
        let literals = shapes.compactMap { shape -> SchemaLiteral? in
            if case .literal(let literal) = shape { literal } else { nil }
        }
        guard !shapes.isEmpty, literals.count == shapes.count,
            literals.reduce(0, { $0 + $1.text.count }) <= Self.inlineBytes
        else { return try builder.addCall(try rule(for: reference), from: source) }
        let end = try builder.addState()
        for literal in literals {
            builder.addEpsilon(from: try builder.addBytes(literal.text, from: source), to: end)
        }
        return end
    }

    // MARK: Arrays

    private mutating func add(
        _ shape: ArrayShape, to builder: inout AutomatonBuilder, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        var maximum = shape.maximum
        if !shape.hasItems, !shape.prefix.isEmpty {
            // As with properties: a list of what the items are is taken for the whole list.
            maximum = min(maximum ?? .max, max(shape.prefix.count, shape.minimum))
        }
        if shape.isUnique, maximum ?? .max > 1 {
            return try addUnique(shape, maximum: maximum, to: &builder, from: source)
        }
        let end = try builder.addState()
        var state = try builder.addBytes("[".utf8, from: source)
        if shape.minimum == 0 { try close(&builder, from: state, to: end) }
        let counted = maximum ?? max(shape.prefix.count, shape.minimum)
        for index in 0..<counted {
            if index > 0 { state = try builder.addSeparator(UInt8(ascii: ","), from: state) }
            state = try addValue(shape.item(index), to: &builder, from: state)
            if index + 1 >= shape.minimum { try close(&builder, from: state, to: end) }
        }
        guard maximum == nil else { return end }
        let more = try builder.addState()
        if counted == 0 {
            builder.addEpsilon(from: try addValue(shape.items, to: &builder, from: state), to: more)
        } else {
            builder.addEpsilon(from: state, to: more)
        }
        try close(&builder, from: more, to: end)
        let behindComma = try builder.addSeparator(UInt8(ascii: ","), from: more)
        builder.addEpsilon(from: try addValue(shape.items, to: &builder, from: behindComma), to: more)
        return end
    }

    private func close(
        _ builder: inout AutomatonBuilder, from source: Int32, to end: Int32
    ) throws(ConstraintError) {
        builder.addEpsilon(from: try builder.addBytes("]".utf8, from: source), to: end)
    }

    /// The most values of which every selection is a state.
    private static let maximumUniqueValues = 8

    /// Different items out of a few values: a state for each set of values already there.
    private mutating func addUnique(
        _ shape: ArrayShape, maximum: Int?, to builder: inout AutomatonBuilder, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        let shapes = try library.shapes(of: shape.items)
        let literals = shapes.compactMap { shape -> SchemaLiteral? in
            if case .literal(let literal) = shape { literal } else { nil }
        }
        guard shape.prefix.isEmpty, literals.count == shapes.count, literals.count <= Self.maximumUniqueValues
        else {
            throw ConstraintError(
                place: "", problem: "uniqueItems cannot be used to constrain output here",
                remedy: "leave it out, or use it with items of an enum of at most "
                    + "\(Self.maximumUniqueValues) values")
        }
        let end = try builder.addState()
        var states: [Int32] = []
        for _ in 0..<(1 << literals.count) { states.append(try builder.addState()) }
        builder.addEpsilon(from: try builder.addBytes("[".utf8, from: source), to: states[0])
        for set in states.indices {
            let count = set.nonzeroBitCount
            if count >= shape.minimum { try close(&builder, from: states[set], to: end) }
            guard count < maximum ?? .max else { continue }
            var behindComma = states[set]
            if count > 0 { behindComma = try builder.addSeparator(UInt8(ascii: ","), from: behindComma) }
            for (index, literal) in literals.enumerated() where set & 1 << index == 0 {
                let behind = try builder.addBytes(literal.text, from: behindComma)
                builder.addEpsilon(from: behind, to: states[set | 1 << index])
            }
        }
        return end
    }
}
