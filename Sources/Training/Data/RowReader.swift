// From a row of a file to what it says: finds out which of the formats of ms-swift and TRL it has.
import Text

/// Reads rows for one stage. The formats are recognized by their names, row by row.
struct RowReader: Sendable {
    let wanted: RowKind
    let columns: [String: String]
    /// For conversations that have no system message.
    let system: String?
    /// Ids are below.
    let vocabularySize: Int

    /// ms-swift's names, the first that a row has counting.
    static let systemNames = ["system", "system_prompt"]
    static let queryNames = ["query", "prompt", "input", "instruction", "question", "problem"]
    static let responseNames = [
        "response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text",
        "completion", "content",
    ]
    static let messageNames = ["messages", "conversations", "conversation"]

    /// - Returns: one content; two where a pair is wanted as two verdicts.
    func contents(of row: OrderedJSON) throws(RowProblem) -> [RowContent] {
        let fields = try RowFields(row, columns: columns)
        try refuseMedia(fields)
        if let tokens = try tokens(fields) { return tokens.map { .tokens($0) } }
        switch wanted {
        case .document, .conversation: return [try sequence(fields)]
        case .pair: return [try pair(fields)]
        case .judged: return try judged(fields)
        }
    }

    /// Only texts are trained on. Leaving pictures out would train answers to what was not shown.
    private func refuseMedia(_ fields: RowFields) throws(RowProblem) {
        for kind in ["image", "video", "audio"] {
            for name in [kind, kind + "s", "rejected_" + kind + "s"] {
                guard let value = fields[name], value.arrayValue?.isEmpty != true, value.stringValue != ""
                else {
                    continue
                }
                throw RowProblem(name, "the row has \(kind)s, and only texts are trained on")
            }
        }
    }

    // MARK: Tokens

    /// Rows that are ids already.
    private func tokens(_ fields: RowFields) throws(RowProblem) -> [TrainingRow]? {
        if let ids = try fields.ids("input_ids", below: vocabularySize) {
            guard wanted == .document || wanted == .conversation else {
                throw RowProblem("input_ids", "a preference needs prompt_ids, chosen_ids and rejected_ids")
            }
            return [.sequence(TokenSequence(ids: ids, labels: try labels(fields, ids)))]
        }
        let suffix = fields["prompt_ids"] != nil ? "_ids" : ""
        guard !suffix.isEmpty || fields.isNumeric("prompt") else { return nil }
        func ids(_ name: String) throws(RowProblem) -> [Int32] {
            guard let ids = try fields.ids(name + suffix, below: vocabularySize) else {
                throw RowProblem(name + suffix, "is missing")
            }
            return ids
        }
        let prompt = try ids("prompt")
        switch wanted {
        case .document, .conversation:
            let completion = try ids("completion")
            let labels = [Int32](repeating: TokenSequence.ignored, count: prompt.count) + completion
            return [.sequence(TokenSequence(ids: prompt + completion, labels: labels))]
        case .pair:
            return [
                .preference(
                    PreferencePair(prompt: prompt, chosen: try ids("chosen"), rejected: try ids("rejected")))
            ]
        case .judged:
            let label = try fields.verdict("label")
            if fields["chosen" + suffix] == nil {
                guard let label else { throw RowProblem("label", "is missing") }
                let completion = try ids("completion")
                return [
                    .unpaired(
                        UnpairedAnswer(prompt: prompt, completion: completion, isDesirable: label))
                ]
            }
            let answers = [(try ids("chosen"), true), (try ids("rejected"), false)]
            return answers.filter { label == nil || $0.1 == label }.map {
                .unpaired(UnpairedAnswer(prompt: prompt, completion: $0.0, isDesirable: $0.1))
            }
        }
    }

    private func labels(_ fields: RowFields, _ ids: [Int32]) throws(RowProblem) -> [Int32] {
        guard let value = fields["labels"] else { return ids }
        guard let list = try RowFields.decoded(value, "labels").arrayValue, list.count == ids.count else {
            throw RowProblem("labels", "not a list as long as input_ids")
        }
        var labels = ids
        for (index, item) in list.enumerated() {
            switch item.intValue {
            case Int(TokenSequence.ignored): labels[index] = TokenSequence.ignored
            case Int(ids[index]): break
            default:
                // Labels that were shifted already would train the model to skip a token.
                throw RowProblem("labels[\(index)]", "neither -100 nor the id \(ids[index]) of its place")
            }
        }
        return labels
    }

