// A question with choices, read from a row of any of the layouts in use.

package import Text

/// What one row asks.
package struct ChoiceQuestion: Sendable, Hashable {
    package var row: SourceRow
    package var id: String?
    package var subject: String?
    package var question: String
    package var choices: [String]
    /// Indexes of the right choices, at least one, ascending.
    package var answers: [Int]
    /// The row brought its own prompt: a context and the continuations to compare, which are used as they
    /// are.
    package var continuations: [String]?

    /// More choices are an error.
    package static let maximumChoices = 64

    /// Reads a row: `choices` or `options` or `endings` as a list, as `{text[], label[]}` or as a list of
    /// `{text, label}`; columns `A`, `B`, ...; ARC's `question: {stem, choices}`; or `context`,
    /// `continuations`, `gold`. The answer is an index from 0, a letter, one of the labels, or the text of a
    /// choice.
    package init(_ row: SourceRow, _ columns: ColumnNames = ColumnNames()) throws(EvaluationError) {
        self.row = row
        id = try row.ownID(columns)
        subject = try row.value(columns.subject, ["subject"])?.value.plainText
        if columns.question == nil, columns.choices == nil, let context = row.fields["context"]?.stringValue,
            let texts = row.fields["continuations"]?.plainTexts
        {
            question = context
            continuations = texts
            let given = row.fields["choices"]?.plainTexts
            choices = given?.count == texts.count ? given ?? [] : texts.map(Self.withoutLeadingSpace)
            answers = try Self.answers(row, columns, choices: choices, labels: [])
            return
        }
        var inner = row
        if columns.question == nil, case .object(let members)? = row.fields["question"] {
            inner.fields = .object(members)
        }
        guard
            let text = try inner.value(columns.question, ColumnNames.questions + ["text"])?.value.plainText
        else {
            throw row.error(
                "question", "the row has no question; it has \(row.columnList)",
                remedy: "name the column \"question\", or describe the columns in a task of your own")
        }
        question = text
        let list = try ChoiceList(row, inner: inner, columns)
        choices = Self.withoutLetters(list.texts)
        answers = try Self.answers(row, columns, choices: list.texts, labels: list.labels)
    }

    /// Choices that all carry their own letter, as `(A) first`, without it.
    private static func withoutLetters(_ texts: [String]) -> [String] {
        let marks = texts.indices.map { "(\(ChoiceLetters.letter($0)))" }
        guard zip(texts, marks).allSatisfy({ $0.hasPrefix($1) }) else { return texts }
        return zip(texts, marks).map { String($0.dropFirst($1.count)).trimmingBlanks }
    }

    static func withoutLeadingSpace(_ text: String) -> String {
        text.hasPrefix(" ") ? String(text.dropFirst()) : text
    }

    private static func answers(
        _ row: SourceRow, _ columns: ColumnNames, choices: [String], labels: [String]
    ) throws(EvaluationError) -> [Int] {
        guard let (column, value) = try row.value(columns.answer, ColumnNames.answers) else {
            throw row.error(
                "answer", "the row has no answer; it has \(row.columnList)",
                remedy: "evaluate a split whose answers are published, or name the column \"answer\"")
        }
        let key = AnswerKey(choices: choices, labels: labels)
        guard let answers = key.indexes(of: value) else {
            let shown = value.compactText.prefix(60)
            if value.isNull || value.plainText?.isEmpty == true {
                throw row.error(
                    column, "the answer is empty", remedy: "evaluate a split whose answers are published")
            }
            throw row.error(
                column, "the answer \(shown) names none of the \(choices.count) choices",
                remedy: "write an index from 0 to \(choices.count - 1), a letter, or the text of a choice")
        }
        return answers
    }
}

/// The choices of a row with their labels.
private struct ChoiceList {
    var texts: [String]
    /// As many as texts, or none.
    var labels: [String] = []

    init(_ row: SourceRow, inner: SourceRow, _ columns: ColumnNames) throws(EvaluationError) {
        if let names = columns.choices, names.count > 1 {
            texts = []
            for name in names {
                guard let value = row.value(at: name) else {
                    throw row.error(
                        name, "the row has no such column; it has \(row.columnList)",
                        remedy: "name the columns of the choices in the task")
                }
                if let text = value.plainText, !text.isEmpty { texts.append(text) }
            }
        } else if let (column, value) = try inner.value(columns.choices?.first, ColumnNames.choiceLists) {
            guard let list = Self.list(value) else {
                throw row.error(
                    column, "the choices are neither a list of texts nor {text, label}",
                    remedy: "write them as [\"first\", \"second\"]")
            }
            (texts, labels) = list
        } else {
            texts = Self.letterColumns(row.fields)
        }
        guard texts.count >= 2, texts.count <= ChoiceQuestion.maximumChoices else {
            throw row.error(
                "choices", "the row has \(texts.count) choices; its columns are \(row.columnList)",
                remedy:
                    "give 2 to \(ChoiceQuestion.maximumChoices) in a list \"choices\" or in columns A, B, ..."
            )
        }
    }

