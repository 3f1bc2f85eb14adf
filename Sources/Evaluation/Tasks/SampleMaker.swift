// Makes the samples of a run out of rows: reads each, renders its prompt, and puts the examples before it.

import Text

struct SampleMaker {
    let task: EvaluationTask
    let request: TaskRequest
    let scoring: ScoringKind
    let selection: RowSelection
    private(set) var notes: [String] = []
    /// The most that any subset has.
    private(set) var shots = 0
    private var usedIDs: Set<String> = []

    init(_ task: EvaluationTask, _ request: TaskRequest, _ scoring: ScoringKind, _ selection: RowSelection) {
        self.task = task
        self.request = request
        self.scoring = scoring
        self.selection = selection
    }

    mutating func samples() throws -> [EvaluationSample] {
        var samples: [EvaluationSample] = []
        for group in selection.groups {
            let rows = group.rows.prefix(request.limit ?? .max)
            let examples = try self.examples(group.subset)
            for (index, row) in rows.enumerated() {
                samples.append(try sample(row, index, group.subset, examples))
            }
        }
        if selection.files.count == 1, task.layout.shots > 0, request.shots == nil, shots == 0 {
            notes.append("a single file was named, so that no examples stand before the questions")
        }
        return samples
    }

    private mutating func examples(_ subset: String) throws -> [RenderedQuestion] {
        let pool = selection.exampleRows(of: subset)
        var count = selection.shots
        if request.shots == nil, pool.count < count {
            count = pool.count
            notes.append("the subset \(subset) has only \(count) rows for examples")
        }
        guard count > 0, let form = promptForm else { return [] }
        let choice = ExampleChoice(seed: request.seed, isDrawn: selection.drawsExamples)
        shots = max(shots, count)
        return try choice.rows(pool, count: count, subset: subset).map { row in
            let variables = try self.variables(row, subset)
            return RenderedQuestion(
                prompt: try form.prompt.render(variables, row: row),
                target: try form.target.render(variables, row: row))
        }
    }

    /// The prompts of this scoring; nil for texts and code.
    private var promptForm: PromptForm? {
        switch task.form {
        case .choice(let form): scoring == .loglikelihood ? form.likelihood : form.generation
        case .question(let form): form.generation
        case .code, .text: nil
        }
    }

    private func variables(_ row: SourceRow, _ subset: String) throws(EvaluationError) -> [String:
        OrderedJSON]
    {
        switch task.form {
        case .choice(let form): return choiceVariables(try choice(row, form), subset)
        case .question: return questionVariables(try OpenQuestion(row, task.columns), subset)
        case .code, .text: return PromptVariables.of(row)
        }
    }

    private mutating func sample(
        _ row: SourceRow, _ index: Int, _ subset: String, _ examples: [RenderedQuestion]
    ) throws -> EvaluationSample {
        switch task.form {
        case .choice(let form):
            let question = try choice(row, form)
            return EvaluationSample(
                id: identifier(subset, question.id, index), subset: subset,
                body: try choiceBody(question, form, subset, examples),
                target: question.answers.count == 1
                    ? .choice(question.answers[0]) : .choices(Set(question.answers)))
        case .question(let form):
            let question = try OpenQuestion(row, task.columns)
            return EvaluationSample(
                id: identifier(subset, question.id, index), subset: subset,
                body: .generation(try questionBody(question, form, subset, examples)),
                target: .texts(question.answers))
        case .code(let form):
            let own = try row.ownID(task.columns)
            let (generation, problem) = try codeBody(row, form)
            return EvaluationSample(
                id: identifier(subset, own, index), subset: subset, body: .code(generation, problem),
                target: .none)
        case .text:
            guard let text = try row.value(task.columns.text, ColumnNames.texts)?.value.plainText else {
                throw row.error(
                    "text", "the row has no text; it has \(row.columnList)",
                    remedy: "name the column \"text\"")
            }
            let own = try row.ownID(task.columns)
            return EvaluationSample(
                id: identifier(subset, own, index), subset: subset, body: .text(text), target: .none)
        }
    }