    // MARK: Texts and conversations

    private func sequence(_ fields: RowFields) throws(RowProblem) -> RowContent {
        if let conversation = try conversation(fields) {
            if wanted == .document, conversation.messages.count == 1, conversation.isAssistant(0),
                let text = conversation.messages[0]["content"]?.stringValue
            {
                return .text(text)
            }
            return .conversation(withSystem(conversation, try fields.text(Self.systemNames)))
        }
        let query = try query(fields)
        guard let response = try fields.text(Self.responseNames) else {
            guard let query else {
                throw RowProblem("messages", "is missing, and so are query and response, and text")
            }
            if wanted == .document { return .text(query) }
            throw RowProblem("response", "is missing")
        }
        guard let query, !query.isEmpty || fields["history"] != nil else { return .text(response) }
        var conversation = try turns(fields, query)
        conversation.append(role: "assistant", content: response)
        return .conversation(conversation)
    }

    /// The messages of the row, whatever they are called; nil if there are none.
    private func conversation(_ fields: RowFields) throws(RowProblem) -> Conversation? {
        if let (name, value) = fields.first(of: Self.messageNames) {
            return try withExtras(ConversationReader.conversation(value, name), fields)
        }
        // TRL has the messages in two parts.
        guard let prompt = fields["prompt"], prompt.arrayValue != nil, let completion = fields["completion"]
        else {
            return nil
        }
        let turns = try ConversationReader.conversation(prompt, "prompt")
        let answer = try ConversationReader.conversation(completion, "completion")
        return try withExtras(turns.appending(answer), fields)
    }

    /// Tools and the template's other arguments.
    private func withExtras(
        _ conversation: Conversation, _ fields: RowFields
    ) throws(RowProblem) -> Conversation {
        var conversation = conversation
        conversation.tools = try tools(fields)
        if let value = fields["chat_template_kwargs"] {
            guard let members = try RowFields.decoded(value, "chat_template_kwargs").objectValue else {
                throw RowProblem("chat_template_kwargs", "not an object")
            }
            for member in members { conversation.arguments[member.key] = member.value }
        }
        return conversation
    }

    private func tools(_ fields: RowFields) throws(RowProblem) -> OrderedJSON? {
        guard let value = fields["tools"], value.stringValue != "" else { return nil }
        guard let list = try RowFields.decoded(value, "tools").arrayValue else {
            throw RowProblem("tools", "not a list")
        }
        var tools: [OrderedJSON] = []
        for (index, tool) in list.enumerated() {
            let tool = try RowFields.decoded(tool, "tools[\(index)]")
            guard tool.objectValue != nil else { throw RowProblem("tools[\(index)]", "not an object") }
            // A function's schema alone is wrapped as templates expect it.
            let isBare = tool["function"] == nil && tool["name"] != nil
            tools.append(
                isBare
                    ? .object([
                        OrderedJSON.Member(key: "type", value: .string("function")),
                        OrderedJSON.Member(key: "function", value: tool),
                    ]) : tool)
        }
        return tools.isEmpty ? nil : .array(tools)
    }

    /// The question; of Alpaca's two parts, both.
    private func query(_ fields: RowFields) throws(RowProblem) -> String? {
        guard fields["instruction"] != nil, fields["query"] == nil else {
            return try fields.text(Self.queryNames)
        }
        let parts = [try fields.text(["instruction"]), try fields.text(["input"])]
        return parts.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// System, history and question of a row in query-response form.
    private func turns(_ fields: RowFields, _ query: String) throws(RowProblem) -> Conversation {
        var conversation = Conversation()
        if let value = fields["history"], value.stringValue != "" {
            guard let list = try RowFields.decoded(value, "history").arrayValue else {
                throw RowProblem("history", "not a list of pairs")
            }
            for (index, turn) in list.enumerated() {
                guard let pair = turn.arrayValue, pair.count == 2, let question = pair[0].stringValue,
                    let answer = pair[1].stringValue
                else {
                    throw RowProblem("history[\(index)]", "not a question with its answer")
                }
                conversation.append(role: "user", content: question)
                conversation.append(role: "assistant", content: answer)
            }
        }
        conversation.append(role: "user", content: query)
        return withSystem(try withExtras(conversation, fields), try fields.text(Self.systemNames))
    }

    /// With the row's system message, or the run's, unless it has one.
    private func withSystem(_ conversation: Conversation, _ own: String?) -> Conversation {
        guard let text = own ?? system, let first = conversation.messages.first?["role"]?.stringValue,
            first != "system", first != "developer"
        else { return conversation }
        var result = conversation
        result.messages.insert(Conversation.message(role: "system", content: text), at: 0)
        result.losses.insert(nil, at: 0)
        return result
    }
}

extension RowReader {
    // MARK: Preferences

