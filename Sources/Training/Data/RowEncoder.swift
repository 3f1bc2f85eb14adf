// From what a row says to tokens that fit: encoding, and what is done with rows that are too long.
import Models
import Text

/// Makes the tokenized rows of one row of a file.
struct RowEncoder: Sendable {
    struct Result: Sendable {
        var rows: [TrainingRow] = []
        /// Whether something was cut off.
        var isTruncated = false
    }

    private let reader: RowReader
    private let tokenizer: Tokenizer?
    private let conversations: ConversationEncoder?
    /// Why there is no encoder of conversations.
    private let complaint: String
    private let maxLength: Int
    private let truncation: TrainingParameters.TruncationStrategy
    private let lossScale: TrainingParameters.LossScale

    init(_ request: DatasetRequest, tokenizer: Tokenizer?, chatTemplate: ChatTemplate?) {
        reader = RowReader(
            wanted: request.wanted, columns: request.columns, system: request.system,
            vocabularySize: request.vocabularySize ?? tokenizer?.vocabularySize ?? Int(Int32.max))
        self.tokenizer = tokenizer
        maxLength = request.maxLength ?? .max
        truncation = request.truncation
        lossScale = request.lossScale
        var complaint = "there is no tokenizer, and only rows of ids need none"
        var conversations: ConversationEncoder?
        if let tokenizer {
            do {
                conversations = try ConversationEncoder(
                    tokenizer: tokenizer, chatTemplate: chatTemplate, now: request.now)
            } catch {
                // Rows of plain text can be used without.
                complaint = "\(error)"
            }
        }
        self.complaint = complaint
        self.conversations = conversations
    }

    /// - Throws: if the row cannot be used, with what of it is wrong.
    func rows(of row: OrderedJSON) throws(RowProblem) -> Result {
        var result = Result()
        for content in try reader.contents(of: row) {
            for row in try cut(encode(content), &result.isTruncated) {
                try Self.check(row)
                result.rows.append(row)
            }
        }
        return result
    }

    // MARK: Encoding

    private func encode(_ content: RowContent) throws(RowProblem) -> TrainingRow {
        switch content {
        case .tokens(let row): return row
        case .text(let text):
            let ids = try closed(text, isWhole: true)
            return .sequence(TokenSequence(ids: ids, labels: ids))
        case .conversation(let conversation):
            return .sequence(try encoder().sequence(conversation, lossScale: lossScale))
        case .pair(let prompt, let chosen, let rejected):
            let ids = try encoder().continuations(of: prompt, [chosen, rejected])
            return .preference(
                PreferencePair(prompt: ids.prompt, chosen: ids.answers[0], rejected: ids.answers[1]))
        case .textPair(let prompt, let chosen, let rejected):
            return .preference(
                PreferencePair(
                    prompt: try plain(prompt), chosen: try closed(chosen, isWhole: false),
                    rejected: try closed(rejected, isWhole: false)))
        case .judged(let prompt, let completion, let isDesirable):
            let ids = try encoder().continuations(of: prompt, [completion])
            return .unpaired(
                UnpairedAnswer(prompt: ids.prompt, completion: ids.answers[0], isDesirable: isDesirable))
        case .judgedText(let prompt, let completion, let isDesirable):
            return .unpaired(
                UnpairedAnswer(
                    prompt: try plain(prompt), completion: try closed(completion, isWhole: false),
                    isDesirable: isDesirable))
        }
    }

    private func encoder() throws(RowProblem) -> ConversationEncoder {
        guard let conversations else { throw RowProblem("messages", complaint) }
        return conversations
    }

    private func someTokenizer() throws(RowProblem) -> Tokenizer {
        guard let tokenizer else { throw RowProblem("text", complaint) }
        return tokenizer
    }

