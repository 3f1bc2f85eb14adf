// From messages to tokens, with what of them is learned: the content of the assistant's messages and the
// token that closes it.
package import Models
package import Text

/// Makes token ids and labels of conversations by a chat template.
///
/// Where the template marks what the model writes by `{% generation %}`, the marked text is learned, as with
/// the assistant tokens mask of transformers. Otherwise an assistant's turn begins where the template with
/// `add_generation_prompt` stops, and ends with the token that closes it, as ms-swift has it: a line break
/// behind that is not learned.
package struct ConversationEncoder: Sendable {
    /// For models that bring no template but know ChatML's tokens.
    static let plainChatML = """
        {%- for message in messages %}
        {%- if tools or message.tool_calls %}
        {{- raise_exception('the model has no chat template, and ChatML says nothing of tools') }}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
        {%- endfor %}
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
        """

    let tokenizer: Tokenizer
    private let template: ChatTemplate
    private let now: Timestamp
    /// Whether the tokenizer puts a blank before a text, so that parts of a text have other tokens alone.
    private let addsPrefix: Bool
    /// Whether the template writes the header of an answer when it is asked for.
    private let asksForAnswers: Bool
    /// Special tokens of that header, which close nothing.
    private let openers: Set<Int32>

    /// - Parameter now: what templates take for the present time.
    /// - Throws: if there is no template and the tokenizer does not have ChatML's tokens.
    package init(
        tokenizer: Tokenizer, chatTemplate: ChatTemplate?, now: Timestamp
    ) throws(TrainingError) {
        self.tokenizer = tokenizer
        self.now = now
        let letter = tokenizer.encode("a", addSpecialTokens: false).first.flatMap(tokenizer.token)
        addsPrefix = letter.map { $0 != "a" } ?? false
        if let chatTemplate {
            template = chatTemplate
        } else if tokenizer.id(of: "<|im_start|>") != nil, tokenizer.id(of: "<|im_end|>") != nil,
            let plain = try? ChatTemplate(Self.plainChatML)
        {
            template = plain
        } else {
            throw TrainingError(
                .badData, "the model has no chat template, and its tokenizer lacks ChatML's <|im_start|>",
                remedy: "put a chat_template.jinja into the model's folder, or train on plain texts")
        }
        let greeting = OrderedJSON.array([Conversation.message(role: "user", content: "Hello")])
        let texts = [false, true].map { [template] isAsked in
            try? template.render(
                messages: greeting, tools: nil, addGenerationPrompt: isAsked, bosToken: tokenizer.bosToken,
                eosToken: tokenizer.eosToken, now: now)
        }
        // A template that refuses even a greeting is taken for one that does.
        asksForAnswers = texts[0] == nil || texts[0] != texts[1]
        let header = (texts[1] ?? "").utf8.dropFirst(texts[0]?.utf8.count ?? 0)
        let ids = tokenizer.encode(String(decoding: header, as: UTF8.self), addSpecialTokens: false)
        openers = Set(ids.filter { tokenizer.isSpecial($0) })
    }

    /// The ids and labels of messages: what a row of supervised training is.
    /// - Parameters:
    ///   - messages: a list of objects with role and content; `loss` in one says whether it is learned.
    ///   - tools: a list of schemas.
    package func sequence(
        messages: OrderedJSON, tools: OrderedJSON? = nil, lossScale: TrainingParameters.LossScale = .default
    ) throws(TrainingError) -> TokenSequence {
        do {
            var conversation = try ConversationReader.conversation(messages, "messages")
            conversation.tools = tools
            return try sequence(conversation, lossScale: lossScale)
        } catch {
            throw TrainingError(.badData, "\(error)", remedy: "correct the messages")
        }
    }

    func sequence(
        _ conversation: Conversation, lossScale: TrainingParameters.LossScale
    ) throws(RowProblem) -> TokenSequence {
        let (text, marks) = try render(conversation, addGenerationPrompt: false)
        let turns = conversation.messages.indices.filter(conversation.isAssistant)
        var learned = Self.choose(turns, of: conversation, lossScale)
        var unlearned: [Int] = []
        if lossScale == .all {
            // Everything but the turns that say no.
            unlearned = turns.filter { conversation.losses[$0] == false }
            learned = []
        }
        let source = RenderedText(text)
        if let marks, marks.count != turns.count, lossScale == .default, learned == turns {
            // The template knows what it marks, if no single turn has to be found among the marks.
            return encode(source, learned: marks, default: false)
        }
        let wanted = lossScale == .all ? unlearned : learned
        var ranges: [Range<Int>] = []
        for turn in wanted {
            if let marks, marks.count == turns.count, let number = turns.firstIndex(of: turn) {
                ranges.append(marks[number])
            } else {
                let range = try range(of: turn, in: conversation, source)
                ranges.append(range.lowerBound..<closedEnd(range, source))
            }
        }
        return encode(source, learned: ranges, default: lossScale == .all)
    }

    /// The assistant's messages that are learned.
    private static func choose(
        _ turns: [Int], of conversation: Conversation, _ lossScale: TrainingParameters.LossScale
    ) -> [Int] {
        turns.filter { turn in
            // What a message says of itself counts more than the run's setting, as in ms-swift.
            conversation.losses[turn] ?? (lossScale == .default || turn == turns.last)
        }
    }

    /// The prompt's ids, with which generating would begin, and those of each answer.
    /// - Parameter answers: what follows the prompt's messages, the first an assistant's.
    func continuations(
        of prompt: Conversation, _ answers: [Conversation]
    ) throws(RowProblem) -> (prompt: [Int32], answers: [[Int32]]) {
        var sources: [(text: RenderedText, begin: Int, end: Int)] = []
        for answer in answers {
            let whole = prompt.appending(answer)
            let source = RenderedText(try render(whole, addGenerationPrompt: false).text)
            let begin = try range(of: prompt.messages.count, in: whole, source, endsToo: false).lowerBound
            if let first = sources.first, first.text.bytes[..<first.begin] != source.bytes[..<begin] {
                throw RowProblem(
                    "messages", "the chat template writes the prompt of each answer in another way")
            }
            sources.append((source, begin, closedEnd(begin..<source.bytes.count, source)))
        }
        let wholes = sources.map { source, begin, end in
            let text = RenderedText(source.text(0..<end))
            let sequence = encode(text, learned: [begin..<end], default: false)
            let count = sequence.labels.firstIndex { $0 != TokenSequence.ignored } ?? sequence.ids.count
            return (sequence.ids.prefix(count), sequence.ids.dropFirst(count))
        }
        guard let (promptIDs, _) = wholes.first else { return ([], []) }
        if wholes.contains(where: { $0.0 != promptIDs }) {
            // A token lies on the border in some of them: then each part is encoded by itself.
            let ids = sources.map { source, begin, end in
                tokenizer.encode(source.text(begin..<end), addSpecialTokens: false)
            }
            let text = sources[0].text.text(0..<sources[0].begin)
            return (tokenizer.encode(text, addSpecialTokens: false), ids)
        }
        return (Array(promptIDs), wholes.map { Array($0.1) })
    }

    // MARK: Rendering

    /// The text with the ranges that the template marks; nil where it marks none.
    private func render(
        _ conversation: Conversation, addGenerationPrompt: Bool
    ) throws(RowProblem) -> (text: String, marks: [Range<Int>]?) {
        let variables = ChatTemplate.variables(
            messages: .array(conversation.messages), tools: conversation.tools,
            addGenerationPrompt: addGenerationPrompt, bosToken: tokenizer.bosToken,
            eosToken: tokenizer.eosToken, extra: conversation.arguments)
        do {
            let (text, marks) = try template.renderTracked(variables, now: now)
            return (text, template.hasGenerationBlocks && !marks.isEmpty ? marks : nil)
        } catch {
            throw RowProblem("messages", "\(error)")
        }
    }

    // MARK: Turns

    /// Where an assistant's turn lies in the text: from behind its header to its end, with what closes it.
    ///
    /// Usually the text up to the message, with the header that asks for an answer, is how the whole begins.
    /// Some templates refuse such a part (the first message must be the user's), or write a turn in another
    /// way once others follow (thoughts are left out). There the message is replaced by a mark: what changes
    /// is the turn.
    private func range(
        of turn: Int, in conversation: Conversation, _ source: RenderedText, endsToo: Bool = true
    ) throws(RowProblem) -> Range<Int> {
        let before = conversation.prefix(turn)
        var begin: Int?
        if let asked = try? render(before, addGenerationPrompt: true).text, source.starts(with: asked) {
            begin = asked.utf8.count
        }
        var end: Int? = endsToo ? nil : source.bytes.count
        if end == nil, turn == conversation.messages.count - 1 { end = source.bytes.count }
        if end == nil,
            let through = try? render(conversation.prefix(turn + 1), addGenerationPrompt: false).text,
            source.starts(with: through)
        {
            end = through.utf8.count
        }
        if let begin, let end, begin <= end, asksForAnswers { return begin..<end }
        let changed = try changedRange(of: turn, in: conversation, source)
        // Without a header to ask for, what stands before the answer was not written yet, unless it is blank.
        if let place = begin, !asksForAnswers, place < changed.lowerBound,
            source.bytes[place..<changed.lowerBound].contains(where: { $0 > 0x20 })
        {
            begin = nil
        }
        let first = min(begin ?? changed.lowerBound, changed.upperBound)
        return first..<max(end ?? closingEnd(behind: changed.upperBound, source), changed.upperBound)
    }

    /// What becomes different in the text if the message is another one.
    private func changedRange(
        of turn: Int, in conversation: Conversation, _ source: RenderedText
    ) throws(RowProblem) -> Range<Int> {
        // A text that the conversation does not have, of characters that no language uses.
        let marks = ["\u{E7C3}\u{E001}", "\u{F4A5}\u{F8D2}"]
        guard let mark = marks.first(where: { !source.contains($0) }) else {
            throw RowProblem("messages[\(turn)]", "the text has characters for private use only")
        }
        var other = conversation
        other.messages[turn] = Conversation.message(role: "assistant", content: mark)
        let changed: RenderedText
        do {
            changed = RenderedText(try render(other, addGenerationPrompt: false).text)
        } catch {
            throw RowProblem(
                "messages[\(turn)]",
                "the chat template does not show where this answer is; mark it there by {% generation %}")
        }
        let begin = source.commonPrefix(changed)
        let end = source.bytes.count - source.commonSuffix(changed, limit: source.bytes.count - begin)
        return begin..<end
    }

    /// The end of the closing token that stands right at a place; the place itself if there is none.
    private func closingEnd(behind place: Int, _ source: RenderedText) -> Int {
        let part = source.text(place..<source.scalarStart(atMost: min(place + 256, source.bytes.count)))
        guard let id = tokenizer.encode(part, addSpecialTokens: false).first, closes(id),
            !openers.contains(id),
            let token = tokenizer.token(id), part.utf8.starts(with: token.utf8)
        else { return place }
        return place + token.utf8.count
    }

    /// The end of a turn without the blanks that follow its closing token; with them if none closes it.
    private func closedEnd(_ range: Range<Int>, _ source: RenderedText) -> Int {
        var end = range.upperBound
        while end > range.lowerBound, [0x20, 0x0A, 0x0D, 0x09].contains(source.bytes[end - 1]) { end -= 1 }
        let start = source.scalarStart(atMost: max(range.lowerBound, end - 256))
        let ids = tokenizer.encode(source.text(start..<end), addSpecialTokens: false)
        return ids.last.map(closes) == true ? end : range.upperBound
    }

    private func closes(_ id: Int32) -> Bool { tokenizer.isSpecial(id) || id == tokenizer.eosTokenID }

    // MARK: Tokens

    /// The text's tokens, those of the ranges being learned, or all others where `default` is true.
    private func encode(
        _ source: RenderedText, learned ranges: [Range<Int>], default isLearned: Bool
    ) -> TokenSequence {
        var pieces: [(end: Int, isLearned: Bool)] = []
        var place = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if range.lowerBound > place { pieces.append((range.lowerBound, isLearned)) }
            pieces.append((max(range.upperBound, place), !isLearned))
            place = max(range.upperBound, place)
        }
        if place < source.bytes.count { pieces.append((source.bytes.count, isLearned)) }
        return addsPrefix ? encodeWhole(source, pieces) : encode(source, pieces)
    }

    /// Encodes piece by piece, so that an answer's first token is the one that the model would have to write
    /// behind the prompt.
    private func encode(
        _ source: RenderedText, _ pieces: [(end: Int, isLearned: Bool)]
    ) -> TokenSequence {
        var result = TokenSequence(ids: [], labels: [])
        var start = 0
        for piece in pieces {
            let ids = tokenizer.encode(source.text(start..<piece.end), addSpecialTokens: false)
            result.ids += ids
            result.labels +=
                piece.isLearned ? ids : [Int32](repeating: TokenSequence.ignored, count: ids.count)
            start = piece.end
        }
        return result
    }

    /// Encodes the text at once and finds the pieces' ends among its tokens: by themselves, all pieces would
    /// begin with a blank.
    private func encodeWhole(
        _ source: RenderedText, _ pieces: [(end: Int, isLearned: Bool)]
    ) -> TokenSequence {
        let ids = tokenizer.encode(source.text(0..<source.bytes.count), addSpecialTokens: false)
        var result = TokenSequence(ids: ids, labels: ids)
        var start = 0
        for piece in pieces {
            var end = ids.count
            if piece.end < source.bytes.count {
                let part = tokenizer.encode(source.text(0..<piece.end), addSpecialTokens: false)
                end = zip(ids, part).prefix { $0 == $1 }.count
            }
            if !piece.isLearned {
                for index in start..<max(end, start) { result.labels[index] = TokenSequence.ignored }
            }
            start = max(end, start)
        }
        return result
    }
}

