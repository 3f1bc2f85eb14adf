// The messages of a chat request, brought into the shape that chat templates are written for.
import Text

enum ChatMessages {
    static let maxMessages = 10_000

    /// Reads `messages`, which must be there and not be empty.
    /// - Parameter knowsDeveloper: whether the template has the role `developer`; otherwise its messages are
    ///   the system's, because templates drop roles that they do not know.
    static func read(
        _ fields: inout FieldReader, knowsDeveloper: Bool
    ) throws(APIError) -> [OrderedJSON] {
        guard let messages = try fields.array("messages", limit: maxMessages) else {
            throw fields.missing("messages", "an array of messages, each with `role` and `content`")
        }
        guard !messages.isEmpty else { throw fields.refused("messages", "must not be empty") }
        var result: [OrderedJSON] = []
        for (index, message) in messages.enumerated() {
            let path = fields.path(of: "messages[\(index)]")
            result.append(try one(message, path: path, knowsDeveloper: knowsDeveloper))
        }
        return result
    }

    private static func one(
        _ message: OrderedJSON, path: String, knowsDeveloper: Bool
    ) throws(APIError) -> OrderedJSON {
        var fields = try FieldReader(message, path: path)
        var role = try fields.requiredString("role")
        if role == "developer" && !knowsDeveloper { role = "system" }
        let calls = try fields.array("tool_calls", limit: 1_000)
        let content = fields.value("content")
        if content == nil, calls == nil, role != "assistant" {
            throw fields.missing("content", "a string, or an array of text parts")
        }
        var members: [OrderedJSON.Member] = [
            .init("role", .string(role)),
            .init("content", .string(try text(content, path: fields.path(of: "content")))),
        ]
        if let calls {
            var parsed: [OrderedJSON] = []
            for (index, call) in calls.enumerated() {
                parsed.append(try toolCall(call, path: fields.path(of: "tool_calls[\(index)]")))
            }
            members.append(.init("tool_calls", .array(parsed)))
        }
        for key in ["name", "tool_call_id", "reasoning_content", "reasoning"] {
            if let value = try fields.string(key) { members.append(.init(key, .string(value))) }
        }
        return .object(members)
    }

    /// The text of a content: itself, or its parts, a line each.
    private static func text(_ content: OrderedJSON?, path: String) throws(APIError) -> String {
        guard let content else { return "" }
        if let text = content.stringValue { return text }
        guard let parts = content.arrayValue else {
            throw .badRequest(
                "`\(path)` must be a string or an array of parts, not \(content.kind)", parameter: path)
        }
        var texts: [String] = []
        for (index, part) in parts.enumerated() {
            if let text = part.stringValue {
                texts.append(text)
                continue
            }
            var fields = try FieldReader(part, path: "\(path)[\(index)]")
            let type = try fields.requiredString("type")
            switch type {
            case "text", "input_text", "output_text": texts.append(try fields.requiredString("text"))
            case "refusal": texts.append(try fields.requiredString("refusal"))
            default:
                throw fields.refused(
                    "type",
                    "is \"\(type.shortened)\", but this model reads text only; send parts of type \"text\"")
            }
        }
        return texts.joined(separator: "\n")
    }

    /// Templates print arguments as an object, while OpenAI's clients send them as JSON text.
    private static func toolCall(_ call: OrderedJSON, path: String) throws(APIError) -> OrderedJSON {
        var fields = try FieldReader(call, path: path)
        guard let object = try fields.object("function") else {
            throw fields.missing("function", "an object with `name` and `arguments`")
        }
        var function = try FieldReader(object, path: fields.path(of: "function"))
        let name = try function.requiredString("name")
        var arguments = function.value("arguments") ?? .object([])
        if case .string(let text) = arguments {
            do {
                arguments = text.isEmpty ? .object([]) : try OrderedJSON(parsing: text)
            } catch {
                throw function.refused("arguments", "must be JSON text: \(error.message)")
            }
        }
        var members: [OrderedJSON.Member] = []
        if let id = try fields.string("id") { members.append(.init("id", .string(id))) }
        members.append(.init("type", .string("function")))
        members.append(
            .init(
                "function",
                .object([
                    .init("name", .string(name)), .init("arguments", arguments),
                ])))
        return .object(members)
    }
}
