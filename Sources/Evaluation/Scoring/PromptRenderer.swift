// Prompts as the texts and tokens that a model in this process reads.

package import Models
package import Text

/// Renders messages with the model's chat template.
package struct PromptRenderer: Sendable {
    package let tokenizer: Tokenizer
    private let template: ChatTemplate?
    private let now: Timestamp

    /// - Parameters:
    ///   - now: what templates that show the date print.
    /// - Throws: `ChatTemplateError` if the model's template is none.
    package init(tokenizer: Tokenizer, now: Timestamp) throws {
        self.tokenizer = tokenizer
        self.now = now
        template = try tokenizer.chatTemplates["default"].map { try ChatTemplate($0) }
    }

    /// The template's source; nil for a model without one.
    package var templateSource: String? { template?.source }

    /// The text of a prompt; messages end where the assistant's answer begins.
    /// - Throws: `ScoringError` without a template, and what the template raises.
    package func text(_ prompt: PromptText) throws -> String {
        switch prompt {
        case .raw(let text): return text
        case .messages(let turns):
            guard let template else {
                throw ScoringError(
                    "the model has no chat template", remedy: "evaluate it with --apply_chat_template false")
            }
            return try template.render(
                messages: Self.json(turns), tools: nil, addGenerationPrompt: true,
                bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken, now: now)
        }
    }

    /// The tokens of a prompt to write on from. A template brings its own beginning of a text.
    package func ids(_ prompt: PromptText) throws -> [Int32] {
        let text = try text(prompt)
        if case .messages = prompt { return tokenizer.encode(text, addSpecialTokens: false) }
        return tokenizer.encode(text, addSpecialTokens: true)
    }

    /// Messages as templates and servers read them.
    static func json(_ turns: [ChatTurn]) -> OrderedJSON {
        .array(
            turns.map { turn in
                .object([
                    .init(key: "role", value: .string(turn.role)),
                    .init(key: "content", value: .string(turn.content)),
                ])
            })
    }
}
