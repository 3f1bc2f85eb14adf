// What a run asks of a task beside its data.

/// The settings that change samples. Two runs with equal settings, data and templates have equal samples.
package struct TaskRequest: Sendable, Hashable {
    /// Examples before each question; nil for the task's own number where the data has a split for them, else
    /// 0.
    package var shots: Int?
    /// nil for the task's own.
    package var scoring: ScoringKind?
    /// Names of subsets; empty for the task's own choice, mostly all.
    package var subsets: [String] = []
    /// The first so many samples of each subset, as EvalScope counts.
    package var limit: Int?
    /// Which examples are drawn from a training split.
    package var seed: UInt64 = 42
    /// nil for the task's own.
    package var split: DataSplit?
    /// A file with examples, instead of the data set's own.
    package var examplesPath: String?
    /// Prompts are messages for the model's chat template, examples being turns.
    package var usesChatTemplate = false
    package var systemPrompt: String?
    /// nil for the task's own.
    package var maxNewTokens: Int?
    /// Beside the task's own.
    package var stop: [String] = []
    /// Completions of each sample: for pass@k, and means over several.
    package var completions = 1
    /// The k of pass@k; those above `completions` are left out.
    package var passAt: [Int] = [1]

    package init() {}
}
