// The tasks that come with Martlet. For log-likelihood the prompts are those of lm-evaluation-harness, so
// that numbers can be compared; for generation they ask for a last line that names the letter, as EvalScope's
// do.

import Text

extension EvaluationTask {
    /// The tasks by name, in the order in which help shows them.
    package static let names = [
        "mmlu", "ceval", "cmmlu", "arc", "arc_easy", "arc_challenge", "hellaswag", "gsm8k", "humaneval",
        "general_mcq",
        "general_qa", "perplexity",
    ]

    private static let aliases = [
        "arc_e": "arc_easy", "arc_c": "arc_challenge", "human_eval": "humaneval", "ppl": "perplexity",
        "multiple_choice": "general_mcq", "mcq": "general_mcq", "qa": "general_qa", "c_eval": "ceval",
        "gsm8k_cot": "gsm8k", "ai2_arc": "arc",
    ]

    /// A task that comes with Martlet; upper and lower case, `-` and `_` are the same.
    /// - Throws: if there is no such task, naming the nearest.
    package static func named(_ name: String) throws(EvaluationError) -> EvaluationTask {
        let plain = name.lowercased().split(separator: "-", omittingEmptySubsequences: false).joined(
            separator: "_")
        switch aliases[plain] ?? plain {
        case "mmlu": return try mmlu()
        case "ceval":
            return try chinese("ceval", description: cEvalDescription, subjects: ChineseSubjects.cEval)
        case "cmmlu":
            return try chinese("cmmlu", description: cmmluDescription, subjects: ChineseSubjects.cmmlu)
        case "arc": return try arc("arc", subsets: [])
        case "arc_easy": return try arc("arc_easy", subsets: ["ARC-Easy"])
        case "arc_challenge": return try arc("arc_challenge", subsets: ["ARC-Challenge"])
        case "hellaswag": return try hellaSwag()
        case "gsm8k": return try gsm8k()
        case "humaneval": return try humanEval()
        case "general_mcq": return try generalChoice()
        case "general_qa": return try generalQuestion()
        case "perplexity":
            return EvaluationTask(
                name: "perplexity", form: .text, scoring: .perplexity,
                layout: TaskLayout(exampleSplits: []), primaryMetric: "word_perplexity")
        default:
            let nearest = EditDistance.nearest(to: plain, in: names).map { "did you mean \"\($0)\"? " } ?? ""
            throw EvaluationError(
                "eval_dataset", problem: "there is no task \"\(name)\"",
                remedy: nearest
                    + "There are \(names.joined(separator: ", ")), and tasks of your own in a YAML file")
        }
    }

    private static let letterPrompt = "{{ question.strip() }}\n{{ options }}\nAnswer:"
    private static let letterTarget = "{{ answer_letter }}"

    /// Asks to think first and to end with a line that is easy to find.
    private static func thinking(_ topic: String = "") throws(EvaluationError) -> PromptForm {
        var form = try PromptForm(
            description: nil,
            prompt:
                "Answer the following multiple choice question\(topic). Think step by step, then finish "
                + "with a line "
                + "\"ANSWER: {{ '[LETTERS]' if is_multiple else '[LETTER]' }}\" that names "
                + "{{ 'every right choice' if is_multiple else 'the right choice' }} "
                + "out of {{ letters | join(', ') }}."
                + "\n\n{{ question.strip() }}\n\n{{ options_parenthesized }}",
            target: "ANSWER: {{ answer_letter }}", targetDelimiter: "\n\n")
        form.exampleDelimiter = "\n\n\n"
        form.rawStop = ["\n\n\n"]
        return form
    }

    private static func mmlu() throws(EvaluationError) -> EvaluationTask {
        let description =
            "The following are multiple choice questions (with answers)"
            + "{% if subject %} about {{ subject }}{% endif %}."
            + "\n\n"
        let form = ChoiceForm(
            continuation: .letters,
            likelihood: try PromptForm(description: description, prompt: letterPrompt, target: letterTarget),
            generation: try thinking("{% if subject %} about {{ subject }}{% endif %}"))
        var task = EvaluationTask(
            name: "mmlu", form: .choice(form), scoring: .loglikelihood,
            layout: TaskLayout(evaluated: [.test, .validation], exampleSplits: [.dev], shots: 5),
            primaryMetric: "acc")
        task.categories = MMLUCategories.bySubject
        task.subjectNames = MMLUCategories.bySubject.reduce(into: [:]) {
            $0[$1.key] = $1.key.spacingUnderscores
        }
        return task
    }

    private static let cEvalDescription =
        "以下是中国{% if subject %}关于{{ subject }}{% endif %}的单项选择题，请选出其中的正确答案。\n\n"
    private static let cmmluDescription =
        "以下是{% if subject %}关于{{ subject }}{% endif %}的单项选择题，请直接给出正确答案的选项。\n\n"

