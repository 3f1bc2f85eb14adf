// From the messages of a file, in whatever form, to those that templates take.
import Text

/// Reads conversations in the forms of ms-swift: its own, OpenAI's and both kinds of ShareGPT.
struct ConversationReader {
    /// Names of roles in the files, and what they are here. `tool_call` is the assistant's.
    private static let roles: [String: String] = [
        "system": "system", "developer": "developer", "user": "user", "human": "user",
        "assistant": "assistant",
        "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant", "tool": "tool",
        "tool_response": "tool", "function_response": "tool", "observation": "tool", "function": "tool",
        "tool_call": "tool_call", "function_call": "tool_call",
    ]

    private let field: String
    private var conversation = Conversation()
    /// Whether the last message may take another tool call.
    private var lastTakesCalls = false

    /// - Parameters:
    ///   - value: a list of messages, or its text.
    ///   - field: how the errors name it.
    static func conversation(_ value: OrderedJSON, _ field: String) throws(RowProblem) -> Conversation {
        var reader = ConversationReader(field: field)
        guard let list = try RowFields.decoded(value, field).arrayValue else {
            throw RowProblem(field, "not a list of messages")
        }
        guard !list.isEmpty else { throw RowProblem(field, "the list is empty") }
        for (index, message) in list.enumerated() { try reader.add(message, "\(field)[\(index)]") }
        return reader.conversation
    }

    private init(field: String) { self.field = field }

    private mutating func add(_ message: OrderedJSON, _ place: String) throws(RowProblem) {
        guard message.objectValue != nil else { throw RowProblem(place, "not an object") }
        if message["role"] == nil, message["from"] == nil { return try addTurn(message, place) }
        let key = message["role"] == nil ? "from" : "role"
        guard let name = message[key]?.stringValue else { throw RowProblem("\(place).\(key)", "not a text") }
        guard let role = Self.roles[name.lowercased()] else {
            throw RowProblem(
                "\(place).\(key)",
                "\"\(name)\" is none of system, user, assistant, tool, tool_call, tool_response")
        }
        let loss = try Self.loss(of: message, place)
        if role == "tool_call" { return try addCall(message, loss, place) }
        let contentKey = message["content"] == nil && message["value"] != nil ? "value" : "content"
        let calls = try Self.calls(of: message, place)
        let content = message[contentKey] ?? .null
        if content.isNull && calls == nil { throw RowProblem("\(place).\(contentKey)", "is missing") }
        let text = content.isNull ? "" : try Self.text(of: content, "\(place).\(contentKey)")
        var members = [
            OrderedJSON.Member(key: "role", value: .string(role)),
            OrderedJSON.Member(key: "content", value: .string(text)),
        ]
        for member in message.objectValue ?? [] where !Self.ownKeys.contains(member.key) {
            members.append(member)
        }
        if let calls { members.append(OrderedJSON.Member(key: "tool_calls", value: calls)) }
        conversation.messages.append(.object(members))
        conversation.losses.append(loss)
        lastTakesCalls = role == "assistant"
    }

    /// Keys that are read here; others, such as `reasoning_content` or `name`, are for the template.
    private static let ownKeys: Set<String> = [
        "role", "from", "content", "value", "loss", "loss_scale", "tool_calls",
    ]

    /// A question with its answer: `{"human": ..., "assistant": ...}`.
    private mutating func addTurn(_ message: OrderedJSON, _ place: String) throws(RowProblem) {
        var found = 0
        for (role, names) in [("user", ["human", "user"]), ("assistant", ["assistant", "gpt", "bot"])] {
            guard let name = names.first(where: { message[$0].map { !$0.isNull } ?? false }),
                let value = message[name]
            else { continue }
            conversation.append(role: role, content: try Self.text(of: value, "\(place).\(name)"))
            lastTakesCalls = role == "assistant"
            found += 1
        }
        if found == 0 { throw RowProblem("\(place).role", "is missing") }
    }

    // MARK: Tool calls

