// What a task is: where its rows come from, how they are asked, and how answers are judged. Tasks are data;
// those that come with Martlet and those that users describe are made of the same parts.

import Text

/// How answers are got from a model. Different kinds of scoring give different numbers for the same task, so
/// that every figure says which it is.
package enum ScoringKind: String, Sendable, Hashable, CaseIterable {
    /// The likelihood of each choice after the question.
    case loglikelihood
    /// Text that the model writes, out of which the answer is taken.
    case generation
    /// The likelihood of whole texts.
    case perplexity
    /// Programs that the model writes, run against tests.
    case code
}

/// A task before it meets data.
package struct EvaluationTask: Sendable {
    package var name: String
    package var form: Form
    /// The scoring unless a run asks for another.
    package var scoring: ScoringKind
    package var layout: TaskLayout
    package var columns = ColumnNames()
    /// The category of each subset, for averages by category.
    package var categories: [String: String] = [:]
    /// How subsets are called in prompts; others by their name with spaces for `_`.
    package var subjectNames: [String: String] = [:]
    /// The metric that gates and comparisons take unless told otherwise.
    package var primaryMetric: String
    /// Where a user's own task says its data are.
    package var dataset: String?

    /// What kind of question a row is, with its prompts.
    package enum Form: Sendable {
        case choice(ChoiceForm)
        case question(QuestionForm)
        case code(CodeForm)
        case text
    }

    /// The scorings that the task can do.
    package var scorings: [ScoringKind] {
        switch form {
        case .choice: [.loglikelihood, .generation]
        case .question: [.generation]
        case .code: [.code]
        case .text: [.perplexity]
        }
    }
}

/// Where in a data set the questions and the examples are.
package struct TaskLayout: Sendable, Hashable {
    /// The first of these splits that has files is evaluated; files without a split count as the last choice.
    package var evaluated: [DataSplit] = [.test, .validation]
    /// The first of these that has files gives the examples.
    package var exampleSplits: [DataSplit] = [.dev, .train]
    /// How many examples where there is a split for them.
    package var shots = 0
    /// Subsets to take where a run names none and these exist; empty for all.
    package var subsets: [String] = []
    /// A file of examples apart from the data.
    package var examplesPath: String?

    package init(
        evaluated: [DataSplit] = [.test, .validation], exampleSplits: [DataSplit] = [.dev, .train],
        shots: Int = 0,
        subsets: [String] = []
    ) {
        self.evaluated = evaluated
        self.exampleSplits = exampleSplits
        self.shots = shots
        self.subsets = subsets
    }
}

/// The prompt of a question and the text of its answer in examples. Variables: the row's own fields, and
/// `question`, `choices`, `options` (lines `A. text`), `options_parenthesized` (lines `A) text`), `letters`,
/// `answer`, `answer_letter`, `answer_text`, `subject`.
package struct PromptForm: Sendable {
    /// Stands once before everything, as the system message where the chat template is used.
    package var description: PromptTemplate?
    package var prompt: PromptTemplate
    /// The answer as an example shows it.
    package var target: PromptTemplate
    /// Between prompt and answer where no chat template is used.
    package var targetDelimiter = " "
    /// Between examples.
    package var exampleDelimiter = "\n\n"
    /// Where an answer ends if no chat template says so.
    package var rawStop: [String] = []

    /// - Throws: if a source is no template.
    package init(description: String?, prompt: String, target: String, targetDelimiter: String = " ")
        throws(EvaluationError)
    {
        if let description {
            self.description = try PromptTemplate(description, name: "description")
        }
        self.prompt = try PromptTemplate(prompt, name: "prompt")
        self.target = try PromptTemplate(target, name: "target")
        self.targetDelimiter = targetDelimiter
    }

    /// All that prompts are made of, for the digest that reports carry.
    var source: OrderedJSON {
        .object([
            .init(key: "description", value: description.map { .string($0.source) } ?? .null),
            .init(key: "prompt", value: .string(prompt.source)),
            .init(key: "target", value: .string(target.source)),
            .init(key: "target_delimiter", value: .string(targetDelimiter)),
            .init(key: "example_delimiter", value: .string(exampleDelimiter)),
            .init(key: "raw_stop", value: .array(rawStop.map { .string($0) })),
        ])
    }
}

/// A question with choices.
package struct ChoiceForm: Sendable {
    package enum Continuation: String, Sendable, CaseIterable {
        /// ` A`, ` B`, ...; the question lists the choices.
        case letters
        /// The choices' texts.
        case texts
    }

    package var continuation: Continuation
    package var likelihood: PromptForm
    package var generation: PromptForm
    package var maxNewTokens = 2048
    package var stop: [String] = []
    /// HellaSwag's texts are cleaned first.
    package var cleansHellaSwag = false

    package init(continuation: Continuation, likelihood: PromptForm, generation: PromptForm) {
        self.continuation = continuation
        self.likelihood = likelihood
        self.generation = generation
    }
}

/// A question that is answered in words.
package struct QuestionForm: Sendable {
    package var generation: PromptForm
    package var maxNewTokens: Int
    package var stop: [String]
    /// At least one; each gives a metric.
    package var checks: [AnswerCheck]

    package init(generation: PromptForm, maxNewTokens: Int, stop: [String], checks: [AnswerCheck]) {
        self.generation = generation
        self.maxNewTokens = maxNewTokens
        self.stop = stop
        self.checks = checks
    }
}

/// A function to be written.
package struct CodeForm: Sendable {
    /// What a chat model is asked; a raw prompt is the stub alone.
    package var instruction: PromptTemplate
    package var maxNewTokens = 1024
    /// For raw prompts: where the function ends. A chat model writes a block, out of which the program is
    /// taken.
    package var stop: [String]

    package init(instruction: PromptTemplate, stop: [String]) {
        self.instruction = instruction
        self.stop = stop
    }
}