    private static func list(_ value: OrderedJSON) -> (texts: [String], labels: [String])? {
        if let texts = value.plainTexts { return (texts, []) }
        if case .string(let text) = value, let parsed = try? OrderedJSON(parsing: text), !isString(parsed) {
            return list(parsed)
        }
        if let texts = value["text"]?.plainTexts {
            let labels = value["label"]?.plainTexts ?? []
            return (texts, labels.count == texts.count ? labels : [])
        }
        if let elements = value.arrayValue, !elements.isEmpty {
            let texts = elements.compactMap { ($0["text"] ?? $0["content"])?.plainText }
            let labels = elements.compactMap { ($0["label"] ?? $0["key"])?.plainText }
            guard texts.count == elements.count else { return nil }
            return (texts, labels.count == texts.count ? labels : [])
        }
        // {"A": "first", "B": "second"}
        if let members = value.objectValue, members.count > 1,
            members.enumerated().allSatisfy({ $1.key == ChoiceLetters.letter($0) })
        {
            let texts = members.compactMap(\.value.plainText)
            return texts.count == members.count ? (texts, members.map(\.key)) : nil
        }
        return nil
    }

    private static func isString(_ value: OrderedJSON) -> Bool { value.stringValue != nil }

    /// Columns `A`, `B`, ... without gaps; columns that are empty at the end of the row are no choices.
    private static func letterColumns(_ fields: OrderedJSON) -> [String] {
        let families: [[String]] = [
            (0..<26).map(ChoiceLetters.letter), (0..<26).map { ChoiceLetters.letter($0).lowercased() },
            (0..<26).map { "option_\(ChoiceLetters.letter($0).lowercased())" },
            (0..<26).map { "op\(ChoiceLetters.letter($0).lowercased())" }, (0..<26).map { "choice\($0)" },
            (1..<26).map { "choice\($0)" }, (1..<26).map { "option\($0)" }, (1..<26).map { "ending\($0)" },
            (0..<26).map { "ending\($0)" }, (1..<26).map { "sol\($0)" },
        ]
        for family in families {
            var texts: [String] = []
            for name in family {
                guard let text = fields[name]?.plainText, !text.isEmpty else { break }
                texts.append(text)
            }
            if texts.count >= 2 { return texts }
        }
        return []
    }
}

/// Finds which choices an answer means.
package struct AnswerKey: Sendable {
    let choices: [String]
    let labels: [String]

    package init(choices: [String], labels: [String]) {
        self.choices = choices
        self.labels = labels
    }

    /// Ascending; nil if the answer means no choice. The row's own labels count first, so that ARC's "1" is
    /// its first choice; then letters; then indexes from 0; then the choice's text. Lists and `A,C` or `AC`
    /// mean several.
    package func indexes(of value: OrderedJSON) -> [Int]? {
        switch value {
        case .array(let elements):
            if elements.isEmpty { return nil }
            var found: Set<Int> = []
            for element in elements {
                guard let index = element.plainText.flatMap({ self.index($0, isText: Self.isText(element)) })
                else {
                    return nil
                }
                found.insert(index)
            }
            return found.sorted()
        case .string(let text):
            if let index = index(text, isText: true) { return [index] }
            return several(text)
        case .int, .double:
            return value.intValue.flatMap { index("\($0)", isText: false) }.map { [$0] }
        case .bool(let flag): return choices.count == 2 ? [flag ? 1 : 0] : nil
        case .null, .object: return nil
        }
    }

    private static func isText(_ value: OrderedJSON) -> Bool { value.stringValue != nil }

    private func index(_ raw: String, isText: Bool) -> Int? {
        let text = raw.trimmingBlanks
        if text.isEmpty { return nil }
        if let place = labels.firstIndex(of: text) { return place }
        if isText, let place = ChoiceLetters.index(text), choices.indices.contains(place) {
            // A choice may itself be one letter; then its place counts only where no choice says otherwise.
            return place
        }
        // "3" among the choices 2, 3, 4, 5 could mean either; nothing tells, so that the index counts always.
        if let number = Int(text), choices.indices.contains(number) { return number }
        if isText { return uniquePlace(of: text) }
        return nil
    }

    private func uniquePlace(of text: String) -> Int? {
        let places = choices.indices.filter { choices[$0].trimmingBlanks == text }
        return places.count == 1 ? places[0] : nil
    }

    /// `ACD`, `A,C` or `A, C`, and a list that csv files carry as text.
    private func several(_ text: String) -> [Int]? {
        if let list = OrderedJSON.string(text).plainTexts {
            return indexes(of: .array(list.map { .string($0) }))
        }
        let letters = text.filter { $0 != "," && $0 != " " && $0 != ";" && $0 != "、" }
        guard letters.count > 1 else { return nil }
        var found: Set<Int> = []
        for letter in letters {
            guard letter.isUppercase, let place = ChoiceLetters.index(String(letter)),
                choices.indices.contains(place),
                found.insert(place).inserted
            else { return nil }
        }
        return found.sorted()
    }
}
