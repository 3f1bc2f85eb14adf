// One question to a model: everything that is asked, and what a right answer is. Few-shot examples are
// already inside, so that scoring needs to know nothing of tasks.

/// A question with its answer. Identifiers are unique within a run and do not depend on limits or order, so
/// that two reports can be paired by them.
package struct EvaluationSample: Sendable, Hashable {
    /// Such as `anatomy/17`: the subset and the row's own id, or its number from 0 in the subset.
    package var id: String
    /// The subject, configuration or file that the sample belongs to.
    package var subset: String
    package var body: Body
    package var target: Target

    package init(id: String, subset: String, body: Body, target: Target) {
        self.id = id
        self.subset = subset
        self.body = body
        self.target = target
    }

    /// What is asked.
    package enum Body: Sendable, Hashable {
        /// The likelihood of each continuation after the context is asked for. `choices` are the texts whose
        /// length divides in acc_norm: as many as continuations, mostly the same without their leading space.
        case multipleChoice(context: PromptText, continuations: [String], choices: [String])
        /// Text is asked for.
        case generation(GenerationRequest)
        /// The likelihood of a text by itself is asked for.
        case text(String)
        /// A program is asked for, which then has to pass tests.
        case code(GenerationRequest, CodeProblem)
    }

    /// What is right.
    package enum Target: Sendable, Hashable {
        /// The index of the right choice, from 0.
        case choice(Int)
        /// Several choices are right. Log-likelihood scoring is content with any one; generation must name
        /// all.
        case choices(Set<Int>)
        /// Any of these texts is right.
        case texts([String])
        /// There is nothing to compare with: perplexity, and code, whose tests judge.
        case none
    }
}

/// A prompt as text, or as messages that the model's chat template turns into one.
package enum PromptText: Sendable, Hashable {
    case raw(String)
    case messages([ChatTurn])
}

/// One message.
package struct ChatTurn: Sendable, Hashable {
    /// `system`, `user` or `assistant`.
    package var role: String
    package var content: String

    package init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

/// What to write on from, and when to stop. How to sample is the run's business, not the sample's.
package struct GenerationRequest: Sendable, Hashable {
    package var prompt: PromptText
    /// The text ends before the first of these.
    package var stop: [String]
    package var maxNewTokens: Int

    package init(prompt: PromptText, stop: [String], maxNewTokens: Int) {
        self.prompt = prompt
        self.stop = stop
        self.maxNewTokens = maxNewTokens
    }
}

/// A programming problem in HumanEval's form (Chen et al., arXiv:2107.03374).
package struct CodeProblem: Sendable, Hashable {
    /// Imports, signature and documentation of the function; the completion follows directly.
    package var stub: String
    /// Defines `check(candidate)`, or runs by itself.
    package var tests: String
    /// The function under test; empty if the tests run by themselves.
    package var entryPoint: String

    package init(stub: String, tests: String, entryPoint: String) {
        self.stub = stub
        self.tests = tests
        self.entryPoint = entryPoint
    }
}