    /// A message that is a tool call joins the assistant's before it: templates know calls only there.
    private mutating func addCall(
        _ message: OrderedJSON, _ loss: Bool?, _ place: String
    ) throws(RowProblem) {
        let contentKey = message["content"] == nil && message["value"] != nil ? "value" : "content"
        let content = message[contentKey] ?? .null
        let value = try RowFields.decoded(content, "\(place).\(contentKey)")
        let call = OrderedJSON.object([
            OrderedJSON.Member(key: "type", value: .string("function")),
            OrderedJSON.Member(key: "function", value: try Self.function(value, "\(place).\(contentKey)")),
        ])
        if lastTakesCalls, let last = conversation.messages.last, var members = last.objectValue {
            let calls = (last["tool_calls"]?.arrayValue ?? []) + [call]
            members.removeAll { $0.key == "tool_calls" }
            members.append(OrderedJSON.Member(key: "tool_calls", value: .array(calls)))
            conversation.messages[conversation.messages.count - 1] = .object(members)
            if let loss { conversation.losses[conversation.losses.count - 1] = loss }
        } else {
            conversation.messages.append(
                .object([
                    OrderedJSON.Member(key: "role", value: .string("assistant")),
                    OrderedJSON.Member(key: "content", value: .string("")),
                    OrderedJSON.Member(key: "tool_calls", value: .array([call])),
                ]))
            conversation.losses.append(loss)
        }
        lastTakesCalls = true
    }

    /// `tool_calls` of a message in OpenAI's form.
    private static func calls(of message: OrderedJSON, _ place: String) throws(RowProblem) -> OrderedJSON? {
        guard let value = message["tool_calls"], !value.isNull else { return nil }
        guard let list = try RowFields.decoded(value, "\(place).tool_calls").arrayValue else {
            throw RowProblem("\(place).tool_calls", "not a list")
        }
        if list.isEmpty { return nil }
        var calls: [OrderedJSON] = []
        for (index, call) in list.enumerated() {
            let name = "\(place).tool_calls[\(index)]"
            guard var members = call.objectValue else { throw RowProblem(name, "not an object") }
            if let position = members.firstIndex(where: { $0.key == "function" }) {
                members[position].value = try function(members[position].value, "\(name).function")
            } else {
                let called = try function(call, name)
                members = [
                    OrderedJSON.Member(key: "type", value: .string("function")),
                    OrderedJSON.Member(key: "function", value: called),
                ]
            }
            calls.append(.object(members))
        }
        return .array(calls)
    }

    /// A function's name and arguments. Files have the arguments as an object or as its text; templates print
    /// objects, and would quote a text once more.
    private static func function(_ value: OrderedJSON, _ place: String) throws(RowProblem) -> OrderedJSON {
        guard let name = value["name"]?.stringValue else {
            throw RowProblem(place, "a tool call has \"name\" and \"arguments\"")
        }
        var arguments = value["arguments"] ?? value["parameters"] ?? .object([])
        if let text = arguments.stringValue {
            arguments = text.isEmpty ? .object([]) : try RowFields.decoded(arguments, "\(place).arguments")
        }
        return .object([
            OrderedJSON.Member(key: "name", value: .string(name)),
            OrderedJSON.Member(key: "arguments", value: arguments),
        ])
    }

    // MARK: Parts of a message

    /// A text, or a list of parts that are texts.
    static func text(of value: OrderedJSON, _ place: String) throws(RowProblem) -> String {
        if let text = value.stringValue { return text }
        guard let parts = value.arrayValue else { throw RowProblem(place, "not a text") }
        var result = ""
        for (index, part) in parts.enumerated() {
            let kind = part["type"]?.stringValue ?? "text"
            guard let text = part.stringValue ?? part["text"]?.stringValue, kind == "text" else {
                throw RowProblem(
                    "\(place)[\(index)]",
                    kind == "text" ? "has no text" : "\"\(kind)\" is no text, and only texts are trained on")
            }
            result += text
        }
        return result
    }

    private static func loss(of message: OrderedJSON, _ place: String) throws(RowProblem) -> Bool? {
        guard let value = message["loss"] ?? message["loss_scale"], !value.isNull else { return nil }
        if let flag = value.boolValue { return flag }
        switch value.doubleValue {
        case 0: return false
        case 1: return true
        default:
            throw RowProblem(
                "\(place).\(message["loss"] == nil ? "loss_scale" : "loss")", "neither true nor false")
        }
    }
}
