// What a request may ask of the text that is generated, and why such a wish can be refused.

/// A language that the generated text has to be in.
package enum ConstraintSpecification: Sendable, Hashable {
    /// One JSON value that validates against the schema, which is given as JSON text (draft 2020-12). Objects
    /// that declare properties and say nothing of additional ones get none, and have them in the schema's
    /// order.
    case jsonSchema(String)
    /// Any JSON object.
    case jsonObject
    /// The whole text matches the regular expression.
    case regex(String)
    /// One of the texts.
    case choice([String])

    /// Compared by bytes: to `String` two texts of the same characters in other code points are equal, but
    /// they are not the same tokens.
    package static func == (left: Self, right: Self) -> Bool {
        left.kind == right.kind && left.texts.elementsEqual(right.texts) { $0.utf8.elementsEqual($1.utf8) }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        for text in texts {
            hasher.combine(text.utf8.count)
            for byte in text.utf8 { hasher.combine(byte) }
        }
    }

    private var kind: Int {
        switch self {
        case .jsonSchema: 0
        case .jsonObject: 1
        case .regex: 2
        case .choice: 3
        }
    }

    private var texts: [String] {
        switch self {
        case .jsonSchema(let text), .regex(let text): [text]
        case .jsonObject: []
        case .choice(let texts): texts
        }
    }
}

/// Why a specification was refused.
package struct ConstraintError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where in the specification: a JSON pointer into a schema such as `#/properties/age/not`, or `regex`.
    package var place: String
    package var problem: String
    /// What to write instead.
    package var remedy: String

    package var description: String { "\(place): \(problem); \(remedy)" }

    /// The same failure with a place, unless it has one already.
    func located(at place: String) -> ConstraintError {
        self.place.isEmpty ? ConstraintError(place: place, problem: problem, remedy: remedy) : self
    }
}

/// The limits of compilation. What is larger is refused, so that no request can take the memory or the time
/// of the others.
enum ConstraintLimits {
    /// Bytes of a schema, of a pattern, and of all choices together.
    static let schemaBytes = 256 * 1024
    static let patternBytes = 16 * 1024
    static let choiceBytes = 1024 * 1024
    /// States of one automaton before and after it is made deterministic.
    static let nondeterministicStates = 200_000
    static let deterministicStates = 30_000
    /// Steps of the subset construction, which is what costs time.
    static let constructionSteps = 3_000_000
    /// States of the whole grammar, and entries of its transition table (four bytes each).
    static let grammarStates = 100_000
    static let tableEntries = 8_000_000
    static let rules = 5_000
    /// Alternatives that the `anyOf` and `allOf` of one place may multiply to.
    static let alternatives = 256
    /// Frames of the pushdown automaton: about the depth of nested arrays and objects in the output.
    static let depth = 64
    /// How deep the schema's own composition (`$ref`, `allOf`, ...) and a pattern's groups may nest.
    static let nesting = 100
    /// Parses of an ambiguous text that are followed beside each other after each token, and inside of one.
    static let parses = 32
    static let parsesInsideToken = 1024
}
