// What a regular expression means, before and while it becomes an automaton.

/// A parsed pattern.
indirect enum PatternSyntax {
    case empty
    case character(CodePointSet)
    case sequence([PatternSyntax])
    case alternatives([PatternSyntax])
    case repetition(PatternSyntax, minimum: Int, maximum: Int?)
    case textBegin
    case textEnd
}

/// Characters that a class, such as `\w`, surely has and those it may have: dialects differ in whether it
/// means ASCII or all of Unicode. Only what every dialect accepts is generated, so a negation excludes all of
/// the latter.
struct PatternClass {
    /// Characters that only some dialects have in a class. They are looked up when a negation asks for them,
    /// since that takes milliseconds.
    private enum Doubt: Hashable {
        case digits, wordCharacters

        var characters: CodePointSet {
            switch self {
            case .digits: PatternClass.unicodeDigits
            case .wordCharacters: PatternClass.unicodeWordCharacters
            }
        }
    }

    let sure: CodePointSet
    private let knownPossible: CodePointSet
    private let doubts: Set<Doubt>

    private init(sure: CodePointSet, possible: CodePointSet, doubts: Set<Doubt> = []) {
        self.sure = sure
        knownPossible = possible
        self.doubts = doubts
    }

    init(_ ranges: [ClosedRange<UInt32>]) { self.init(CodePointSet(ranges)) }

    init(_ set: CodePointSet) { self.init(sure: set, possible: set) }

    private var possible: CodePointSet { doubts.reduce(knownPossible) { $0.union($1.characters) } }

    var negated: PatternClass { PatternClass(sure: possible.complement, possible: sure.complement) }

    func union(_ other: PatternClass) -> PatternClass {
        PatternClass(
            sure: sure.union(other.sure), possible: knownPossible.union(other.knownPossible),
            doubts: doubts.union(other.doubts))
    }

    static let digit: PatternClass = {
        let sure = CodePointSet([0x30...0x39])
        return PatternClass(sure: sure, possible: sure, doubts: [.digits])
    }()

    static let word: PatternClass = {
        let sure = CodePointSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
        return PatternClass(sure: sure, possible: sure, doubts: [.wordCharacters])
    }()

    static let space = PatternClass(
        sure: CodePointSet([0x09...0x0A, 0x0C...0x0D, 0x20...0x20]),
        possible: CodePointSet([
            0x09...0x0D, 0x1C...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x180E...0x180E,
            0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000,
            0xFEFF...0xFEFF,
        ]))

    private static let unicodeDigits = CodePointSet.matching { $0.generalCategory == .decimalNumber }

    private static let unicodeWordCharacters = CodePointSet.matching { properties in
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber,
            .connectorPunctuation:
            true
        default: properties.numericType != nil
        }
    }

    /// `.` leaves out what any dialect calls the end of a line.
    static let withinLine = PatternClass([0x0A...0x0A, 0x0D...0x0D, 0x85...0x85, 0x2028...0x2029]).negated

    /// The class with the other case of each letter. A letter such as k has more partners than its other
    /// case.
    var foldingCase: PatternClass {
        let folded = CodePointSet(sure.ranges.flatMap(Self.partners))
        return PatternClass(
            sure: sure.union(folded),
            possible: knownPossible.union(CodePointSet(knownPossible.ranges.flatMap(Self.partners)))
                .union(folded).union(Self.rarePartners(of: knownPossible.union(folded))),
            // Both cases of a letter are word characters.
            doubts: doubts)
    }

    private static func partners(of range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        // Large ranges are whole scripts, which have both cases.
        guard range.count <= 2048 else { return [] }
        return range.compactMap(Unicode.Scalar.init).flatMap { scalar in
            [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping].compactMap { mapping in
                let scalars = mapping.unicodeScalars
                guard scalars.count == 1, let only = scalars.first else { return nil }
                // ASCII stays among itself: not every dialect takes the long s for an s.
                guard only.isASCII == scalar.isASCII else { return nil }
                return only.value...only.value
            }
        }
    }

    private static func rarePartners(of set: CodePointSet) -> CodePointSet {
        let pairs: [(UInt32, UInt32)] = [
            (0x4B, 0x212A), (0x6B, 0x212A), (0x53, 0x17F), (0x73, 0x17F), (0xE5, 0x212B),
        ]
        let rare = pairs.filter { pair in set.ranges.contains { $0.contains(pair.0) } }
        return CodePointSet(rare.map { $0.1...$0.1 })
    }
}

extension ByteAutomaton {
    /// - Parameter isSearch: whether any part of the text may match, as JSON Schema's `pattern` has it; else
    ///   the whole text has to.
    init(pattern: String, isSearch: Bool) throws(ConstraintError) {
        var parser = try PatternParser(pattern)
        let syntax = try parser.parse()
        var builder = AutomatonBuilder()
        let start = try builder.addState()
        if isSearch { try builder.addCharacter(of: .all, from: start, to: start) }
        let entry = try builder.addState()
        builder.addEpsilon(from: start, to: entry)
        let matched = try builder.add(syntax, from: entry)
        let end = try builder.addState()
        builder.addEpsilon(from: matched, to: end)
        if isSearch {
            try builder.addCharacter(of: .all, from: end, to: end)
            builder.absorbing = end
        }
        self = try builder.determinized(start: start, end: end).trimmed()
    }

    /// Any valid UTF-8.
    static func anyText() throws(ConstraintError) -> ByteAutomaton {
        var builder = AutomatonBuilder()
        let start = try builder.addState()
        try builder.addCharacter(of: .all, from: start, to: start)
        return try builder.determinized(start: start, end: start)
    }

    /// Exactly the given texts.
    init(texts: [[UInt8]]) throws(ConstraintError) {
        var builder = AutomatonBuilder()
        let start = try builder.addState()
        let end = try builder.addState()
        for text in texts { builder.addEpsilon(from: try builder.addBytes(text, from: start), to: end) }
        self = try builder.determinized(start: start, end: end).trimmed()
    }
}

extension AutomatonBuilder {
    mutating func add(_ syntax: PatternSyntax, from source: Int32) throws(ConstraintError) -> Int32 {
        switch syntax {
        case .empty: return source
        case .character(let set):
            let target = try addState()
            try addCharacter(of: set, from: source, to: target)
            return target
        case .sequence(let parts):
            var state = source
            for part in parts { state = try add(part, from: state) }
            return state
        case .alternatives(let parts):
            let end = try addState()
            for part in parts { addEpsilon(from: try add(part, from: source), to: end) }
            return end
        case .repetition(let part, let minimum, let maximum):
            return try addRepetition(part, minimum: minimum, maximum: maximum, from: source)
        case .textBegin: return try addTextBegin(from: source)
        case .textEnd: return try addTextEnd(from: source)
        }
    }

    /// Each round adds a state, even one that matches nothing, so that nested counts meet the limit on
    /// states.
    private mutating func addRepetition(
        _ part: PatternSyntax, minimum: Int, maximum: Int?, from source: Int32
    ) throws(ConstraintError) -> Int32 {
        var state = source
        for _ in 0..<minimum {
            let entry = try addState()
            addEpsilon(from: state, to: entry)
            state = try add(part, from: entry)
        }
        let end = try addState()
        addEpsilon(from: state, to: end)
        guard let maximum else {
            addEpsilon(from: try add(part, from: end), to: end)
            return end
        }
        for _ in minimum..<max(minimum, maximum) {
            let entry = try addState()
            addEpsilon(from: state, to: entry)
            state = try add(part, from: entry)
            addEpsilon(from: state, to: end)
        }
        return end
    }
}
