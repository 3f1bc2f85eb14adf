// Regular expressions in RE2's language, in time linear in the text: what manifests write may come from
// anybody.

/// Why a pattern was refused.
package struct RegularExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String
    /// Where in the pattern, in characters (Unicode scalars) from its beginning.
    package var offset: Int

    package var description: String { "invalid regular expression: \(message) (at character \(offset + 1))" }
}

/// A compiled pattern of Go's `regexp` syntax. Of several matches the leftmost counts, and of those the one
/// that a backtracking matcher would find first. Back references and lookaround do not exist: they cannot be
/// matched in linear time, and asking for them is an error.
package struct RegularExpression: Sendable {
    /// Longer patterns, in bytes, are refused.
    package static let maximumPatternLength = 10_000
    /// Patterns whose program needs more instructions are refused.
    package static let maximumProgramLength = 20_000
    /// Higher counts in `{n,m}` are refused.
    package static let maximumRepetition = 1_000

    /// One match. All ranges are offsets in bytes into the text's UTF-8, never inside a character's bytes.
    package struct Match: Sendable, Hashable {
        /// The whole match, then each group; nil for groups that took no part.
        package var groups: [Range<Int>?]

        /// The whole match.
        package var range: Range<Int> { groups.first.flatMap { $0 } ?? 0..<0 }
    }

    package let pattern: String
    /// The names of the groups, nil for those without; the first stands for the whole match.
    package let names: [String?]
    let program: RegexProgram

    package init(_ pattern: String) throws(RegularExpressionError) {
        guard pattern.utf8.count <= Self.maximumPatternLength else {
            throw RegularExpressionError(
                message: "longer than \(Self.maximumPatternLength) bytes", offset: 0)
        }
        var parser = RegexParser(pattern: pattern)
        let syntax = try parser.parse()
        self.pattern = pattern
        names = parser.groupNames
        var compiler = RegexCompiler()
        program = try compiler.compile(syntax, groupCount: parser.groupNames.count)
    }

    /// Whether any part of the text matches.
    package func matches(_ text: String) -> Bool {
        withMachine(on: text, slotCount: 0) { $0.search(from: 0) } != nil
    }

    package func firstMatch(in text: String) -> Match? {
        withMachine(on: text, slotCount: program.slotCount) { $0.search(from: 0) }.map(Match.init(slots:))
    }

    /// The matches that do not overlap, from left to right. As in Go, an empty match directly after another
    /// match does not count.
    package func allMatches(in text: String, limit: Int = .max) -> [Match] {
        guard limit > 0 else { return [] }
        return withMachine(on: text, slotCount: program.slotCount) { machine in
            var matches: [Match] = []
            var position = 0
            var previousEnd = -1
            while matches.count < limit, position <= machine.text.count,
                let slots = machine.search(from: position)
            {
                let match = Match(slots: slots)
                if match.range.isEmpty {
                    if match.range.lowerBound != previousEnd { matches.append(match) }
                    position = match.range.upperBound + machine.characterLength(at: match.range.upperBound)
                } else {
                    matches.append(match)
                    position = match.range.upperBound
                }
                previousEnd = match.range.upperBound
            }
            return matches
        }
    }

    private func withMachine<Result>(
        on text: String, slotCount: Int, _ body: (inout PikeMachine) -> Result
    ) -> Result {
        var text = text
        return text.withUTF8 { bytes in
            var machine = PikeMachine(program: program, text: bytes, slotCount: slotCount)
            return body(&machine)
        }
    }
}

extension RegularExpression.Match {
    /// - Parameter slots: begin and end of each group in turn, -1 where unset.
    init(slots: [Int]) {
        groups = stride(from: 0, to: slots.count, by: 2).map { index in
            let (begin, end) = (slots[index], slots[index + 1])
            return begin >= 0 && end >= begin ? begin..<end : nil
        }
    }
}