/// A rendered text by the places of its bytes.
struct RenderedText {
    let bytes: [UInt8]

    init(_ text: String) { bytes = Array(text.utf8) }

    /// - Parameter range: between whole characters.
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    func starts(with text: String) -> Bool { bytes.starts(with: text.utf8) }

    func contains(_ text: String) -> Bool {
        let needle = Array(text.utf8)
        return bytes.indices.contains { bytes[$0...].starts(with: needle) }
    }

    /// Bytes that both begin with, up to a whole character.
    func commonPrefix(_ other: RenderedText) -> Int {
        scalarStart(atMost: zip(bytes, other.bytes).prefix { $0 == $1 }.count)
    }

    /// Bytes that both end with, from a whole character on.
    func commonSuffix(_ other: RenderedText, limit: Int) -> Int {
        let most = min(limit, other.bytes.count)
        var count = zip(bytes.reversed(), other.bytes.reversed()).prefix { $0 == $1 }.count
        count = min(count, most)
        while count > 0, bytes[bytes.count - count] & 0xC0 == 0x80 { count -= 1 }
        return count
    }

    /// The last place up to the given one that is not inside a character.
    func scalarStart(atMost place: Int) -> Int {
        var place = place
        while place > 0, place < bytes.count, bytes[place] & 0xC0 == 0x80 { place -= 1 }
        return place
    }
}
