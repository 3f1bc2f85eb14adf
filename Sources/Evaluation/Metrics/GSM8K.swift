// How answers to GSM8K's problems are judged.

/// The two extractions of lm-evaluation-harness, and a comparison of numbers as EvalScope does it.
package enum GSM8K {
    /// Of the answers as the data set writes them.
    package static let strictPattern = "#### (\\-?[0-9\\.\\,]+)"
    /// Of any number.
    package static let flexiblePattern = "(-?[$0-9.,]{2,})|(-?[0-9]+)"
    /// Deleted from answer and reference, in this order.
    package static let ignoredPatterns = [",", "\\$", "(?s).*#### ", "\\.$"]

    /// The first match of the strict pattern, compared as text.
    package static func strict() throws(EvaluationError) -> AnswerCheck {
        try check("exact_match", filters: [.regex(pattern(strictPattern), select: 0)], match: .exact)
    }

    /// The last number, compared as text.
    package static func flexible() throws(EvaluationError) -> AnswerCheck {
        try check(
            "exact_match_flexible", filters: [.regex(pattern(flexiblePattern), select: -1)], match: .exact)
    }

    /// `acc` compares the last number as a number: "42.0" and "42" are the same.
    package static func checks() throws(EvaluationError) -> [AnswerCheck] {
        let number = try check("acc", filters: [.regex(pattern(flexiblePattern), select: -1)], match: .number)
        return [number, try strict(), try flexible()]
    }

    private static func check(
        _ metric: String, filters: [AnswerFilter], match: AnswerMatch
    ) throws(EvaluationError) -> AnswerCheck {
        var check = AnswerCheck(metric: metric, filters: filters, match: match)
        for source in ignoredPatterns { check.ignoring.append(try pattern(source)) }
        check.ignoresCase = true
        return check
    }

    /// - Throws: if the source is no pattern, with what is wrong.
    package static func pattern(_ source: String) throws(EvaluationError) -> PythonPattern {
        do {
            return try PythonPattern(source)
        } catch {
            throw EvaluationError(
                "pattern \(source)", problem: "\(error)",
                remedy: "write it in Python's language without lookaround and back references")
        }
    }
}
