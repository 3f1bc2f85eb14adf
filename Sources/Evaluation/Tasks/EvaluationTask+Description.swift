// Tasks that users describe in a small YAML file, which the command line has turned into a JSON value.

package import Text

extension EvaluationTask {
    /// Reads a description:
    ///
    ///     name: traffic
    ///     dataset: questions.jsonl            # from the description's folder on
    ///     scoring: loglikelihood              # or generation, perplexity
    ///     columns: {question: frage, choices: [a, b, c], answer: richtig}
    ///     description: "Questions about traffic.\n\n"
    ///     prompt: "{{ question }}\n{{ options }}\nAnswer:"      # Jinja; doc_to_text is the same
    ///     target: "{{ answer_letter }}"
    ///     continuation: letters               # or texts
    ///     shots: 2
    ///     examples: examples.jsonl
    ///
    /// and for generation `stop`, `max_new_tokens` and `metrics`, a list of `{name, match, filters, ignore,
    /// ignore_case, ignore_punctuation}` with match exact, number, contains, regex, letter or rouge_l, and
    /// filters `{regex: ..., select: -1}`, `{after: ...}`, `strip`, `first_line` and `last_line`.
    /// - Parameters:
    ///   - place: the file, for errors.
    ///   - folder: from which relative paths go on.
    /// - Throws: the field, what is wrong with it, and what may stand there.
    package init(description value: JSONValue, place: String, folder: String) throws(EvaluationError) {
        let fields = try DescriptionFields(value, place: place)
        try fields.checkNames(Self.descriptionFields)
        let kind = try fields.choice("scoring", ScoringKind.self)
        let hasChoices = fields["continuation"] != nil || fields["columns"]?["choices"] != nil
        let scoring = kind ?? (fields["metrics"] == nil ? .loglikelihood : .generation)
        let form: Form
        switch scoring {
        case .perplexity: form = .text
        case .code:
            throw fields.error(
                "scoring", "tasks of your own cannot run code", "use humaneval with your own file")
        case .loglikelihood: form = .choice(try Self.choiceForm(fields))
        case .generation where hasChoices: form = .choice(try Self.choiceForm(fields))
        case .generation: form = .question(try Self.questionForm(fields))
        }
        var layout = TaskLayout(shots: try fields.integer("shots", 0...1_000) ?? 0)
        if let split = try fields.split("split") { layout.evaluated = [split] }
        if let split = try fields.split("example_split") { layout.exampleSplits = [split] }
        layout.subsets = try fields.texts("subsets") ?? []
        layout.examplesPath = try fields.text("examples").map { Self.path($0, from: folder) }
        let file = place.split(separator: "/").last.map(String.init) ?? ""
        let name = try fields.text("name") ?? String(file.prefix { $0 != "." })
        self.init(
            name: name.isEmpty ? "task" : name, form: form, scoring: scoring, layout: layout,
            primaryMetric: "")
        columns = try Self.columns(fields)
        dataset = try fields.text("dataset").map { Self.path($0, from: folder) }
        categories = try fields.map("categories")
        subjectNames = try fields.map("subject_names")
        let metrics = self.metrics(scoring, TaskRequest()).map(\.name)
        primaryMetric = try fields.text("primary_metric") ?? metrics.first ?? "acc"
        guard metrics.contains(primaryMetric) else {
            throw fields.error(
                "primary_metric", "the task has no metric \"\(primaryMetric)\"",
                "name one of \(metrics.joined(separator: ", "))")
        }
    }

    private static let descriptionFields = [
        "name", "dataset", "scoring", "columns", "description", "prompt", "doc_to_text", "target",
        "doc_to_target",
        "target_delimiter", "example_delimiter", "continuation", "shots", "split", "example_split",
        "examples",
        "subsets", "stop", "max_new_tokens", "metrics", "primary_metric", "categories", "subject_names",
    ]

    private static func path(_ path: String, from folder: String) -> String {
        path.hasPrefix("/") || folder.isEmpty ? path : "\(folder)/\(path)"
    }

