// The ids that stand before and behind every encoded text.

/// The `post_processor` of tokenizer.json, as far as single texts go.
struct PostProcessor: Sendable, Hashable {
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    /// What another processor does after this one.
    func followed(by next: PostProcessor) -> PostProcessor {
        PostProcessor(prefix: next.prefix + prefix, suffix: suffix + next.suffix)
    }
}
