// The plainest matcher there is, against which the fast one is tested: it tries every way, in order.

import TestSupport

/// A pattern over the letters a, b and c. Repeated parts never match the empty text, since matchers rightly
/// differ in what they do with an empty round.
indirect enum OraclePattern {
    case letter(UInt8)
    case any
    case begin
    case end
    case sequence([OraclePattern])
    case alternatives([OraclePattern])
    case repetition(OraclePattern, minimum: Int, maximum: Int?, isGreedy: Bool)

    static func random(depth: Int, using generator: inout SeededGenerator) -> OraclePattern {
        switch Int.random(in: 0..<(depth > 0 ? 10 : 4), using: &generator) {
        case 0...2: return .letter([0x61, 0x62, 0x63].randomElement(using: &generator) ?? 0x61)
        case 3: return .any
        case 4: return Bool.random(using: &generator) ? .begin : .end
        case 5, 6:
            let count = Int.random(in: 0..<4, using: &generator)
            return .sequence((0..<count).map { _ in random(depth: depth - 1, using: &generator) })
        case 7:
            let count = Int.random(in: 2..<4, using: &generator)
            return .alternatives((0..<count).map { _ in random(depth: depth - 1, using: &generator) })
        default:
            let part = random(depth: depth - 1, using: &generator)
            if part.canBeEmpty { return part }
            let minimum = Int.random(in: 0..<3, using: &generator)
            let maximum =
                Bool.random(using: &generator) ? nil : minimum + Int.random(in: 0..<3, using: &generator)
            return .repetition(
                part, minimum: minimum, maximum: maximum, isGreedy: Bool.random(using: &generator))
        }
    }

    var text: String {
        switch self {
        case .letter(let byte): return String(Character(Unicode.Scalar(byte)))
        case .any: return "."
        case .begin: return "^"
        case .end: return "$"
        case .sequence(let parts): return "(?:" + parts.map(\.text).joined() + ")"
        case .alternatives(let parts): return "(" + parts.map(\.text).joined(separator: "|") + ")"
        case .repetition(let part, let minimum, let maximum, let isGreedy):
            let counts =
                switch (minimum, maximum) {
                case (0, nil): "*"
                case (1, nil): "+"
                case (0, 1): "?"
                case (_, nil): "{\(minimum),}"
                case (_, let maximum?): "{\(minimum),\(maximum)}"
                }
            return "(?:" + part.text + ")" + counts + (isGreedy ? "" : "?")
        }
    }

    private var canBeEmpty: Bool {
        switch self {
        case .letter, .any: false
        case .begin, .end: true
        case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
        case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
        case .repetition(let part, let minimum, let maximum, _):
            minimum == 0 || maximum == 0 || part.canBeEmpty
        }
    }

    func firstMatch(in text: [UInt8]) -> Range<Int>? {
        for start in 0...text.count {
            var end: Int?
            let isMatch = match(text, start) { position in
                end = position
                return true
            }
            if isMatch, let end { return start..<end }
        }
        return nil
    }

    /// Calls `then` with each end in the order of preference until it says true.
    private func match(_ text: [UInt8], _ position: Int, _ then: (Int) -> Bool) -> Bool {
        switch self {
        case .letter(let byte): return position < text.count && text[position] == byte && then(position + 1)
        case .any: return position < text.count && then(position + 1)
        case .begin: return position == 0 && then(position)
        case .end: return position == text.count && then(position)
        case .sequence(let parts): return Self.match(parts[...], text, position, then)
        case .alternatives(let parts): return parts.contains { $0.match(text, position, then) }
        case .repetition(let part, let minimum, let maximum, let isGreedy):
            if minimum > 0 {
                let rest = OraclePattern.repetition(
                    part, minimum: minimum - 1, maximum: maximum.map { $0 - 1 }, isGreedy: isGreedy)
                return part.match(text, position) { rest.match(text, $0, then) }
            }
            if maximum == 0 { return then(position) }
            let rest = OraclePattern.repetition(
                part, minimum: 0, maximum: maximum.map { $0 - 1 }, isGreedy: isGreedy)
            if !isGreedy, then(position) { return true }
            if part.match(text, position, { rest.match(text, $0, then) }) { return true }
            return isGreedy && then(position)
        }
    }

    private static func match(
        _ parts: ArraySlice<OraclePattern>, _ text: [UInt8], _ position: Int, _ then: (Int) -> Bool
    ) -> Bool {
        guard let first = parts.first else { return then(position) }
        return first.match(text, position) { match(parts.dropFirst(), text, $0, then) }
    }
}