    private static func columns(_ fields: DescriptionFields) throws(EvaluationError) -> ColumnNames {
        guard let value = fields["columns"] else { return ColumnNames() }
        let inner = try DescriptionFields(value, place: fields.place, within: "columns")
        try inner.checkNames(["question", "choices", "answer", "subject", "id", "text"])
        return ColumnNames(
            question: try inner.text("question"), choices: try inner.texts("choices"),
            answer: try inner.text("answer"), subject: try inner.text("subject"), id: try inner.text("id"),
            text: try inner.text("text"))
    }

    private static func promptForm(
        _ fields: DescriptionFields, prompt: String, target: String
    ) throws(EvaluationError) -> PromptForm {
        var form = try PromptForm(
            description: try fields.text("description"),
            prompt: try fields.text("prompt", "doc_to_text") ?? prompt,
            target: try fields.text("target", "doc_to_target") ?? target,
            targetDelimiter: try fields.text("target_delimiter") ?? " ")
        if let delimiter = try fields.text("example_delimiter") { form.exampleDelimiter = delimiter }
        return form
    }

    private static func choiceForm(_ fields: DescriptionFields) throws(EvaluationError) -> ChoiceForm {
        let continuation = try fields.choice("continuation", ChoiceForm.Continuation.self) ?? .letters
        let isLetters = continuation == .letters
        let prompts = try promptForm(
            fields,
            prompt: isLetters
                ? "{{ question }}\n{{ options }}\nAnswer:" : "Question: {{ question }}\nAnswer:",
            target: isLetters ? "{{ answer_letter }}" : "{{ answer_text }}")
        var form = ChoiceForm(continuation: continuation, likelihood: prompts, generation: prompts)
        form.maxNewTokens = try fields.integer("max_new_tokens", 1...1_000_000) ?? form.maxNewTokens
        form.stop = try fields.texts("stop") ?? []
        return form
    }

    private static func questionForm(_ fields: DescriptionFields) throws(EvaluationError) -> QuestionForm {
        let prompts = try promptForm(fields, prompt: "{{ question }}", target: "{{ answer }}")
        var checks: [AnswerCheck] = []
        for (index, value) in (fields["metrics"]?.arrayValue ?? []).enumerated() {
            let inner = try DescriptionFields(value, place: fields.place, within: "metrics[\(index)]")
            checks.append(try check(inner))
        }
        if fields["metrics"] != nil, checks.isEmpty {
            throw fields.error("metrics", "there is no metric in it", "give a list such as [{match: exact}]")
        }
        if checks.isEmpty { checks = [AnswerCheck(metric: "acc", filters: [.strip], match: .exact)] }
        return QuestionForm(
            generation: prompts, maxNewTokens: try fields.integer("max_new_tokens", 1...1_000_000) ?? 512,
            stop: try fields.texts("stop") ?? [], checks: checks)
    }

    private static func check(_ fields: DescriptionFields) throws(EvaluationError) -> AnswerCheck {
        try fields.checkNames(["name", "match", "filters", "ignore", "ignore_case", "ignore_punctuation"])
        let match = try fields.choice("match", AnswerMatch.self) ?? .exact
        var filters: [AnswerFilter] = []
        for (index, value) in (fields["filters"]?.arrayValue ?? []).enumerated() {
            filters.append(try filter(value, fields, "filters[\(index)]"))
        }
        if fields["filters"] == nil { filters = [.strip] }
        var check = AnswerCheck(metric: try fields.text("name") ?? "acc", filters: filters, match: match)
        for source in try fields.texts("ignore") ?? [] { check.ignoring.append(try GSM8K.pattern(source)) }
        check.ignoresCase = try fields.flag("ignore_case")
        check.ignoresPunctuation = try fields.flag("ignore_punctuation")
        return check
    }