    /// A text's tokens with the end of text behind, which a model must learn to write.
    /// - Parameter isWhole: whether the tokenizer's own beginning belongs before it.
    private func closed(_ text: String, isWhole: Bool) throws(RowProblem) -> [Int32] {
        let tokenizer = try someTokenizer()
        var ids = tokenizer.encode(text, addSpecialTokens: isWhole)
        if let end = tokenizer.eosTokenID, ids.last != end { ids.append(end) }
        return ids
    }

    /// A prompt's tokens with the tokenizer's own beginning, if it has one, but without its end.
    private func plain(_ text: String) throws(RowProblem) -> [Int32] {
        let tokenizer = try someTokenizer()
        var ids = tokenizer.encode(text, addSpecialTokens: true)
        if ids.last == tokenizer.eosTokenID, !ids.isEmpty { ids.removeLast() }
        return ids
    }

    // MARK: Length

    private func cut(_ row: TrainingRow, _ isTruncated: inout Bool) throws(RowProblem) -> [TrainingRow] {
        let length =
            switch row {
            case .sequence(let row): row.ids.count
            case .preference(let row): row.prompt.count + max(row.chosen.count, row.rejected.count)
            case .unpaired(let row): row.prompt.count + row.completion.count
            }
        guard length > maxLength else { return [row] }
        if truncation == .delete { throw tooLong(length) }
        isTruncated = true
        switch row {
        case .sequence(let row):
            return cut(row).map { .sequence($0) }
        case .preference(var row):
            let answers = try cut(&row.prompt, [row.chosen, row.rejected], length)
            return [
                .preference(
                    PreferencePair(prompt: row.prompt, chosen: answers[0], rejected: answers[1]))
            ]
        case .unpaired(var row):
            row.completion = try cut(&row.prompt, [row.completion], length)[0]
            return [.unpaired(row)]
        }
    }

    private func tooLong(_ length: Int) -> RowProblem {
        var problem = RowProblem("", "\(length) tokens, more than max_length \(maxLength)")
        problem.isTooLong = true
        return problem
    }

    private func cut(_ row: TokenSequence) -> [TokenSequence] {
        let ranges: [Range<Int>]
        switch truncation {
        case .delete: ranges = []
        case .left: ranges = [row.ids.count - maxLength..<row.ids.count]
        case .right: ranges = [0..<maxLength]
        case .split:
            ranges = stride(from: 0, to: row.ids.count, by: maxLength).map {
                $0..<min($0 + maxLength, row.ids.count)
            }.filter { $0.count > 1 }
        }
        return ranges.map { TokenSequence(ids: Array(row.ids[$0]), labels: Array(row.labels[$0])) }
    }

    /// Cuts the prompt's beginning, or the answers' ends.
    private func cut(
        _ prompt: inout [Int32], _ answers: [[Int32]], _ length: Int
    ) throws(RowProblem) -> [[Int32]] {
        if truncation == .left {
            guard length - maxLength < prompt.count else { throw tooLong(length) }
            prompt.removeFirst(length - maxLength)
            return answers
        }
        guard prompt.count < maxLength else { throw tooLong(length) }
        return answers.map { Array($0.prefix(maxLength - prompt.count)) }
    }

    /// - Throws: if there would be nothing to learn.
    private static func check(_ row: TrainingRow) throws(RowProblem) {
        switch row {
        case .sequence(let row):
            guard row.labels.dropFirst().contains(where: { $0 != TokenSequence.ignored }) else {
                throw RowProblem("", "nothing of the row is learned: it has no answer, or that was cut off")
            }
        case .preference(let row):
            if row.prompt.isEmpty { throw RowProblem("prompt", "is empty") }
            if row.chosen.isEmpty { throw RowProblem("chosen", "is empty") }
            if row.rejected.isEmpty { throw RowProblem("rejected", "is empty") }
        case .unpaired(let row):
            if row.prompt.isEmpty { throw RowProblem("prompt", "is empty") }
            if row.completion.isEmpty { throw RowProblem("completion", "is empty") }
        }
    }
}
