// Takes the answer out of what a model wrote and compares it with what is right.

import Text

/// A step from a completion to its answer.
package enum AnswerFilter: Sendable {
    /// One of the matches, as lm-evaluation-harness' `regex` filter: index 0 is the first, -1 the last;
    /// without a match the answer is `[invalid]`.
    case regex(PythonPattern, select: Int)
    /// Without blanks on both sides.
    case strip
    case firstLine
    case lastLine
    /// Everything after the last of a text, such as `</think>`; all if it is not there.
    case after(String)

    package static let invalid = "[invalid]"

    package func apply(_ text: String) -> String {
        switch self {
        case .regex(let pattern, let select):
            let found = pattern.findAll(text)
            let index = select < 0 ? found.count + select : select
            guard found.indices.contains(index) else { return Self.invalid }
            // lm-evaluation-harness falls back as well where no group took part.
            return found[index].isEmpty ? Self.invalid : found[index].trimmingBlanks
        case .strip: return text.trimmingBlanks
        case .firstLine: return Self.lines(text).first ?? ""
        case .lastLine: return Self.lines(text).last ?? ""
        case .after(let mark): return Self.after(mark, text)
        }
    }

    private static func lines(_ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).map(\.trimmingBlanks).filter { !$0.isEmpty }
    }

    private static func after(_ mark: String, _ text: String) -> String {
        let (bytes, part) = (Array(text.utf8), Array(mark.utf8))
        guard !part.isEmpty, bytes.count >= part.count else { return text }
        for start in stride(from: bytes.count - part.count, through: 0, by: -1)
        where bytes[start..<start + part.count].elementsEqual(part) {
            return String(decoding: bytes[(start + part.count)...], as: UTF8.self)
        }
        return text
    }

    /// The filter as settings have it, for digests.
    var source: String {
        switch self {
        case .regex(let pattern, let select): "regex \(select) \(pattern.source)"
        case .strip: "strip"
        case .firstLine: "first_line"
        case .lastLine: "last_line"
        case .after(let mark): "after \(mark)"
        }
    }
}

/// How an answer is compared.
package enum AnswerMatch: String, Sendable, CaseIterable {
    /// Equal texts.
    case exact
    /// Equal numbers, whatever their spelling: 1,200.50 is 1200.5.
    case number
    /// The reference stands somewhere in the answer.
    case contains
    /// The reference is a Python pattern that matches somewhere in the answer.
    case regex
    /// The same letters of choices.
    case letter
    /// ROUGE-L's F measure, from 0 to 1.
    case rougeL = "rouge_l"
}

/// One metric of a task that is answered in words.
package struct AnswerCheck: Sendable {
    package var metric: String
    package var filters: [AnswerFilter]
    package var match: AnswerMatch
    /// Deleted one after another from answer and reference before they are compared.
    package var ignoring: [PythonPattern] = []
    package var ignoresCase = false
    /// Leaves out ASCII's punctuation.
    package var ignoresPunctuation = false

    package init(metric: String, filters: [AnswerFilter], match: AnswerMatch) {
        self.metric = metric
        self.filters = filters
        self.match = match
    }

    /// The answer in a completion.
    package func extract(_ completion: String) -> String { filters.reduce(completion) { $1.apply($0) } }

    /// An answer or a reference as it is compared.
    package func normalized(_ text: String) -> String {
        var text = ignoring.reduce(text) { $1.deletingAll(in: $0) }
        if ignoresCase { text = text.lowercased() }
        if ignoresPunctuation {
            text = String(
                String.UnicodeScalarView(text.unicodeScalars.filter { !Self.punctuation.contains($0) }))
        }
        return text
    }

    private static let punctuation = Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".unicodeScalars)

    /// - Parameter answer: extracted, not yet normalized.
    /// - Returns: 1 or 0, or between them for ROUGE-L; of several references the best counts.
    package func score(_ answer: String, _ references: [String]) -> Double {
        let answer = normalized(answer)
        return references.map { compare(answer, reference: $0) }.max() ?? 0
    }

    private func compare(_ answer: String, reference raw: String) -> Double {
        if match == .regex {
            return (try? PythonPattern(raw))?.matches(answer) == true ? 1 : 0
        }
        let reference = normalized(raw)
        switch match {
        case .exact, .regex: return answer.utf8.elementsEqual(reference.utf8) ? 1 : 0
        case .number:
            guard let one = NumericAnswer.parse(answer), let other = NumericAnswer.parse(reference) else {
                return 0
            }
            return NumericAnswer.areEqual(one, other) ? 1 : 0
        case .contains: return !reference.isEmpty && answer.hasPart(reference) ? 1 : 0
        case .letter:
            let wanted = LetterAnswer.letters(in: reference, choiceCount: 26)
            return !wanted.isEmpty && LetterAnswer.extract(answer, choiceCount: 26) == wanted ? 1 : 0
        case .rougeL: return RougeL.fMeasure(answer, reference)
        }
    }

    var source: OrderedJSON {
        .object([
            .init(key: "metric", value: .string(metric)),
            .init(key: "filters", value: .array(filters.map { .string($0.source) })),
            .init(key: "match", value: .string(match.rawValue)),
            .init(key: "ignore", value: .array(ignoring.map { .string($0.source) })),
            .init(key: "ignore_case", value: .bool(ignoresCase)),
            .init(key: "ignore_punctuation", value: .bool(ignoresPunctuation)),
        ])
    }
}

extension String {
    /// Whether the bytes of a text stand somewhere in this one.
    func hasPart(_ part: String) -> Bool {
        let (bytes, wanted) = (Array(utf8), Array(part.utf8))
        guard let first = wanted.first, bytes.count >= wanted.count else { return wanted.isEmpty }
        return (0...(bytes.count - wanted.count)).contains { start in
            bytes[start] == first && bytes[start..<start + wanted.count].elementsEqual(wanted)
        }
    }
}
