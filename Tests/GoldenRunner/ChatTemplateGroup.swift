// Messages to text, against `apply_chat_template` of transformers.

import Models
import Text
import Training

extension GoldenGroup {
    /// `chat.json`: renderings of the templates in it, and what templates raise. Text and ids are exact.
    static let chatTemplate = GoldenGroup(name: "chat template") {
        $0.has("chat.json")
    } run: { folder, report in
        let cases = try folder.json("chat.json")
        let check = try ChatTemplateCheck(folder, cases)
        for (number, item) in (cases["renderings"]?.arrayValue ?? []).enumerated() {
            let label = "\(number) \(item["name"]?.stringValue ?? "") \(item["template"]?.stringValue ?? "")"
            report.attempt("renderings", label) { try check.rendering(item) }
        }
        let raises = cases["raises"].map { $0.arrayValue ?? [$0] } ?? []
        for (number, item) in raises.enumerated() where !item.isNull {
            report.attempt("errors", "\(number)") { try check.raising(item) }
        }
        for item in cases["sft_masks"]?.arrayValue ?? [] {
            let name = item["name"]?.stringValue ?? ""
            report.attempt("loss masks", name) { try check.mask(item, named: name, cases) }
        }
    }
}

private struct ChatTemplateCheck {
    /// Members of a case that are no variables of the template.
    private static let ownMembers: Set = [
        "name", "template", "messages", "tools", "add_generation_prompt", "text", "ids", "error",
    ]

    let tokenizer: Tokenizer
    private let templates: OrderedJSON?
    private let bosToken: String?

    init(_ folder: GoldenFolder, _ cases: OrderedJSON) throws {
        tokenizer = try Tokenizer(directory: folder.path)
        templates = cases["templates"]
        bosToken = cases["bos_token"].map(\.stringValue) ?? tokenizer.bosToken
    }

    /// - Returns: what is wrong with the text of the messages, or with its ids.
    func rendering(_ item: OrderedJSON) throws -> String? {
        let text: String
        do {
            text = try render(item)
        } catch let error as ChatTemplateError {
            return "the template fails: \(error)"
        }
        if let problem = firstDifference(text, try item.requiredText("text")) { return problem }
        guard let reference = try item["ids"]?.tokenIDs() else { return nil }
        // The template writes special tokens itself.
        return firstDifference(tokenizer.encode(text, addSpecialTokens: false), reference).map {
            "ids: \($0)"
        }
    }

    /// - Returns: what is wrong with the ids or with what of them is learned. The messages are those of the rendering
    ///   of the same name by the template `plain`.
    func mask(_ item: OrderedJSON, named name: String, _ cases: OrderedJSON) throws -> String? {
        let rendering = cases["renderings"]?.arrayValue?.first {
            $0["name"]?.stringValue == name && $0["template"]?.stringValue == "plain"
        }
        guard let rendering, let source = templates?["plain"]?.stringValue else {
            throw GoldenError("no rendering has the messages of \(name)")
        }
        let encoder = try ConversationEncoder(
            tokenizer: tokenizer, chatTemplate: ChatTemplate(source), now: Timestamp(seconds: 0))
        let sequence = try encoder.sequence(messages: rendering.required("messages"))
        if let problem = firstDifference(sequence.ids, try item.required("ids").tokenIDs()) { return problem }
        let learned = sequence.labels.map { $0 == TokenSequence.ignored ? Int32(0) : 1 }
        return firstDifference(learned, try item.required("train_mask").tokenIDs())
    }

    /// - Returns: what is wrong with the error that the messages must lead to.
    func raising(_ item: OrderedJSON) throws -> String? {
        let expected = try item.requiredText("error")
        do {
            let text = try render(item)
            return "an error was expected (\(expected)), and it renders \(text.prefix(80).debugDescription)"
        } catch let error as ChatTemplateError {
            return "\(error)".contains(expected)
                ? nil : "the error is \"\(error)\", reference \"\(expected)\""
        }
    }

    private func render(_ item: OrderedJSON) throws -> String {
        var extra: [String: OrderedJSON] = [:]
        for member in item.objectValue ?? [] where !Self.ownMembers.contains(member.key) {
            extra[member.key] = member.value
        }
        let tools = item["tools"].flatMap { $0.isNull ? nil : $0 }
        return try template(item).render(
            messages: item.required("messages"), tools: tools,
            addGenerationPrompt: item["add_generation_prompt"]?.boolValue ?? false, bosToken: bosToken,
            eosToken: tokenizer.eosToken, extra: extra, now: Timestamp(seconds: 0))
    }

    /// The template that the case names, else the tokenizer's own.
    private func template(_ item: OrderedJSON) throws -> ChatTemplate {
        let name = item["template"]?.stringValue ?? "default"
        guard let source = templates?[name]?.stringValue ?? tokenizer.chatTemplates[name] else {
            throw GoldenError("a case names the template \"\(name)\", which is not there")
        }
        return try ChatTemplate(source)
    }
}
