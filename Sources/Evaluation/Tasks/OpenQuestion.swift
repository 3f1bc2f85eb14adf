// A question that is answered in words, read from a row of any of the layouts in use.

import Text

/// What one row asks.
package struct OpenQuestion: Sendable, Hashable {
    package var row: SourceRow
    package var id: String?
    package var subject: String?
    package var question: String
    /// Messages of the row itself, without the last answer; they take the place of the question.
    package var messages: [ChatTurn]?
    /// The row's own system message.
    package var system: String?
    /// Any of these is right; not empty.
    package var answers: [String]

    /// Reads `question` and `answer` (GSM8K), `query`, `response` and `system` (general_qa), or `messages`,
    /// whose last message by the assistant is the answer if there is no `response`.
    package init(_ row: SourceRow, _ columns: ColumnNames = ColumnNames()) throws(EvaluationError) {
        self.row = row
        id = try row.ownID(columns)
        subject = try row.value(columns.subject, ["subject"])?.value.plainText
        system = columns.question == nil ? row.fields["system"]?.stringValue : nil
        var answers = try Self.answers(row, columns)
        if columns.question == nil, let list = row.fields["messages"]?.arrayValue {
            var turns = try Self.turns(list, row)
            if answers.isEmpty, let last = turns.last, last.role == "assistant" {
                answers = [last.content]
            }
            while turns.last?.role == "assistant" { turns.removeLast() }
            guard let last = turns.last else {
                throw row.error(
                    "messages", "no message asks anything", remedy: "give a message with the role \"user\"")
            }
            messages = turns
            question = last.content
        } else if let text = try row.value(columns.question, ColumnNames.questions + ["text"])?.value
            .plainText
        {
            question = text
        } else {
            throw row.error(
                "question", "the row has no question; it has \(row.columnList)",
                remedy:
                    "name the column \"question\" or \"query\", or describe the columns in a task of your own"
            )
        }
        guard !answers.isEmpty else {
            throw row.error(
                columns.answer ?? "answer", "the row has no answer; it has \(row.columnList)",
                remedy: "name the column \"answer\" or \"response\"")
        }
        self.answers = answers
    }

    private static func answers(_ row: SourceRow, _ columns: ColumnNames) throws(EvaluationError) -> [String]
    {
        let usual = ["response"] + ColumnNames.answers.filter { $0 != "response" }
        guard let (_, value) = try row.value(columns.answer, usual) else { return [] }
        if let texts = value.arrayValue { return texts.compactMap(\.plainText).filter { !$0.isEmpty } }
        // SQuAD's {text[], answer_start[]}.
        if let texts = value["text"]?.plainTexts { return texts.filter { !$0.isEmpty } }
        return value.plainText.map { $0.isEmpty ? [] : [$0] } ?? []
    }

    private static func turns(_ list: [OrderedJSON], _ row: SourceRow) throws(EvaluationError) -> [ChatTurn] {
        var turns: [ChatTurn] = []
        for message in list {
            guard let role = (message["role"] ?? message["from"])?.stringValue,
                let content = (message["content"] ?? message["value"])?.stringValue
            else {
                throw row.error(
                    "messages", "a message has no role and content as text",
                    remedy: "write messages as {\"role\": \"user\", \"content\": \"...\"}")
            }
            let known = ["human": "user", "gpt": "assistant"]
            turns.append(ChatTurn(role: known[role] ?? role, content: content))
        }
        return turns
    }
}
