// Puts a description, examples and a question together: as one text, or as messages.

import Text

/// What a form of prompt says of one question.
struct RenderedQuestion: Sendable {
    var prompt: String
    /// As an example shows it.
    var target: String
}

struct PromptAssembly: Sendable {
    var usesChatTemplate: Bool
    var systemPrompt: String?
    var form: PromptForm

    /// Raw, everything is one text, as lm-evaluation-harness has it. As messages, the description joins the
    /// system message and examples are turns.
    func prompt(description: String, examples: [RenderedQuestion], question: String) -> PromptText {
        guard usesChatTemplate else {
            var text = systemPrompt.map { $0 + "\n\n" } ?? ""
            text += description
            for example in examples {
                text += example.prompt + form.targetDelimiter + example.target + form.exampleDelimiter
            }
            return .raw(text + question)
        }
        var turns: [ChatTurn] = []
        let system = [systemPrompt ?? "", description.trimmingBlanks].filter { !$0.isEmpty }
        if !system.isEmpty {
            turns.append(ChatTurn(role: "system", content: system.joined(separator: "\n\n")))
        }
        for example in examples {
            turns.append(ChatTurn(role: "user", content: example.prompt))
            turns.append(ChatTurn(role: "assistant", content: example.target))
        }
        turns.append(ChatTurn(role: "user", content: question))
        return .messages(turns)
    }
}

/// The examples of each subset: drawn once, so that all questions of a subset begin with the same text.
struct ExampleChoice {
    var seed: UInt64
    var isDrawn: Bool

    /// - Throws: if there are fewer rows than examples were asked for.
    func rows(_ pool: [SourceRow], count: Int, subset: String) throws(EvaluationError) -> [SourceRow] {
        guard pool.count >= count else {
            throw EvaluationError(
                pool.first?.file ?? "", field: "shots",
                problem:
                    "the subset \"\(subset)\" has \(pool.count) rows for examples, not \(count)",
                remedy: "ask for at most \(pool.count) examples")
        }
        guard isDrawn else { return Array(pool.prefix(count)) }
        var generator = SplitMix64(seed: seed)
        var indexes = Array(pool.indices)
        for place in 0..<count {
            indexes.swapAt(place, place + Int(generator.next(below: UInt64(indexes.count - place))))
        }
        return indexes.prefix(count).map { pool[$0] }
    }
}
