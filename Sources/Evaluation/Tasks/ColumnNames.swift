// Which columns of users' files mean what. The same content goes by many names.

import Text

/// The columns to read; nil where the names in use are tried in turn.
package struct ColumnNames: Sendable, Hashable {
    package var question: String?
    package var choices: [String]?
    package var answer: String?
    package var subject: String?
    package var id: String?
    package var text: String?

    package init(
        question: String? = nil, choices: [String]? = nil, answer: String? = nil, subject: String? = nil,
        id: String? = nil, text: String? = nil
    ) {
        self.question = question
        self.choices = choices
        self.answer = answer
        self.subject = subject
        self.id = id
        self.text = text
    }

    static let questions = [
        "question", "query", "problem", "prompt", "input", "stem", "instruction", "context", "ctx",
        "sentence", "goal",
    ]
    static let choiceLists = [
        "choices", "options", "endings", "continuations", "candidates", "mc_answer_options",
    ]
    static let answers = [
        "answer", "answerkey", "answer_key", "gold", "label", "target", "correct", "correct_answer",
        "answer_idx",
        "answer_index", "correct_option", "gold_index", "labels", "targets", "response", "output",
        "reference",
        "references", "solution", "answers",
    ]
    static let subjects = ["subject", "subset", "category"]
    static let ids = ["id", "_id", "question_id", "task_id", "key", "uid", "qid"]
    static let texts = ["text", "content", "page", "document", "sentence", "passage"]
}

extension SourceRow {
    /// The value of a column. A name that was given must be there; of the usual names the first counts, in
    /// any case of letters.
    func value(_ given: String?, _ usual: [String]) throws(EvaluationError) -> (
        column: String, value: OrderedJSON
    )? {
        if let given {
            guard let value = value(at: given) else {
                throw error(
                    given, "the row has no such column; it has \(columnList)",
                    remedy: "name one of these columns in the task")
            }
            return (given, value)
        }
        let members = fields.objectValue ?? []
        for name in usual {
            if let member = members.first(where: { $0.key.lowercased() == name && !$0.value.isNull }) {
                return (member.key, member.value)
            }
        }
        return nil
    }

    /// A column, or a member within one by a path such as `question.stem`.
    func value(at path: String) -> OrderedJSON? {
        if let value = fields[path] { return value }
        var value = fields
        for name in path.split(separator: ".") {
            guard let member = value[String(name)] else { return nil }
            value = member
        }
        return value
    }

    /// The row's own name for itself.
    func ownID(_ columns: ColumnNames) throws(EvaluationError) -> String? {
        guard let (_, value) = try value(columns.id, ColumnNames.ids) else { return nil }
        return value.plainText.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension OrderedJSON {
    /// The text of a string, number or boolean; nil for the rest.
    var plainText: String? {
        switch self {
        case .string(let text): text
        case .int, .double, .bool: compactText
        case .null, .array, .object: nil
        }
    }

    /// The texts of a list of scalars, also of one that was written as text: `["a", "b"]`, as csv files have
    /// it.
    var plainTexts: [String]? {
        if case .string(let text) = self {
            guard text.trimmingBlanks.hasPrefix("["), let list = try? OrderedJSON(parsing: text) else {
                return nil
            }
            return list.plainTexts
        }
        guard let elements = arrayValue else { return nil }
        let texts = elements.compactMap(\.plainText)
        return texts.count == elements.count ? texts : nil
    }
}