    /// Rows that call themselves the same get their number, too, so that all samples can be told apart.
    private mutating func identifier(_ subset: String, _ own: String?, _ index: Int) -> String {
        let name = "\(subset)/\(own ?? "\(index)")"
        if usedIDs.insert(name).inserted { return name }
        let numbered = "\(name)#\(index)"
        usedIDs.insert(numbered)
        return numbered
    }
}

/// Bodies.
extension SampleMaker {
    private func choice(_ row: SourceRow, _ form: ChoiceForm) throws(EvaluationError) -> ChoiceQuestion {
        var row = row
        if form.cleansHellaSwag, let query = HellaSwagText.query(row), row.fields["continuations"] == nil,
            case .object(var members) = row.fields
        {
            // The context's columns must not be taken for the question any more.
            members.removeAll { ["ctx", "ctx_a", "ctx_b", "question"].contains($0.key) }
            members.append(OrderedJSON.Member(key: "question", value: .string(query)))
            row.fields = .object(members)
            var question = try ChoiceQuestion(row, task.columns)
            question.choices = question.choices.map(HellaSwagText.cleaned)
            return question
        }
        return try ChoiceQuestion(row, task.columns)
    }

    private func choiceBody(
        _ question: ChoiceQuestion, _ form: ChoiceForm, _ subset: String, _ examples: [RenderedQuestion]
    ) throws -> EvaluationSample.Body {
        let prompts = scoring == .loglikelihood ? form.likelihood : form.generation
        let assembly = PromptAssembly(
            usesChatTemplate: request.usesChatTemplate, systemPrompt: request.systemPrompt, form: prompts)
        if scoring == .loglikelihood, let given = question.continuations {
            // A row that brings its own prompt is asked as it is.
            let context =
                request.usesChatTemplate
                ? assembly.prompt(description: "", examples: [], question: question.question)
                : .raw(question.question)
            let continuations =
                request.usesChatTemplate ? given.map(ChoiceQuestion.withoutLeadingSpace) : given
            return .multipleChoice(context: context, continuations: continuations, choices: question.choices)
        }
        let variables = choiceVariables(question, subset)
        let prompt = assembly.prompt(
            description: try prompts.description?.render(variables, row: question.row) ?? "",
            examples: examples, question: try prompts.prompt.render(variables, row: question.row))
        if scoring == .generation {
            return .generation(
                generation(prompt, stop: form.stop, rawStop: prompts.rawStop, form.maxNewTokens))
        }
        guard form.continuation == .texts || question.choices.count <= 26 else {
            throw question.row.error(
                "choices", "\(question.choices.count) choices are more than there are letters",
                remedy: "give at most 26, or use a task that compares the choices' texts")
        }
        let choices =
            form.continuation == .texts
            ? question.choices : question.choices.indices.map(ChoiceLetters.letter)
        // After a chat template the answer begins a message of its own.
        let delimiter = request.usesChatTemplate ? "" : prompts.targetDelimiter
        return .multipleChoice(
            context: prompt, continuations: choices.map { delimiter + $0 }, choices: choices)
    }

    private func questionBody(
        _ question: OpenQuestion, _ form: QuestionForm, _ subset: String, _ examples: [RenderedQuestion]
    ) throws(EvaluationError) -> GenerationRequest {
        let variables = questionVariables(question, subset)
        var assembly = PromptAssembly(
            usesChatTemplate: request.usesChatTemplate, systemPrompt: request.systemPrompt,
            form: form.generation)
        assembly.systemPrompt = request.systemPrompt ?? question.system
        let description = try form.generation.description?.render(variables, row: question.row) ?? ""
        let text = try form.generation.prompt.render(variables, row: question.row)
        var prompt = assembly.prompt(description: description, examples: examples, question: text)
        if let messages = question.messages {
            // A conversation has no raw form of its own, so that it is always given as messages.
            assembly.usesChatTemplate = true
            prompt = assembly.prompt(description: description, examples: examples, question: text)
            if case .messages(let turns) = prompt { prompt = .messages(turns.dropLast() + messages) }
        }
        return generation(prompt, stop: form.stop, rawStop: form.generation.rawStop, form.maxNewTokens)
    }