    private func pair(_ fields: RowFields) throws(RowProblem) -> RowContent {
        if fields["chosen"] != nil { return try preferredPair(fields) }
        let (prompt, chosen) = try answered(fields)
        if let value = fields["rejected_messages"] {
            let other = try ConversationReader.conversation(value, "rejected_messages")
            guard let last = other.messages.indices.last, other.isAssistant(last) else {
                throw RowProblem("rejected_messages", "the last message is not the assistant's")
            }
            // The prompt of both is one; what the other has before its answer is that prompt again.
            let own = withSystem(other, try fields.text(Self.systemNames))
            guard own.messages.dropLast() == prompt.messages[...] else {
                throw RowProblem("rejected_messages", "goes another way before the last answer than messages")
            }
            return .pair(prompt: prompt, chosen: chosen, rejected: Self.answer(own))
        }
        guard let text = try fields.text(["rejected_response", "rejected"]) else {
            throw RowProblem("rejected_response", "is missing")
        }
        var rejected = Conversation()
        rejected.append(role: "assistant", content: text)
        return .pair(prompt: prompt, chosen: chosen, rejected: rejected)
    }

    private static func answer(_ conversation: Conversation) -> Conversation {
        Conversation(
            messages: conversation.messages.suffix(1).map { $0 },
            losses: conversation.losses.suffix(1).map { $0 })
    }

    /// A conversation without its last message, the assistant's, and that.
    private func answered(_ fields: RowFields) throws(RowProblem) -> (Conversation, Conversation) {
        let whole: Conversation
        if let conversation = try conversation(fields) {
            whole = withSystem(conversation, try fields.text(Self.systemNames))
        } else {
            guard let query = try query(fields) else { throw RowProblem("messages", "is missing") }
            guard let response = try fields.text(Self.responseNames) else {
                throw RowProblem("response", "is missing")
            }
            var turns = try turns(fields, query)
            turns.append(role: "assistant", content: response)
            whole = turns
        }
        guard let last = whole.messages.indices.last, whole.isAssistant(last) else {
            throw RowProblem("messages", "the last message is not the assistant's")
        }
        return (whole.prefix(last), Self.answer(whole))
    }

