// What a row of a data set becomes before it meets the model: token ids and what to learn of them.

/// One row, tokenized.
package enum TrainingRow: Sendable, Hashable {
    case sequence(TokenSequence)
    case preference(PreferencePair)
    case unpaired(UnpairedAnswer)

    /// Tokens that it takes in a batch, of its answers together.
    package var length: Int {
        switch self {
        case .sequence(let row): row.ids.count
        case .preference(let row): 2 * row.prompt.count + row.chosen.count + row.rejected.count
        case .unpaired(let row): row.prompt.count + row.completion.count
        }
    }
}

/// A sequence to learn from.
package struct TokenSequence: Sendable, Hashable {
    /// The label of what is not learned, as torch has it.
    package static let ignored: Int32 = -100

    package var ids: [Int32]
    /// As many as ids, as transformers has it: the id itself where it is learned (from the tokens before it), else
    /// `ignored`. The first label never counts.
    package var labels: [Int32]

    package init(ids: [Int32], labels: [Int32]) {
        precondition(ids.count == labels.count, "a label is needed for each token")
        self.ids = ids
        self.labels = labels
    }
}

/// A prompt with a better and a worse answer.
package struct PreferencePair: Sendable, Hashable {
    package var prompt: [Int32]
    package var chosen: [Int32]
    package var rejected: [Int32]

    package init(prompt: [Int32], chosen: [Int32], rejected: [Int32]) {
        self.prompt = prompt
        self.chosen = chosen
        self.rejected = rejected
    }
}

/// A prompt with one answer, said to be good or bad (KTO).
package struct UnpairedAnswer: Sendable, Hashable {
    package var prompt: [Int32]
    package var completion: [Int32]
    package var isDesirable: Bool

    package init(prompt: [Int32], completion: [Int32], isDesirable: Bool) {
        self.prompt = prompt
        self.completion = completion
        self.isDesirable = isDesirable
    }
}