    private static func chinese(
        _ name: String, description: String, subjects: [String: String]
    ) throws(EvaluationError) -> EvaluationTask {
        var thinking = try PromptForm(
            description: nil,
            prompt: "请回答下面{% if subject %}关于{{ subject }}{% endif %}的{{ '多项' if is_multiple else '单项' }}选择题。"
                + "先一步一步地思考，最后单独用一行写出\"答案：[{{ '所有正确选项的字母' if is_multiple else '正确选项的字母' }}]\"，"
                + "字母只能是{{ letters | join('、') }}。\n\n{{ question.strip() }}\n\n{{ options_parenthesized }}",
            target: "答案：{{ answer_letter }}", targetDelimiter: "\n\n")
        thinking.exampleDelimiter = "\n\n\n"
        thinking.rawStop = ["\n\n\n"]
        let form = ChoiceForm(
            continuation: .letters,
            likelihood: try PromptForm(
                description: description, prompt: "{{ question.strip() }}\n{{ options }}\n答案：",
                target: letterTarget),
            generation: thinking)
        let splits: [DataSplit] = name == "ceval" ? [.validation, .test] : [.test, .validation]
        var task = EvaluationTask(
            name: name, form: .choice(form), scoring: .loglikelihood,
            layout: TaskLayout(evaluated: splits, exampleSplits: [.dev], shots: 5), primaryMetric: "acc")
        task.subjectNames = subjects
        return task
    }

    private static func arc(_ name: String, subsets: [String]) throws(EvaluationError) -> EvaluationTask {
        let form = ChoiceForm(
            continuation: .texts,
            likelihood: try PromptForm(
                description: nil, prompt: "Question: {{ question }}\nAnswer:", target: "{{ answer_text }}"),
            generation: try thinking())
        return EvaluationTask(
            name: name, form: .choice(form), scoring: .loglikelihood,
            layout: TaskLayout(
                evaluated: [.test, .validation], exampleSplits: [.train, .validation], subsets: subsets),
            primaryMetric: "acc")
    }

    private static func hellaSwag() throws(EvaluationError) -> EvaluationTask {
        var form = ChoiceForm(
            continuation: .texts,
            likelihood: try PromptForm(
                description: nil, prompt: "{{ question }}", target: "{{ answer_text }}"),
            generation: try thinking())
        form.cleansHellaSwag = true
        return EvaluationTask(
            name: "hellaswag", form: .choice(form), scoring: .loglikelihood,
            layout: TaskLayout(evaluated: [.validation, .test], exampleSplits: [.train]),
            primaryMetric: "acc_norm")
    }

    private static func generalChoice() throws(EvaluationError) -> EvaluationTask {
        let form = ChoiceForm(
            continuation: .letters,
            likelihood: try PromptForm(description: nil, prompt: letterPrompt, target: letterTarget),
            generation: try thinking())
        return EvaluationTask(
            name: "general_mcq", form: .choice(form), scoring: .loglikelihood,
            layout: TaskLayout(evaluated: [.validation, .test], exampleSplits: [.dev], shots: 0),
            primaryMetric: "acc")
    }

    private static func gsm8k() throws(EvaluationError) -> EvaluationTask {
        let form = QuestionForm(
            generation: try PromptForm(
                description: nil, prompt: "Question: {{ question }}\nAnswer:", target: "{{ answer }}"),
            maxNewTokens: 512, stop: ["Question:", "</s>", "<|im_end|>"], checks: try GSM8K.checks())
        return EvaluationTask(
            name: "gsm8k", form: .question(form), scoring: .generation,
            layout: TaskLayout(evaluated: [.test], exampleSplits: [.train], shots: 5, subsets: ["main"]),
            primaryMetric: "acc")
    }

    private static func generalQuestion() throws(EvaluationError) -> EvaluationTask {
        var loose = AnswerCheck(metric: "acc", filters: [.strip], match: .exact)
        loose.ignoresCase = true
        loose.ignoresPunctuation = true
        let checks = [
            loose, AnswerCheck(metric: "exact_match", filters: [.strip], match: .exact),
            AnswerCheck(metric: "contains", filters: [.strip], match: .contains),
            AnswerCheck(metric: "rouge_l", filters: [.strip], match: .rougeL),
        ]
        let form = QuestionForm(
            generation: try PromptForm(description: nil, prompt: "{{ question }}", target: "{{ answer }}"),
            maxNewTokens: 1024, stop: [], checks: checks)
        return EvaluationTask(
            name: "general_qa", form: .question(form), scoring: .generation, layout: TaskLayout(),
            primaryMetric: "acc")
    }

    private static func humanEval() throws(EvaluationError) -> EvaluationTask {
        let instruction = try PromptTemplate(
            "Complete the following Python function. Answer with the whole function in one code block, "
                + "with its signature and everything that it imports.\n\n```python\n{{ prompt }}```",
            name: "instruction")
        let form = CodeForm(instruction: instruction, stop: ["\nclass", "\ndef", "\n#", "\nif", "\nprint"])
        return EvaluationTask(
            name: "humaneval", form: .code(form), scoring: .code, layout: TaskLayout(exampleSplits: []),
            primaryMetric: "pass@1")
    }
}

extension String {
    var spacingUnderscores: String {
        split(separator: "_", omittingEmptySubsequences: false).joined(separator: " ")
    }
}
