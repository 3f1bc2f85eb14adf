// One parameter of Martlet's own steps: its name, what values it takes, and what is wrong with others.

package import Text

/// A parameter of a step, as the tables of this folder have it.
package struct StepParameter: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case flag
        case integer
        /// A whole number from 0 on.
        case natural
        case number
        case text
        /// One value, or several.
        case list
        /// A list, or a map of names.
        case names
        /// One of these words.
        case choice([String])
    }

    /// In snake case.
    package var name: String
    package var kind: Kind
    /// Of numbers.
    package var range: StepRange?

    /// What people and programs write for true and false.
    package static func truth(_ word: String) -> Bool? {
        switch word.lowercased() {
        case "true", "yes", "on", "1", "t", "y": true
        case "false", "no", "off", "0", "f", "n": false
        default: nil
        }
    }

    /// Why the step would not take the value, and what to write; nil if it would. A text with a tag passes,
    /// since its value is not known before the run.
    package func problem(with value: JSONValue) -> (message: String, remedy: String?)? {
        if let text = value.stringValue, Tag.isIn(text) { return nil }
        switch (kind, value) {
        case (_, .null): return nil
        case (.names, .object), (.names, .array): return nil
        case (.list, .object): return mismatch(value, "a value or a list of values")
        case (.list, _): return nil
        case (.text, .array(let elements)):
            return elements.count == 1 ? nil : mismatch(value, "one value")
        case (.text, _): return nil
        case (_, .array(let elements)) where elements.count == 1: return problem(with: elements[0])
        case (_, .array), (_, .object): return mismatch(value, phrase)
        case (.flag, _):
            return value.scalarText.flatMap(Self.truth) == nil ? mismatch(value, phrase) : nil
        case (.choice(let words), _):
            let text = StepParameterTable.canonical(value.scalarText ?? "", of: name)
            guard !words.contains(text) else { return nil }
            let near = EditDistance.nearest(to: text, in: words).map { "; did you mean \($0)?" } ?? ""
            return (
                "\(name): \"\(value.scalarText ?? "")\" is not there",
                "write one of \(words.joined(separator: ", "))\(near)"
            )
        case (.names, _): return mismatch(value, phrase)
        case (.integer, _), (.natural, _), (.number, _): return numberProblem(value)
        }
    }

    private func numberProblem(_ value: JSONValue) -> (message: String, remedy: String?)? {
        let text = value.scalarText ?? ""
        guard value != .bool(true), value != .bool(false), let number = Double(text), number.isFinite else {
            return mismatch(value, phrase)
        }
        if kind != .number, number != number.rounded() { return mismatch(value, phrase) }
        if kind == .natural, number < 0 { return mismatch(value, phrase) }
        guard let range, !range.contains(number) else { return nil }
        return ("\(name) must be \(range.phrase), not \(text)", nil)
    }

    private func mismatch(_ value: JSONValue, _ wanted: String) -> (message: String, remedy: String?) {
        let given =
            switch value {
            case .string(let text): "\"\(text)\""
            case .array: "a list"
            case .object: "a map"
            default: value.scalarText ?? "empty"
            }
        return ("\(name) must be \(wanted), not \(given)", nil)
    }

    private var phrase: String {
        switch kind {
        case .flag: "true or false"
        case .integer: "a whole number"
        case .natural: "a whole number from 0 on"
        case .number: "a number such as 0.1 or 1e-4"
        case .text: "a text"
        case .list: "a list"
        case .names: "a map of names, or a list of NAME=PLACE"
        case .choice(let words): "one of \(words.joined(separator: ", "))"
        }
    }
}

/// The numbers that a parameter takes.
package struct StepRange: Sendable, Hashable {
    package var lower: Double
    package var upper: Double
    /// Whether the bounds themselves are taken.
    package var includesLower: Bool
    package var includesUpper: Bool

    /// Reads the notation of mathematics: `[0,1)` has 0 and not 1.
    init?(notation: some StringProtocol) {
        let bounds = notation.dropFirst().dropLast().split(separator: ",")
        guard bounds.count == 2, let lower = Double(bounds[0]), let upper = Double(bounds[1]) else {
            return nil
        }
        switch (notation.first, notation.last) {
        case ("[", "]"): (includesLower, includesUpper) = (true, true)
        case ("[", ")"): (includesLower, includesUpper) = (true, false)
        case ("(", "]"): (includesLower, includesUpper) = (false, true)
        case ("(", ")"): (includesLower, includesUpper) = (false, false)
        default: return nil
        }
        (self.lower, self.upper) = (lower, upper)
    }

    package func contains(_ number: Double) -> Bool {
        (includesLower ? number >= lower : number > lower)
            && (includesUpper ? number <= upper : number < upper)
    }

    var phrase: String {
        let (low, high) = (Self.text(lower), Self.text(upper))
        if includesLower, includesUpper { return "from \(low) to \(high)" }
        return "\(includesLower ? "at least" : "more than") \(low) and "
            + "\(includesUpper ? "at most" : "less than") \(high)"
    }

    private static func text(_ bound: Double) -> String {
        Int(exactly: bound).map(String.init) ?? "\(bound)"
    }
}
