// From messages to the text that the model reads, by its chat template.
import Models
import Text

/// The chat templates of a model, ready to render.
struct ChatPrompt: Sendable {
    private let template: ChatTemplate?
    /// Used instead when a request has tools, if the model brings one.
    private let toolTemplate: ChatTemplate?
    /// The sources, which tell in what format the model calls tools.
    let source: String
    private let tokenizer: Tokenizer
    private let trustsRequests: Bool

    /// - Parameters:
    ///   - override: a template to use in place of the model's own.
    ///   - trustsRequests: whether requests may bring their own template.
    /// - Throws: if a template cannot be compiled.
    init(tokenizer: Tokenizer, override: String?, trustsRequests: Bool) throws {
        self.tokenizer = tokenizer
        self.trustsRequests = trustsRequests
        let text = override ?? tokenizer.chatTemplates["default"]
        let toolText = override == nil ? tokenizer.chatTemplates["tool_use"] : nil
        template = try text.map { try ChatTemplate($0) }
        toolTemplate = try toolText.map { try ChatTemplate($0) }
        source = (text ?? "") + (toolText ?? "")
    }

    /// Whether the template has a role `developer` beside `system`.
    var knowsDeveloper: Bool { source.contains("developer") }

    /// The text for a request.
    /// - Parameter now: for templates that print the date.
    func render(
        messages: [OrderedJSON], tools: OrderedJSON?, documents: OrderedJSON? = nil,
        addsGenerationPrompt: Bool, continuesFinalMessage: Bool,
        arguments: [String: OrderedJSON] = [:], requestTemplate: String? = nil, now: Timestamp
    ) throws(APIError) -> String {
        let chosen = try chooseTemplate(hasTools: tools != nil, requestTemplate)
        var variables: [String: OrderedJSON] = [:]
        for (name, token) in [
            ("bos_token", tokenizer.bosToken), ("eos_token", tokenizer.eosToken),
            ("pad_token", tokenizer.padToken), ("unk_token", tokenizer.unkToken),
        ] {
            if let token { variables[name] = .string(token) }
        }
        variables.merge(arguments) { $1 }
        variables["messages"] = ChatTemplate.namingReasoning(in: .array(messages))
        variables["tools"] = tools ?? .null
        variables["documents"] = documents ?? .null
        variables["add_generation_prompt"] = .bool(addsGenerationPrompt)
        let text: String
        do {
            text = try chosen.render(variables, now: now)
        } catch {
            throw .badRequest("the chat template refused the messages: \(error)", parameter: "messages")
        }
        guard continuesFinalMessage else { return text }
        return try Self.cutBehindFinalMessage(text, messages.last?["content"]?.stringValue ?? "")
    }

    private func chooseTemplate(
        hasTools: Bool, _ requestTemplate: String?
    ) throws(APIError) -> ChatTemplate {
        if let requestTemplate {
            guard trustsRequests else {
                throw .badRequest(
                    "`chat_template` is not accepted by this server, because templates are programs; start "
                        + "it with `--trust_request_chat_template`, or leave the field out",
                    parameter: "chat_template")
            }
            do {
                return try ChatTemplate(requestTemplate)
            } catch {
                throw .badRequest("`chat_template` is wrong: \(error)", parameter: "chat_template")
            }
        }
        guard let chosen = (hasTools ? toolTemplate : nil) ?? template else {
            throw .badRequest(
                "this model has no chat template; use /v1/completions, or start the server with "
                    + "`--chat_template FILE`")
        }
        return chosen
    }

    /// Ends the prompt behind the last message's text, so that the model goes on with it. Agrees with
    /// `continue_final_message` of transformers' `apply_chat_template`. Compared by bytes, because String's
    /// equality takes different spellings of a character for the same.
    static func cutBehindFinalMessage(_ text: String, _ message: String) throws(APIError) -> String {
        let bytes = Array(text.utf8)
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
        let withoutLead = Array(message.utf8.drop(while: isSpace))
        var stripped = withoutLead
        while let last = stripped.last, isSpace(last) { stripped.removeLast() }
        guard let start = lastIndex(of: stripped, in: bytes) else {
            throw .badRequest(
                "`continue_final_message` is set, but the chat template does not print the last message's "
                    + "text as it is; send the message without it",
                parameter: "continue_final_message")
        }
        // The message's trailing blanks stay only if the template printed them.
        let whole = bytes[start...].starts(with: withoutLead)
        let end = start + (whole ? withoutLead.count : stripped.count)
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    private static func lastIndex(of needle: [UInt8], in bytes: [UInt8]) -> Int? {
        guard needle.count <= bytes.count else { return nil }
        return (0...(bytes.count - needle.count)).reversed().first { start in
            bytes[start...].starts(with: needle)
        }
    }
}
