// Chat templates: the Jinja program that a model brings to turn messages into the text it was trained on.
// Agrees with `apply_chat_template` of transformers, which runs them with Jinja2's immutable sandbox.
package import Text

/// A compiled template. Compiling finds what is wrong in its form; rendering may be done any number of times.
package struct ChatTemplate: Sendable {
    package let source: String
    private let body: [TemplateStatement]
    /// The names in the template, numbered.
    private let names: [String: Int]
    /// Whether the template marks what the model writes by `{% generation %}` blocks.
    package let hasGenerationBlocks: Bool

    /// - Throws: if the source is not a template, with the line and the remedy.
    package init(_ source: String) throws(ChatTemplateError) {
        let parsed = try TemplateParser.parse(source)
        self.source = source
        body = parsed.body
        names = parsed.names
        hasGenerationBlocks = parsed.hasGenerations
    }

    /// Runs the template.
    /// - Parameters:
    ///   - variables: `messages`, `tools`, `add_generation_prompt`, `bos_token` and whatever else it reads.
    ///   - now: what `strftime_now` prints, in UTC.
    /// - Throws: what the template raises, operations that its values do not have, and, from hostile
    ///   templates, more than 5 million steps or 16 MiB of text.
    package func render(
        _ variables: [String: OrderedJSON], now: Timestamp
    ) throws(ChatTemplateError) -> String {
        try renderTracked(variables, now: now).text
    }

    /// As `render`, with the places of the text's UTF-8 that `{% generation %}` blocks wrote, in their order:
    /// the assistant tokens mask of transformers. A block in a text that becomes a value first, by `set` or a
    /// macro, has no place.
    package func renderTracked(
        _ variables: [String: OrderedJSON], now: Timestamp
    ) throws(ChatTemplateError) -> (text: String, generations: [Range<Int>]) {
        let evaluator: TemplateEvaluator
        do {
            evaluator = try TemplateEvaluator(variables: variables, names: names, now: now)
        } catch {
            throw error.at(line: 1)
        }
        do {
            return (try evaluator.render(body), evaluator.generations)
        } catch {
            throw error.at(line: evaluator.line)
        }
    }

    /// Runs the template with the variables that transformers gives it.
    /// - Parameters:
    ///   - messages: an array of objects. Where a message has its reasoning under one of the names in use,
    ///     `reasoning_content`, `thinking` or `reasoning`, the template finds it under the first two.
    ///   - tools: an array of tool schemas; none where nil.
    ///   - extra: more variables, such as `enable_thinking`; these win over the others.
    package func render(
        messages: OrderedJSON, tools: OrderedJSON?, addGenerationPrompt: Bool, bosToken: String?,
        eosToken: String?,
        extra: [String: OrderedJSON] = [:], now: Timestamp
    ) throws(ChatTemplateError) -> String {
        try render(
            Self.variables(
                messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt,
                bosToken: bosToken, eosToken: eosToken, extra: extra), now: now)
    }

    /// The variables that transformers gives a template; see `render`.
    package static func variables(
        messages: OrderedJSON, tools: OrderedJSON?, addGenerationPrompt: Bool, bosToken: String?,
        eosToken: String?, extra: [String: OrderedJSON] = [:]
    ) -> [String: OrderedJSON] {
        var variables: [String: OrderedJSON] = [
            "messages": namingReasoning(in: messages), "tools": tools ?? .null, "documents": .null,
            "add_generation_prompt": .bool(addGenerationPrompt),
        ]
        if let bosToken { variables["bos_token"] = .string(bosToken) }
        if let eosToken { variables["eos_token"] = .string(eosToken) }
        variables.merge(extra) { $1 }
        return variables
    }

    /// The messages with their reasoning under every name that templates read, as transformers 5 passes them.
    package static func namingReasoning(in messages: OrderedJSON) -> OrderedJSON {
        guard case .array(let list) = messages else { return messages }
        return .array(
            list.map { message in
                let given = ["reasoning_content", "thinking", "reasoning"].lazy.compactMap { message[$0] }
                guard case .object(var members) = message, let reasoning = given.first(where: { !$0.isNull })
                else {
                    return message
                }
                if message["thinking"] == nil {
                    members.insert(OrderedJSON.Member(key: "thinking", value: reasoning), at: 0)
                }
                if let place = members.firstIndex(where: { $0.key == "reasoning_content" }) {
                    members[place].value = reasoning
                } else {
                    members.append(OrderedJSON.Member(key: "reasoning_content", value: reasoning))
                }
                return .object(members)
            })
    }
}