    private static func filter(
        _ value: JSONValue, _ fields: DescriptionFields, _ name: String
    ) throws(EvaluationError) -> AnswerFilter {
        switch value.stringValue {
        case "strip": return .strip
        case "first_line": return .firstLine
        case "last_line": return .lastLine
        default: break
        }
        if let source = value["regex"]?.stringValue {
            return .regex(try GSM8K.pattern(source), select: value["select"]?.intValue ?? 0)
        }
        if let mark = value["after"]?.stringValue { return .after(mark) }
        throw fields.error(
            name, "\(value.compactText.prefix(60)) is no filter",
            "write strip, first_line, last_line, {regex: ..., select: 0} or {after: ...}")
    }
}

/// The members of a description, read with errors that name them.
private struct DescriptionFields {
    let place: String
    private let members: [String: JSONValue]
    private let prefix: String

    init(_ value: JSONValue, place: String, within field: String = "") throws(EvaluationError) {
        self.place = place
        prefix = field.isEmpty ? "" : field + "."
        guard let members = value.objectValue else {
            throw EvaluationError(
                place, field: field.isEmpty ? nil : field,
                problem: "this is not a mapping of names to values",
                remedy: "write lines such as `name: value`")
        }
        self.members = members
    }

    subscript(name: String) -> JSONValue? {
        guard let value = members[name], !value.isNull else { return nil }
        return value
    }

    func error(_ name: String, _ problem: String, _ remedy: String) -> EvaluationError {
        EvaluationError(place, field: prefix + name, problem: problem, remedy: remedy)
    }

    func checkNames(_ known: [String]) throws(EvaluationError) {
        for (name, _) in members.sortedByKey where !known.contains(name) {
            let nearest = EditDistance.nearest(to: name, in: known).map { "did you mean \"\($0)\"? " } ?? ""
            throw error(
                name, "there is no such field", "\(nearest)There are \(known.joined(separator: ", "))")
        }
    }

    /// The text of the first of these names that is there.
    func text(_ names: String...) throws(EvaluationError) -> String? {
        guard let name = names.first(where: { self[$0] != nil }), let value = self[name] else { return nil }
        guard let text = value.scalarText else { throw error(name, "this is not a text", "write one text") }
        return text
    }

    /// A list of texts, or one.
    func texts(_ name: String) throws(EvaluationError) -> [String]? {
        guard let value = self[name] else { return nil }
        if let text = value.scalarText { return [text] }
        let texts = (value.arrayValue ?? []).compactMap(\.scalarText)
        guard let elements = value.arrayValue, texts.count == elements.count else {
            throw error(name, "this is not a list of texts", "write [\"first\", \"second\"]")
        }
        return texts
    }

    func map(_ name: String) throws(EvaluationError) -> [String: String] {
        guard let value = self[name] else { return [:] }
        let texts = (value.objectValue ?? [:]).compactMapValues(\.scalarText)
        guard let all = value.objectValue, texts.count == all.count else {
            throw error(name, "this is not a mapping of texts to texts", "write {first: second}")
        }
        return texts
    }

    func integer(_ name: String, _ range: ClosedRange<Int>) throws(EvaluationError) -> Int? {
        guard let value = self[name] else { return nil }
        guard let number = value.intValue, range.contains(number) else {
            throw error(
                name, "\(value.compactText) is out of range",
                "give a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag(_ name: String) throws(EvaluationError) -> Bool {
        guard let value = self[name] else { return false }
        guard let flag = value.boolValue else {
            throw error(name, "this is not true or false", "write true or false")
        }
        return flag
    }

    func split(_ name: String) throws(EvaluationError) -> DataSplit? {
        guard let text = try text(name) else { return nil }
        guard let split = DataSplit(word: text) else {
            throw error(name, "\"\(text)\" is no split", "write test, validation, dev or train")
        }
        return split
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Choice.Type
    ) throws(EvaluationError) -> Choice? where Choice.RawValue == String {
        guard let text = try text(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw error(
                name, "\"\(text)\" is not known",
                "write one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }
}