    /// TRL's form: prompt, chosen and rejected as texts or messages, or without the prompt, which then is
    /// what both begin with.
    private func preferredPair(_ fields: RowFields) throws(RowProblem) -> RowContent {
        guard let chosen = fields["chosen"], let rejected = fields["rejected"] else {
            throw RowProblem("rejected", "is missing")
        }
        if chosen.stringValue != nil, rejected.stringValue != nil, chosenAreTexts(fields) {
            let (good, bad) = (chosen.stringValue ?? "", rejected.stringValue ?? "")
            if let prompt = fields["prompt"], prompt.stringValue == nil || prompt.stringValue?.first == "[",
                let turns = try? ConversationReader.conversation(prompt, "prompt")
            {
                let own = try fields.text(Self.systemNames)
                return pair(withSystem(try withExtras(turns, fields), own), good, bad)
            }
            if let query = try query(fields) { return pair(try turns(fields, query), good, bad) }
            let shared = Self.sharedPrefix(good, bad)
            return .textPair(
                prompt: String(decoding: good.utf8.prefix(shared), as: UTF8.self),
                chosen: String(decoding: good.utf8.dropFirst(shared), as: UTF8.self),
                rejected: String(decoding: bad.utf8.dropFirst(shared), as: UTF8.self))
        }
        var good = try ConversationReader.conversation(chosen, "chosen")
        var bad = try ConversationReader.conversation(rejected, "rejected")
        var prompt = Conversation()
        if let value = fields["prompt"] {
            if let text = value.stringValue, text.first != "[" {
                prompt.append(role: "user", content: text)
            } else {
                prompt = try ConversationReader.conversation(value, "prompt")
            }
        } else {
            var shared = 0
            // An answer is left to each, though both may be the same.
            let most = min(good.messages.count, bad.messages.count) - 1
            while shared < most, good.messages[shared] == bad.messages[shared] { shared += 1 }
            prompt = good.prefix(shared)
            good.messages.removeFirst(shared)
            good.losses.removeFirst(shared)
            bad.messages.removeFirst(shared)
            bad.losses.removeFirst(shared)
        }
        for (name, answer) in [("chosen", good), ("rejected", bad)] {
            guard answer.isAssistant(0) else {
                throw RowProblem(name, "begins with no answer of the assistant")
            }
        }
        guard !prompt.messages.isEmpty else { throw RowProblem("prompt", "is missing") }
        prompt = withSystem(try withExtras(prompt, fields), try fields.text(Self.systemNames))
        return .pair(prompt: prompt, chosen: good, rejected: bad)
    }

    private func pair(_ prompt: Conversation, _ chosen: String, _ rejected: String) -> RowContent {
        var (good, bad) = (Conversation(), Conversation())
        good.append(role: "assistant", content: chosen)
        bad.append(role: "assistant", content: rejected)
        return .pair(prompt: prompt, chosen: good, rejected: bad)
    }

    /// Whether chosen and rejected are plain texts, not the JSON of messages in a csv cell.
    private func chosenAreTexts(_ fields: RowFields) -> Bool {
        guard let text = fields["chosen"]?.stringValue, text.hasPrefix("[{") else { return true }
        return (try? OrderedJSON(parsing: text)) == nil
    }

    /// The bytes that both texts begin with, up to a whole character; a blank before the difference belongs
    /// to the answers, as in TRL.
    static func sharedPrefix(_ one: String, _ other: String) -> Int {
        let (left, right) = (Array(one.unicodeScalars), Array(other.unicodeScalars))
        var count = 0
        while count < min(left.count, right.count), left[count] == right[count] { count += 1 }
        if count > 0, left[count - 1] == " " { count -= 1 }
        return String(String.UnicodeScalarView(left.prefix(count))).utf8.count
    }

    // MARK: Verdicts

    /// One answer with a label; or a pair, of which the label says which answer is shown, and which is two
    /// rows without one.
    private func judged(_ fields: RowFields) throws(RowProblem) -> [RowContent] {
        let label = try fields.verdict("label")
        let isPair = ["chosen", "rejected_response", "rejected_messages"].contains { fields[$0] != nil }
        if isPair {
            switch try pair(fields) {
            case .pair(let prompt, let chosen, let rejected):
                return [(chosen, true), (rejected, false)].filter { label == nil || $0.1 == label }.map {
                    .judged(prompt: prompt, completion: $0.0, isDesirable: $0.1)
                }
            case .textPair(let prompt, let chosen, let rejected):
                return [(chosen, true), (rejected, false)].filter { label == nil || $0.1 == label }.map {
                    .judgedText(prompt: prompt, completion: $0.0, isDesirable: $0.1)
                }
            default: return []
            }
        }
        guard let label else { throw RowProblem("label", "is missing") }
        if let prompt = fields["prompt"]?.arrayValue, let completion = fields["completion"]?.arrayValue {
            let answer = try ConversationReader.conversation(.array(completion), "completion")
            guard answer.isAssistant(0) else {
                throw RowProblem("completion", "begins with no answer of the assistant")
            }
            let turns = try withExtras(ConversationReader.conversation(.array(prompt), "prompt"), fields)
            let own = try fields.text(Self.systemNames)
            return [.judged(prompt: withSystem(turns, own), completion: answer, isDesirable: label)]
        }
        let (prompt, completion) = try answered(fields)
        return [.judged(prompt: prompt, completion: completion, isDesirable: label)]
    }
}
