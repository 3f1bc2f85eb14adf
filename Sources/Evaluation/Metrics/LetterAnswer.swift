// Finds the letters of choices in what a model wrote.

import Text

package enum LetterAnswer {
    /// After these words an answer stands; the last time counts, as models think aloud first. A group of
    /// letters is `B`, `(B)`, `**B**`, `A, C` or `AC`.
    private static let patterns: [RegularExpression] = {
        let letters = "([A-Z](?:[ \\t]*(?:,|、|和|and|&)?[ \\t]*[A-Z])*)(?:[^A-Za-z0-9]|\\z)"
        let opening = "[\\s*_\"'“(\\[（【$]*(?:\\\\boxed\\{|\\\\text\\{|\\\\mathrm\\{)*[\\s(]*"
        return [
            "(?:(?i:answers?|final answer)|答案|选项|选择)(?:(?i:[ \\t]*(?:is|are))|应?[是为选])?[*_]*[ \\t]*[:：]?"
                + opening
                + letters,
            "\\\\boxed\\{(?:\\\\text\\{|\\\\mathrm\\{)?[\\s(]*" + letters,
        ].compactMap { try? RegularExpression($0) }
    }()
    /// An answer that begins with its letter: `B`, `(B) because ...`, `B. blue`.
    private static let leading: RegularExpression? =
        try? RegularExpression("\\A[\\s*(\\[（]*([A-Z](?:[ \\t]*[,、&][ \\t]*[A-Z])*)(?:[)\\].:：,，。*\\s）]|\\z)")

    /// The indexes of the letters that the completion gives as its answer; empty if there is none, or if one
    /// is beyond the choices.
    package static func extract(_ completion: String, choiceCount: Int) -> Set<Int> {
        let bytes = Array(completion.utf8)
        for pattern in patterns {
            let found = pattern.allMatches(in: completion, limit: 10_000)
            for match in found.reversed() {
                guard match.groups.count > 1, let range = match.groups[1] else { continue }
                let group = String(decoding: bytes[range], as: UTF8.self)
                let result = letters(in: group, choiceCount: choiceCount)
                if !result.isEmpty { return result }
            }
        }
        if let match = leading?.firstMatch(in: completion), match.groups.count > 1,
            let range = match.groups[1]
        {
            return letters(in: String(decoding: bytes[range], as: UTF8.self), choiceCount: choiceCount)
        }
        return []
    }

    /// The indexes of `A, C`, `AC`, `A and C` or `(C)`; empty if there is none, or if one is beyond the
    /// choices.
    package static func letters(in text: String, choiceCount: Int) -> Set<Int> {
        var found: Set<Int> = []
        for byte in text.utf8 where (0x41...0x5A).contains(byte) {
            let index = Int(byte - 0x41)
            guard index < choiceCount else { return [] }
            found.insert(index)
        }
        return found
    }
}
