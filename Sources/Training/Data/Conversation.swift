// A conversation as templates take it: messages in OpenAI's form, whatever form they had in the file.
import Text

/// Messages with what a template needs beside them.
struct Conversation: Sendable, Hashable {
    /// Objects with role and content; tool calls under `tool_calls`, their arguments as objects.
    var messages: [OrderedJSON] = []
    /// What each message says about being learned; nil where it says nothing. As many as messages.
    var losses: [Bool?] = []
    var tools: OrderedJSON?
    /// `chat_template_kwargs`: more variables for the template.
    var arguments: [String: OrderedJSON] = [:]

    mutating func append(role: String, content: String, loss: Bool? = nil) {
        messages.append(Self.message(role: role, content: content))
        losses.append(loss)
    }

    func isAssistant(_ index: Int) -> Bool { messages[index]["role"]?.stringValue == "assistant" }

    /// The conversation up to a message, which is left out.
    func prefix(_ count: Int) -> Conversation {
        var result = self
        result.messages = Array(messages.prefix(count))
        result.losses = Array(losses.prefix(count))
        return result
    }

    func appending(_ other: Conversation) -> Conversation {
        var result = self
        result.messages += other.messages
        result.losses += other.losses
        return result
    }

    static func message(role: String, content: String) -> OrderedJSON {
        .object([
            OrderedJSON.Member(key: "role", value: .string(role)),
            OrderedJSON.Member(key: "content", value: .string(content)),
        ])
    }
}