    private func codeBody(
        _ row: SourceRow, _ form: CodeForm
    ) throws(EvaluationError) -> (GenerationRequest, CodeProblem) {
        guard let stub = row.fields["prompt"]?.stringValue, let tests = row.fields["test"]?.stringValue,
            let entryPoint = row.fields["entry_point"]?.stringValue
        else {
            throw row.error(
                nil, "the row lacks prompt, test or entry_point; it has \(row.columnList)",
                remedy: "use HumanEval's columns")
        }
        let problem = CodeProblem(stub: stub, tests: tests, entryPoint: entryPoint)
        guard request.usesChatTemplate else {
            let prompt = PromptText.raw((request.systemPrompt.map { $0 + "\n\n" } ?? "") + stub)
            return (generation(prompt, stop: form.stop, rawStop: [], form.maxNewTokens), problem)
        }
        var turns = request.systemPrompt.map { [ChatTurn(role: "system", content: $0)] } ?? []
        let text = try form.instruction.render(PromptVariables.of(row), row: row)
        turns.append(ChatTurn(role: "user", content: text))
        return (generation(.messages(turns), stop: [], rawStop: [], form.maxNewTokens), problem)
    }

    private func generation(
        _ prompt: PromptText, stop: [String], rawStop: [String], _ maxNewTokens: Int
    ) -> GenerationRequest {
        let raw = request.usesChatTemplate ? [] : rawStop
        return GenerationRequest(
            prompt: prompt, stop: stop + raw + request.stop,
            maxNewTokens: request.maxNewTokens ?? maxNewTokens)
    }

    private func choiceVariables(_ question: ChoiceQuestion, _ subset: String) -> [String: OrderedJSON] {
        PromptVariables.of(question, subject: subject(subset, question.subject))
    }

    private func questionVariables(_ question: OpenQuestion, _ subset: String) -> [String: OrderedJSON] {
        PromptVariables.of(question, subject: subject(subset, question.subject))
    }

    /// What a prompt calls the subject: the task's word for it; else the row's or the directory's name;
    /// nothing where only the name of a single file is known, since that may say anything.
    private func subject(_ subset: String, _ own: String?) -> String {
        let name = own ?? subset
        if let known = task.subjectNames[name] { return known }
        let isAccidental =
            own == nil && (selection.files.count == 1 || subset == "default" || subset == "all")
        return isAccidental ? "" : name.spacingUnderscores
    }
}

/// What templates may speak of.
enum PromptVariables {
    static func of(_ row: SourceRow) -> [String: OrderedJSON] {
        (row.fields.objectValue ?? []).reduce(into: [:]) { $0[$1.key] = $1.value }
    }

    static func of(_ question: ChoiceQuestion, subject: String) -> [String: OrderedJSON] {
        var variables = of(question.row)
        let letters = question.choices.indices.map(ChoiceLetters.letter)
        let answer = question.answers.first ?? 0
        func lines(_ mark: String) -> String {
            zip(letters, question.choices).map { "\($0)\(mark) \($1)" }.joined(separator: "\n")
        }
        variables["question"] = .string(question.question)
        variables["choices"] = .array(question.choices.map { .string($0) })
        variables["letters"] = .array(letters.map { .string($0) })
        variables["options"] = .string(lines("."))
        variables["options_parenthesized"] = .string(lines(")"))
        variables["answer"] = .int(answer)
        variables["answers"] = .array(question.answers.map { .int($0) })
        variables["answer_letter"] = .string(question.answers.map { letters[$0] }.joined(separator: ", "))
        variables["answer_text"] = .string(question.choices[answer])
        variables["is_multiple"] = .bool(question.answers.count > 1)
        variables["subject"] = .string(subject)
        return variables
    }

    static func of(_ question: OpenQuestion, subject: String) -> [String: OrderedJSON] {
        var variables = of(question.row)
        variables["question"] = .string(question.question)
        variables["answer"] = .string(question.answers.first ?? "")
        variables["answers"] = .array(question.answers.map { .string($0) })
        variables["subject"] = .string(subject)
        return variables
    }
}
